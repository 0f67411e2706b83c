"""A process of a benchmark that is asked by lines on its stdin and answers with JSON lines on its stdout."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmark.machine import CannotMeasure

ROOT = Path(__file__).resolve().parents[2]


class AskedProcess:
    """A module of this project in a process of its own. What it says on stderr goes to a log.

    Args: name: what it is, for messages; command: module and arguments.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._name = name
        self._log = log.open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.pid = self._process.pid

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command, one line, and return its answer.

        Raises: CannotMeasure: the process ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next answer; lines that are none are skipped.

        Raises: CannotMeasure: the process ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):
            line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise CannotMeasure(f"The {self._name} ended: {self._log.read()[-2000:]}")
        return json.loads(line)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
