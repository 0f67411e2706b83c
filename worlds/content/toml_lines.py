"""Where each key of a TOML document stands: tomllib tells values but no lines.

Works on text that tomllib has accepted, and only then: it finds ends of values and does not judge them.
"""

import re

KeyPath = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(["\\bfnrte]))')
_SHORT_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}
_PLAIN_VALUE_END = re.compile(r"[,\]}\n#]")
_SPACE = re.compile(r"[ \t]*")
_SPACE_LINES_COMMENTS = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")


def key_lines(source: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every key, table and array element of a document.

    Args: source: text that tomllib accepts.
    Returns: path to line; `("links", 2, "target")` is key `target` of the third `[[links]]`.
    """
    scan = _Scan(source.replace("\r\n", "\n"))
    scan.document()
    return scan.lines


class _Scan:
    """A cursor over the text. `lines` grows as keys are met; a path met twice keeps its first line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._line = 1  # of the offset _counted
        self._counted = 0
        self._array_sizes: dict[KeyPath, int] = {}

    def line(self) -> int:
        """Return the line of the cursor; the cursor never goes back."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def sees(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self.skip(_SPACE_LINES_COMMENTS)
            if self.at >= len(self.text):
                return
            if self.sees("[["):
                table = self.array_header()
            elif self.sees("["):
                table = self.table_header()
            else:
                self.assignment(table)

    def note(self, path: KeyPath, line: int) -> None:
        self.lines.setdefault(path, line)

    def resolved(self, keys: list[str]) -> KeyPath:
        """Return the path of a header's keys, with the newest element where a key names an array."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in self._array_sizes:
                path = (*path, self._array_sizes[path] - 1)
        return path

    def table_header(self) -> KeyPath:
        line = self.line()
        self.at += 1
        keys = self.dotted_key()
        self.at += 1  # ]
        for length in range(1, len(keys) + 1):
            self.note(self.resolved(keys[:length]), line)
        return self.resolved(keys)

    def array_header(self) -> KeyPath:
        line = self.line()
        self.at += 2
        keys = self.dotted_key()
        self.at += 2  # ]]
        parent = self.resolved(keys[:-1])
        for length in range(1, len(keys)):
            self.note(self.resolved(keys[:length]), line)
        array = (*parent, keys[-1])
        index = self._array_sizes.get(array, 0)
        self._array_sizes[array] = index + 1
        self.note(array, line)
        self.note((*array, index), line)
        return (*array, index)

    def assignment(self, table: KeyPath) -> None:
        line = self.line()
        path = table
        for key in self.dotted_key():
            path = (*path, key)
            self.note(path, line)
        self.at += 1  # =
        self.skip(_SPACE)
        self.value(path)

    def dotted_key(self) -> list[str]:
        """Read `a."b".c` and the spaces around it."""
        keys = []
        while True:
            self.skip(_SPACE)
            keys.append(self.key())
            self.skip(_SPACE)
            if not self.sees("."):
                return keys
            self.at += 1

    def key(self) -> str:
        if self.sees('"') or self.sees("'"):
            return self.string()
        match = _BARE_KEY.match(self.text, self.at)
        if match is None:
            raise ValueError(f"line {self.line()}: no key here; key_lines wants text that tomllib accepts")
        self.at = match.end()
        return match.group()

    def value(self, path: KeyPath) -> None:
        if self.sees('"') or self.sees("'"):
            self.string()
        elif self.sees("["):
            self.array(path)
        elif self.sees("{"):
            self.inline_table(path)
        else:
            match = _PLAIN_VALUE_END.search(self.text, self.at)
            self.at = match.start() if match else len(self.text)

    def array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(_SPACE_LINES_COMMENTS)
            if self.sees("]"):
                break
            self.note((*path, index), self.line())
            self.value((*path, index))
            index += 1
            self.skip(_SPACE_LINES_COMMENTS)
            if self.sees(","):
                self.at += 1
        self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self.skip(_SPACE)
            if self.sees("}"):
                break
            self.assignment(path)
            self.skip(_SPACE)
            if self.sees(","):
                self.at += 1
        self.at += 1

    def string(self) -> str:
        """Pass a string of any of the four forms; returns its text (exact for the one-line forms: keys)."""
        quote = self.text[self.at]
        if self.sees(quote * 3):
            return self.long_string(quote)
        start = self.at = self.at + 1
        while not self.sees(quote):
            self.at += 2 if quote == '"' and self.sees("\\") else 1
            if self.at >= len(self.text):
                raise ValueError("a string has no end; key_lines wants text that tomllib accepts")
        raw = self.text[start : self.at]
        self.at += 1
        return _ESCAPE.sub(_unescape, raw) if quote == '"' else raw

    def long_string(self, quote: str) -> str:
        start = self.at = self.at + 3
        while not self.sees(quote * 3):
            self.at += 2 if quote == '"' and self.sees("\\") else 1
            if self.at >= len(self.text):
                raise ValueError("a string has no end; key_lines wants text that tomllib accepts")
        while self.sees(quote * 4):  # up to two quotes may stand before the closing three
            self.at += 1
        raw = self.text[start : self.at]
        self.at += 3
        return raw


def _unescape(match: re.Match[str]) -> str:
    short, long, letter = match.groups()
    return chr(int(short or long, 16)) if short or long else _SHORT_ESCAPES[letter]
