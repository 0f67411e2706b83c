"""What can be wrong with a content pack, said so that an author can mend it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"  # imported all the same


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, where, and what to do. `file` is relative to the pack; lines count from 1."""

    file: str
    line: int
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity}: {self.message}"


class InvalidPack(ValueError):
    """The pack was not imported. `problems` holds all that was found, in the order of files and lines."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        errors = sum(problem.severity is Severity.ERROR for problem in problems)
        super().__init__(f"the content pack has {errors} error{'' if errors == 1 else 's'}")
