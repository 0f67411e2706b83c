"""The file beside each backup that says what it is: made last, so a backup without one was never whole."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from waystone.backups.errors import NotWhole
from waystone.backups.rules import is_backup_name
from zonecluster.protocol.unreadable import UNREADABLE

SUFFIX = ".manifest.json"
MAX_BYTES = 1 << 20
_FILE = re.compile(r"[a-z0-9][a-zA-Z0-9-]{0,79}(\.[a-z]{1,10}){1,3}")

FileName = Annotated[str, Meta(max_length=120)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Part(Struct, frozen=True):
    """One file of a backup. `size`: bytes; `sha256`: of the file as it lies there, sealed or not."""

    name: FileName
    size: Annotated[int, Meta(ge=0)]
    sha256: Digest


class Census(Struct, frozen=True):
    """What was in the database at the backup's snapshot. `rows`: by table; `heads`: digest of all lines."""

    rows: dict[str, Annotated[int, Meta(ge=0)]]
    heads: str


class Manifest(Struct, frozen=True):
    """A backup. `parts`: the dump first; `recipient`: of age, empty: not sealed; `server`: as 180006.

    `mac`: hex, as authenticity.py has it; empty: of a Waystone that signed none.
    """

    name: FileName
    label: str
    role: str
    at: datetime
    server: int
    recipient: str
    parts: Annotated[list[Part], Meta(min_length=1, max_length=4)]
    census: Census
    format: int = 1
    mac: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""

    @property
    def dump(self) -> Part:
        return self.parts[0]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(part.size for part in self.parts)

    @property
    def file_name(self) -> str:
        return self.name + SUFFIX


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as its file has it."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)


def decode_manifest(raw: bytes) -> Manifest:
    """Return what a manifest file says. Others may have written it: no name in it may lead elsewhere.

    Raises: NotWhole: it is none, or of a later format.
    """
    try:
        manifest = msgspec.json.decode(raw[: MAX_BYTES + 1], type=Manifest)
    except UNREADABLE as error:
        raise NotWhole(f"This is no manifest of a backup: {error}.") from error
    if manifest.format != 1:
        raise NotWhole(
            f"The manifest is of format {manifest.format}: a newer Waystone wrote it; update first."
        )
    names = [part.name for part in manifest.parts]
    if not is_backup_name(manifest.name) or not all(
        _FILE.fullmatch(name) and name.startswith(manifest.name + ".") for name in names
    ):
        raise NotWhole(f"The manifest names files that are not of a backup: {', '.join(names)[:200]}.")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file. Raises: NotWhole; OSError."""
    with path.open("rb") as file:
        return decode_manifest(file.read(MAX_BYTES + 1))
