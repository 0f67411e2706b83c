"""Coverage-guided fuzzing for minutes or hours: `manage.py fuzz DECODER --seconds N`. No dependency.

A case that takes a step from line to line that none has taken before joins those that are mutated.
Compiled code has no lines: there the fuzzer is led by the plain path beside it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from time import monotonic
from types import FrameType
from typing import Any

from tests.fuzz.decoder import Decoder
from tests.fuzz.mutator import mutated

TELL_S = 5.0


@dataclass
class Finding:
    """A case that raised, made as small as could be."""

    data: bytes
    error: BaseException


@dataclass
class Progress:
    """How far a run is."""

    cases: int = 0
    corpus: int = 0
    steps: int = 0
    findings: list[Finding] = field(default_factory=list)


class Steps:
    """Which steps from line to line of some modules were taken."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        files = [Path(import_module(name).__file__ or "") for name in modules]
        self._folders = tuple(str(file.parent if file.name == "__init__.py" else file) for file in files)
        self.seen: set[tuple[int, int, int]] = set()
        self._fresh = False

    @contextmanager
    def watched(self) -> Iterator[Callable[[], bool]]:
        """Watch; yields what tells whether a step was new."""
        self._fresh = False
        sys.settrace(self._call)
        try:
            yield lambda: self._fresh
        finally:
            sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._folders):
            return None
        code, before = id(frame.f_code), 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal before
            step = (code, before, frame.f_lineno)
            before = frame.f_lineno
            if step not in self.seen:
                self.seen.add(step)
                self._fresh = True
            return line

        return line


def smaller(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Return the data without what it can do without and still fail."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            without = data[:at] + data[at + size :]
            if fails(without):
                data = without
            else:
                at += size
        size //= 2
    return data


def error_of(decoder: Decoder, data: bytes) -> BaseException | None:
    """Return what a fresh target raises for the data."""
    try:
        decoder.make()(data)
    except Exception as error:  # noqa: BLE001  (any exception is what is looked for)
        return error
    return None


def fuzz(decoder: Decoder, seconds: float, seed: int, tell: Callable[[Progress], None]) -> Progress:
    """Mutate the corpus for so long, or until five cases have failed."""
    random, steps, progress = Random(seed), Steps(decoder.modules), Progress()
    corpus = list(decoder.corpus().values())
    take = decoder.make()
    for data in corpus:
        with steps.watched():
            take(data)
    end, tell_at = monotonic() + seconds, monotonic() + TELL_S
    while monotonic() < end and len(progress.findings) < 5:
        data = mutated(random.choice(corpus), corpus, random)
        progress.cases += 1
        try:
            with steps.watched() as is_fresh:
                take(data)
            if is_fresh():
                corpus.append(data)
        except Exception as error:  # noqa: BLE001  (any exception is what is looked for)
            kind = type(error)
            least = smaller(data, lambda case: isinstance(error_of(decoder, case), kind))  # noqa: B023
            progress.findings.append(Finding(least, error))
            take = decoder.make()
        progress.corpus, progress.steps = len(corpus), len(steps.seen)
        if monotonic() >= tell_at:
            tell_at = monotonic() + TELL_S
            tell(progress)
    return progress
