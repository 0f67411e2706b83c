"""What is missing in an archive of PostgreSQL's log: names of its files in, the first gap out. Pure.

A restore plays the log piece after piece and takes the first that is not there for the end. So a piece that
was lost makes all after it worthless, and without a look at the names nobody would know.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PIECES_PER_FILE = 256  # of 16 MiB, initdb's own size: the numbers within one of the 4 GiB that a name counts
_PIECE = re.compile(r"([0-9A-F]{24})\.gz")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history\.gz")
_SWITCH = re.compile(r"^\s*(\d+)\s+([0-9A-F]{1,8})/([0-9A-F]{1,8})\b", re.MULTILINE)
_PIECE_BITS = 24


@dataclass(frozen=True)
class Gap:
    """Pieces that are not there although later ones are. `before`: the newest that can be played."""

    first: str
    last: str
    pieces: int
    before: str

    def __str__(self) -> str:
        if self.pieces == 1:
            return f"{self.first} is missing"
        return f"{self.pieces:,} pieces from {self.first} to {self.last} are missing"


@dataclass(frozen=True)
class Reign:
    """Which pieces one timeline has to offer: from `first` to `last`; None: it is still written to."""

    timeline: int
    first: int
    last: int | None


def number_of(name: str) -> int:
    """Return the place of a piece in the log, whatever its timeline."""
    return int(name[8:16], 16) * PIECES_PER_FILE + int(name[16:24], 16)


def name_of(timeline: int, number: int) -> str:
    """Return the name of a piece."""
    return f"{timeline:08X}{number // PIECES_PER_FILE:08X}{number % PIECES_PER_FILE:08X}"


def history_names(names: Iterable[str]) -> dict[int, str]:
    """Return the files that tell how timelines came about, by timeline."""
    found = (match for name in names if (match := _HISTORY.fullmatch(name)) is not None)
    return {int(match[1], 16): match[0] for match in found}


def reigns(histories: Mapping[int, str], first_needed: str) -> list[Reign]:
    """Return whose pieces a restore from a base backup plays, in order, up to the newest timeline.

    Args: histories: the texts of the history files, by timeline.
    """
    own, newest = int(first_needed[:8], 16), int(first_needed[:8], 16)
    while newest + 1 in histories:  # as PostgreSQL looks for the newest one
        newest += 1
    left = _switches(histories[newest]) if newest != own else []
    begin, found = 0, []
    for timeline, last in left:
        found.append(Reign(timeline, begin, last))
        begin = last
    found.append(Reign(newest, begin, None))
    if own in (reign.timeline for reign in found):
        return found
    return [Reign(own, 0, None)]  # of a branch that was left: only its own log belongs to it


def _switches(history: str) -> list[tuple[int, int]]:
    """Return each timeline of a history file, and the piece in which it was left."""
    lines = (match.groups() for match in _SWITCH.finditer(history))
    return [
        (int(timeline), int(high, 16) * PIECES_PER_FILE + (int(low, 16) >> _PIECE_BITS))
        for timeline, high, low in lines
    ]


def first_gap(names: Iterable[str], histories: Mapping[int, str], first_needed: str) -> Gap | None:
    """Return the first gap after the beginning of a base backup; None: its log is whole as far as it goes.

    Args: names: of the archive's files. first_needed: the piece with which the base backup begins.
    """
    there = {match[1] for name in names if (match := _PIECE.fullmatch(name)) is not None}
    chain = reigns(histories, first_needed)
    first = number_of(first_needed)
    usable = {
        number: name
        for name in there
        for reign in chain
        if int(name[:8], 16) == reign.timeline
        and (number := number_of(name)) >= max(first, reign.first)
        and (reign.last is None or number <= reign.last)
    }
    missing = next(
        (number for number in range(first, max(usable, default=first)) if number not in usable), None
    )
    if missing is None:
        return None
    there_again = min(number for number in usable if number > missing)
    timeline = next(reign.timeline for reign in chain if reign.last is None or missing <= reign.last)
    return Gap(
        name_of(timeline, missing),
        name_of(timeline, there_again - 1),
        there_again - missing,
        usable.get(missing - 1, ""),
    )
