"""Where copies of backups go: a folder of another machine's disk, or an S3-compatible store."""

import hashlib
import io
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from waystone.backup_config import BucketAccess
from waystone.backups.errors import BackupError, NotWhole, TargetGone
from waystone.backups.files import CHUNK_BYTES, copy_stream, sync_folder, whole_file

TIMEOUT = timedelta(seconds=60)  # without a byte
RETRIES = 3
WRONG_KEY = ("PermissionDenied", "Unauthenticated")


class Target(Protocol):
    """A flat or nested set of named files; names are our own, with / between folders."""

    def __str__(self) -> str: ...
    def put(self, path: Path, name: str) -> None: ...
    def put_bytes(self, content: bytes, name: str) -> None: ...
    def read(self, name: str) -> Iterator[bytes]: ...
    def names(self, folder: str = "") -> list[str]: ...
    def delete(self, name: str) -> None: ...


class FolderTarget:
    """A folder, as a rule a mount. It must be there: an empty mount point is not filled by mistake."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def put(self, path: Path, name: str) -> None:
        """Copy a file. Raises: TargetGone; NoRoom; OSError."""
        with path.open("rb") as source, whole_file(self._place(name)) as sink:
            copy_stream(source, sink.write)

    def put_bytes(self, content: bytes, name: str) -> None:
        with whole_file(self._place(name)) as sink:
            sink.write(content)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a file as the disk has it. Raises: NotWhole: it is not there."""
        try:
            with (self._folder / name).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise NotWhole(f"{self._folder / name} is not there.") from error

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the files in a folder, and of its folders, sorted."""
        self._check()
        inside = self._folder / folder
        if not inside.is_dir():
            return []
        return sorted(str(path.relative_to(self._folder)) for path in inside.iterdir() if path.name[0] != ".")

    def delete(self, name: str) -> None:
        self._check()
        (self._folder / name).unlink(missing_ok=True)

    def _check(self) -> None:
        if not self._folder.is_dir():
            raise TargetGone(f"The folder {self._folder} is not there. Mount it, or make it.")

    def _place(self, name: str) -> Path:
        self._check()
        place = self._folder / name
        if not place.parent.is_dir():
            place.parent.mkdir(parents=True)
            sync_folder(place.parent.parent)
        return place


class BucketTarget:
    """A bucket of an S3-compatible store, and a prefix in it."""

    def __init__(self, url: str, access: BucketAccess) -> None:
        parts = urlsplit(url)
        self._url = url.rstrip("/")
        given = {
            "endpoint": access.endpoint,
            "region": access.region or ("us-east-1" if access.endpoint else ""),
            "access_key_id": access.key,
            "secret_access_key": access.secret,
        }
        options: dict[str, Any] = {key: value for key, value in given.items() if value}
        client: Any = {
            "timeout": timedelta(hours=1),
            "connect_timeout": timedelta(seconds=10),
            "read_timeout": TIMEOUT,
        }
        if access.endpoint.startswith("http://"):
            client["allow_http"] = True  # of a network of one's own; backups may be sealed
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options=client,
            retry_config={"max_retries": RETRIES, "retry_timeout": TIMEOUT},
            virtual_hosted_style_request=False,
            **options,
        )

    def __str__(self) -> str:
        return self._url

    def put(self, path: Path, name: str) -> None:
        """Copy a file, in parts if it is large. Raises: TargetGone."""
        with path.open("rb") as source:
            self._do(lambda: obstore.put(self._store, name, source))

    def put_bytes(self, content: bytes, name: str) -> None:
        self._do(lambda: obstore.put(self._store, name, io.BytesIO(content)))

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a file. Raises: NotWhole: it is not there. TargetGone."""
        try:
            for chunk in obstore.get(self._store, name).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except FileNotFoundError as error:
            raise NotWhole(f"{self}/{name} is not there.") from error
        except BaseError as error:
            raise self._gone(error) from error

    def names(self, folder: str = "") -> list[str]:
        prefix = f"{folder.rstrip('/')}/" if folder else None
        found = self._do(lambda: obstore.list_with_delimiter(self._store, prefix))
        return sorted([*(each["path"] for each in found["objects"]), *found["common_prefixes"]])

    def delete(self, name: str) -> None:
        try:
            self._do(lambda: obstore.delete(self._store, name))
        except NotWhole:
            return  # it is gone, as was wanted

    def _do(self, call: Any) -> Any:
        try:
            return call()
        except FileNotFoundError as error:
            raise TargetGone(f"{self}: there is no such bucket. {_first_line(error)}") from error
        except BaseError as error:
            raise self._gone(error) from error

    def _gone(self, error: BaseError) -> BackupError:
        kind = type(error).__name__
        is_refused = kind.startswith(WRONG_KEY) or "403" in str(error)
        advice = "Check WAYSTONE_BACKUP_BUCKET_KEY and _SECRET." if is_refused else "Is the store up?"
        return TargetGone(f"{self}: {_first_line(error)} {advice}")


def target_of(url: str, access: BucketAccess) -> Target | None:
    """Return the target that a setting names; None: nowhere."""
    if not url:
        return None
    return BucketTarget(url, access) if url.startswith("s3://") else FolderTarget(Path(url))


def verify_copy(target: Target, name: str, *, size: int, sha256: str) -> None:
    """Read a copy back. Raises: NotWhole: it is not what was written. TargetGone."""
    digest, read = hashlib.sha256(), 0
    for chunk in at_most(size, target.read(name), f"{target}/{name}"):
        digest.update(chunk)
        read += len(chunk)
    if (read, digest.hexdigest()) != (size, sha256):
        raise NotWhole(f"{target}/{name}: read back, it is not what was written ({read} bytes of {size}).")


def at_most(size: int, chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    """Yield what a target gives, which may be somebody else's. Raises: NotWhole: it has more bytes."""
    read = 0
    for chunk in chunks:
        read += len(chunk)
        if read > size:
            raise NotWhole(f"{what} is not what was written: it has more than {size:,} bytes.")
        yield chunk


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
