"""Files that are there whole or not at all: a temporary name, fsync, rename, fsync of the folder."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from waystone.backups.errors import NoRoom

CHUNK_BYTES = 1 << 20
TEMPORARY = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CountingFile:
    """A file that is written once, front to back: counts and digests what goes through."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> int:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)
        return len(chunk)

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[CountingFile]:
    """Give a file to write; it gets its name when the block has ended well, and is gone otherwise.

    Raises: NoRoom: the disk is full. OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            counting = CountingFile(file)
            yield counting
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoom(
                f"No room in {path.parent}: {error.strerror}. Make room, or set another folder."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_stream(source: IO[bytes], write: Callable[[bytes], object]) -> None:
    """Write everything that can be read."""
    while chunk := source.read(CHUNK_BYTES):
        write(chunk)


def digest_of(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file as the disk has it, not as the cache remembers it."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room."""
    return error.errno in _FULL
