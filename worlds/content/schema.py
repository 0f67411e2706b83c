"""What a table of a content pack may hold, and the reader that checks one table against it.

A reader never stops at the first problem: it notes each, with the line of the key, and goes on.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from worlds.content.pack import Where
from worlds.content.problems import Problem
from worlds.content.toml_lines import KeyPath

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class _Required:
    """Stands for "no default"."""


REQUIRED = _Required()


@dataclass(frozen=True)
class Text:
    """A string without control characters, trimmed; line breaks only where `is_long`."""

    max_length: int
    default: str | _Required = REQUIRED
    is_long: bool = False

    def check(self, value: object) -> tuple[str | None, str]:
        if not isinstance(value, str):
            return None, f"must be a text in quotes, not {describe(value)}"
        text = value.strip()
        if not text and self.default is REQUIRED:
            return None, "must not be empty"
        if len(text) > self.max_length:
            return None, f"has {len(text)} characters; at most {self.max_length} are allowed"
        allowed = "\n" if self.is_long else ""
        bad = next((c for c in text if not c.isprintable() and c not in allowed), None)
        if bad is not None:
            return None, f"holds the character U+{ord(bad):04X}, which cannot be shown; take it out"
        return text, ""


@dataclass(frozen=True)
class Slug:
    """A stable name: small letters, digits, single hyphens."""

    max_length: int = 40
    default: str | _Required = REQUIRED

    def check(self, value: object) -> tuple[str | None, str]:
        if not isinstance(value, str):
            return None, f"must be a text in quotes, not {describe(value)}"
        if len(value) > self.max_length:
            return None, f"has {len(value)} characters; at most {self.max_length} are allowed"
        if not SLUG.fullmatch(value):
            return None, f"{value!r}: use small letters, digits and single hyphens, and start with a letter"
        return value, ""


@dataclass(frozen=True)
class Number:
    """A finite number within a range, ends included."""

    low: float
    high: float
    default: float | _Required = REQUIRED
    unit: str = ""

    def check(self, value: object) -> tuple[float | None, str]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None, f"must be a number, not {describe(value)}"
        if isinstance(value, float) and not math.isfinite(value):
            return None, f"must be a finite number, not {value}"
        if not self.low <= value <= self.high:
            unit = f" {self.unit}" if self.unit else ""
            return None, f"must be from {self.low:g} to {self.high:g}{unit}, not {shown(value)}"
        return float(value), ""


@dataclass(frozen=True)
class Whole:
    """A whole number within a range, ends included."""

    low: int
    high: int
    default: int | _Required = REQUIRED

    def check(self, value: object) -> tuple[int | None, str]:
        if isinstance(value, bool) or not isinstance(value, int):
            return None, f"must be a whole number, not {describe(value)}"
        if not self.low <= value <= self.high:
            return None, f"must be from {self.low} to {self.high}, not {shown(value)}"
        return value, ""


@dataclass(frozen=True)
class Flag:
    """true or false."""

    default: bool | _Required = REQUIRED

    def check(self, value: object) -> tuple[bool | None, str]:
        if not isinstance(value, bool):
            return None, f"must be true or false, not {describe(value)}"
        return value, ""


@dataclass(frozen=True)
class OneOf:
    """One of a few texts."""

    values: tuple[str, ...]
    default: str | _Required = REQUIRED

    def check(self, value: object) -> tuple[str | None, str]:
        if not isinstance(value, str):
            return None, f"must be a text in quotes, not {describe(value)}"
        if value not in self.values:
            return None, f"must be one of {', '.join(self.values)}, not {value[:40]!r}"
        return value, ""


Field = Text | Slug | Number | Whole | Flag | OneOf


def describe(value: object) -> str:
    """Return a short name of a value's TOML type."""
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def shown(value: float) -> str:
    """Return a number for a message; huge ones are cut."""
    text = f"{value:g}" if isinstance(value, float) else hex(value) if abs(value) > 10**15 else str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"


class Reader:
    """Reads the tables of one file; problems gather in the list it was given."""

    def __init__(self, file: str, lines: Mapping[KeyPath, int], problems: list[Problem]) -> None:
        self.file = file
        self.lines = lines
        self.problems = problems

    def where(self, path: KeyPath) -> Where:
        """Return the place of a path, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return Where(self.file, self.lines.get(path, 1))

    def refuse(self, path: KeyPath, message: str) -> None:
        where = self.where(path)
        self.problems.append(Problem(where.file, where.line, message))

    def table(
        self, table: Mapping[str, Any], path: KeyPath, fields: Mapping[str, Field], also: tuple[str, ...] = ()
    ) -> dict[str, Any] | None:
        """Check a table.

        Args: path: of the table; fields: what it may hold; also: keys that the caller reads.
        Returns: every field's value, defaults filled in; None if anything was wrong (noted).
        """
        noted = len(self.problems)
        for key in table:
            if key not in fields and key not in also:
                self.refuse((*path, key), unknown_key(key, [*fields, *also]))
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in table:
                value, fault = field.check(table[name])
                if fault:
                    self.refuse(
                        (*path, name), f"{name} {fault}" if not fault.startswith("'") else f"{name} = {fault}"
                    )
                values[name] = value
            elif field.default is REQUIRED:
                self.refuse(path, f"{name} is missing")
            else:
                values[name] = field.default
        return values if len(self.problems) == noted else None

    def tables(
        self, document: Mapping[str, Any], name: str, limit: int
    ) -> list[tuple[dict[str, Any], KeyPath]]:
        """Return the tables of `[[name]]` with their paths; what is no table is noted and left out."""
        items = document.get(name, [])
        if not isinstance(items, list):
            self.refuse((name,), f"write [[{name}]] (two brackets on each side): there may be several")
            return []
        if len(items) > limit:
            self.refuse((name, limit), f"more than {limit} [[{name}]]")
            items = items[:limit]
        tables: list[tuple[dict[str, Any], KeyPath]] = []
        for index, item in enumerate(items):
            if isinstance(item, dict):
                tables.append((item, (name, index)))
            else:
                self.refuse((name, index), f"{name} holds {describe(item)} where a table is expected")
        return tables


def unknown_key(key: str, known: list[str]) -> str:
    """Return the message for a key that nobody reads."""
    near = get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {key[:40]!r}; {hint}"
