"""The log file of each supervised process: kept small, and its end shown when the process dies."""

import os
from pathlib import Path

ROTATE_AT_BYTES = 10_000_000
_TAIL_BYTES = 8_000


def rotate_if_large(path: Path, limit_bytes: int = ROTATE_AT_BYTES) -> bool:
    """Move a log that has grown too large aside as `<name>.1`, in place of the one before; True if it did.

    Copied and cut, not renamed: the processes hold the file open for appending, and write on at its new end.
    """
    if not path.exists() or path.stat().st_size <= limit_bytes:
        return False
    aside = path.with_name(f"{path.name}.1")
    with path.open("rb") as old, aside.open("wb") as new:
        while block := old.read(1 << 20):
            new.write(block)
    os.truncate(path, 0)
    return True


def last_lines(path: Path, since_byte: int, count: int) -> list[str]:
    """Return the last lines that were written after a byte of the file."""
    if not path.exists():
        return []
    size = path.stat().st_size
    start = max(0 if since_byte > size else since_byte, size - _TAIL_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        text = file.read().decode(errors="replace")
    return [line for line in text.splitlines() if line.strip()][-count:]
