"""Reads the folder of a content pack. All of it is hostile: no links are followed, nothing large is read."""

import os
import stat
from pathlib import Path

from worlds.content.pack import Pack
from worlds.content.parse import (
    CLUSTERS_FILE,
    CREATURES_FILE,
    ITEMS_FILE,
    MAX_FILE_BYTES,
    MAX_FILES,
    PACK_FILE,
    ZONES_FOLDER,
    parse_pack,
)
from worlds.content.problems import InvalidPack, Problem

_FILES = (PACK_FILE, CLUSTERS_FILE, CREATURES_FILE, ITEMS_FILE)
_LAYOUT = f"a pack holds {', '.join(_FILES)}, {ZONES_FOLDER}*.toml and *.md"


def load_pack(folder: Path) -> tuple[Pack, list[Problem]]:
    """Read, parse and check a content pack.

    Returns: the pack and its warnings.
    Raises: InvalidPack: with every problem found.
    """
    files, refused = read_files(folder)
    pack, found = parse_pack(files)
    if pack is None or refused:
        raise InvalidPack(refused + found)
    return pack, found


def read_files(folder: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """Read the TOML files of a pack.

    Returns: relative path to content, and a problem for everything that does not belong there.
    """
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    if not folder.is_dir():
        return files, [Problem(str(folder), 1, "is not a folder")]
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(".") or (name.endswith(".md") and not path.is_symlink()):
            continue
        if len(files) >= MAX_FILES:
            problems.append(Problem(name, 1, f"more than {MAX_FILES} files"))
            break
        fault = _fault(path, name)
        if fault:
            problems.append(Problem(_printable(name), 1, fault))
            continue
        try:
            files[name] = _read(path)
        except OSError as error:
            problems.append(Problem(name, 1, f"cannot be read: {error.strerror}"))
    return files, problems


def _entries(folder: Path) -> list[Path]:
    """Return what lies in the pack and in its zones folder, without following links."""
    found = sorted(folder.iterdir())
    zones = folder / ZONES_FOLDER
    if zones.is_dir() and not zones.is_symlink():
        found.remove(zones)
        found += sorted(zones.iterdir())
    return found


def _fault(path: Path, name: str) -> str:
    """Return why an entry is refused; empty if it is a file of the pack."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "is a symbolic link: put the file itself here"
    is_zone = name.startswith(ZONES_FOLDER) and name.endswith(".toml")
    if not is_zone and name not in _FILES:
        return f"does not belong here: {_LAYOUT}"
    if not stat.S_ISREG(mode):
        return "is not a plain file"
    if name != _printable(name):
        return "has a name that is not printable"
    return ""


def _read(path: Path) -> bytes:
    """Return the content, cut just over the limit (the parser refuses it). A link made meanwhile fails."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name.encode("utf-8", "replace").decode("utf-8"))
