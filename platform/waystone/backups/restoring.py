"""A backup in place of what is there: restored beside it, proven, and only then given its name.

What was there is renamed and kept. Whatever ends this half-way leaves the old database under its own name.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from django.db import connection
from psycopg import sql

from waystone.backup_config import BackupConfig
from waystone.backups.authenticity import check_signature, manifest_key
from waystone.backups.database import Database
from waystone.backups.drill import Proof, check_file, check_part, manage, restore_and_prove
from waystone.backups.dumping import Job
from waystone.backups.errors import BackupError, NoRoom, NotOurs, NotWhole
from waystone.backups.files import whole_file
from waystone.backups.manifest import MAX_BYTES, SUFFIX, Manifest, decode_manifest, read_manifest
from waystone.backups.targets import Target, at_most, target_of, verify_copy

NEW, OLD = "_restored_", "_before_"
MAX_PREFIX = 40  # of a database's name, so that what is put after it fits into 63
TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
USERS = """
    SELECT DISTINCT coalesce(nullif(application_name, ''), 'a process') FROM pg_stat_activity
    WHERE datname = %s
"""
COLLECTING = """
    SELECT 1 FROM characters_incarnation WHERE closed_at IS NULL AND collects_since IS NOT NULL
    AND number = (SELECT max(number) FROM characters_incarnation)
"""


@dataclass(frozen=True)
class Found:
    """A backup that can be restored. `manifest`: None beside a dump that was made by hand."""

    path: Path
    manifest: Manifest | None


def find_backup(
    asked: str,
    config: BackupConfig,
    label: str,
    *,
    accept_unsigned: bool = False,
    on_passed_over: Callable[[str], None] = lambda words: None,
) -> Found:
    """Return the backup that is asked for; one that is only at the target is fetched.

    Args:
        asked: `latest`, a backup's name, or the path of a file. label: whose backups `latest` are.
        accept_unsigned: also one whose manifest is not of this deployment's key.
        on_passed_over: is told why the newest of `latest` are not taken: their manifests are not ours.
    Raises: NotOurs, NotWhole, BackupError, OSError.
    """
    key = None if accept_unsigned else manifest_key(config)
    path = Path(asked)
    if path.is_file():
        beside = path.with_name(path.name.split(".")[0] + SUFFIX)
        return Found(path, _checked(read_manifest(beside), key) if beside.is_file() else None)
    target = target_of(config.target, config.bucket)
    here = {each.name.removesuffix(SUFFIX) for each in config.folder.glob(f"*{SUFFIX}")}
    there = (
        {name.removesuffix(SUFFIX) for name in target.names() if name.endswith(SUFFIX)} if target else set()
    )
    wanted = {name for name in here | there if name.startswith(f"{label}-")} if asked == "latest" else {asked}
    not_ours: NotOurs | None = None
    for name in sorted(wanted & (here | there), reverse=True):
        try:
            return _have(name, config, target, key, is_here=name in here)
        except NotOurs as error:
            not_ours = not_ours or error
            on_passed_over(str(error))
    if not_ours is not None:
        raise not_ours
    places = f"{config.folder}" + (f" and {target}" if target else "")
    raise BackupError(f"There is no backup {asked!r} in {places}, and no file of that name.")


def _checked(manifest: Manifest, key: bytes | None) -> Manifest:
    """Return a manifest that is ours. Args: key: None: whosever it is. Raises: NotOurs."""
    if key is not None:
        check_signature(manifest, key)
    return manifest


def _have(
    name: str, config: BackupConfig, target: Target | None, key: bytes | None, *, is_here: bool
) -> Found:
    if is_here:
        manifest = _checked(read_manifest(config.folder / f"{name}{SUFFIX}"), key)
        path = config.folder / manifest.dump.name
        try:
            check_file(path, manifest)
        except NotWhole:
            if target is None:
                raise
        else:
            return Found(path, manifest)
    if target is None:
        raise BackupError(f"{name} is not in {config.folder}.")
    return _fetch(name, config.folder, target, key)


def _fetch(name: str, folder: Path, target: Target, key: bytes | None) -> Found:
    """Fetch a backup from the target; its manifest last, as when it was made."""
    raw = b"".join(at_most(MAX_BYTES, target.read(f"{name}{SUFFIX}"), f"{target}/{name}{SUFFIX}"))
    manifest = _checked(decode_manifest(raw), key)
    if manifest.name != name:
        raise NotWhole(f"{target}/{name}{SUFFIX} is the manifest of another backup.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_room(folder, manifest)
    for part in manifest.parts:
        verify_copy(target, part.name, size=part.size, sha256=part.sha256)
        with whole_file(folder / part.name) as file:
            for chunk in at_most(part.size, target.read(part.name), f"{target}/{part.name}"):
                file.write(chunk)
        check_part(folder / part.name, part)  # it was read twice, and may have been another the second time
    with whole_file(folder / manifest.file_name) as file:
        file.write(raw)
    return Found(folder / manifest.dump.name, manifest)


def _check_room(folder: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder).free
    if free < manifest.size:
        raise NoRoom(f"No room in {folder}: {manifest.name} has {manifest.size:,} bytes, {free:,} are free.")


def is_empty(database: Database) -> bool:
    """Return whether there is nothing to lose in a database: it is not there, or has no table."""
    if not database.exists():
        return True
    with database.connect() as opened:
        return int(opened.execute(TABLES).fetchall()[0][0]) == 0


def users_of(database: Database) -> list[str]:
    """Return who is connected to a database, this process left out."""
    connection.close()
    with database.named("postgres").connect() as opened:
        return sorted(str(name) for (name,) in opened.execute(USERS, [database.name]).fetchall())


def restore(
    found: Found,
    database: Database,
    job: Job,
    *,
    now: datetime,
    is_master: bool,
    accepts_findings: bool = False,
) -> tuple[Proof, str]:
    """Put a backup in the place of a database.

    Args:
        is_master: its incarnation is raised, before it gets its name: a master that is started from here on
            fences whatever was granted after the backup.
        accepts_findings: also one in which an invariant does not hold.
    Returns: what was proven, and the name under which the old database is kept; empty: there was nothing.
    Raises: BackupError, OSError, psycopg.Error; everything is as it was then.
    """
    check_free(database)
    stamp = f"{now:%Y%m%d%H%M%S}"
    new = database.named(f"{database.name[:MAX_PREFIX]}{NEW}{stamp}")
    new.create()
    try:
        proof = restore_and_prove(found.path, found.manifest, new, job, accepts_findings=accepts_findings)
        if is_master:
            raise_incarnation(new, found.manifest.name if found.manifest else found.path.name)
        job.on_progress("taking its place", 1.0)
        return proof, take_place(new, database, f"{database.name[:MAX_PREFIX]}{OLD}{stamp}")
    finally:
        new.drop()  # nothing of that name is left when it has taken its place


def check_free(database: Database) -> None:
    """Raises: BackupError: somebody is connected to it."""
    if users := users_of(database):
        raise BackupError(
            f"{', '.join(users)}: still connected to {database.name}. Stop all processes first (Ctrl-C of "
            "manage.py up; then manage.py up --servers starts the embedded servers alone)."
        )


def raise_incarnation(database: Database, backup: str) -> None:
    """Raise the incarnation of a restored master, as docs/restore.md says.

    Where the backup was made while the master collected what worlds hold, that is ended first: epochs of that
    incarnation were granted since.
    """
    with database.connect() as opened:
        is_collecting = bool(opened.execute(COLLECTING).fetchall())
    if is_collecting:
        manage(database, "restoremaster", "--finish")
    manage(database, "restoremaster", "--raise-incarnation", "--reason", f"restored from {backup}")


def take_place(new: Database, old: Database, kept_as: str) -> str:
    """Give a database another's name; both are renamed, or neither.

    Returns: the name of the old one, if any. Raises: BackupError: somebody has connected to it.
    """
    was_empty, is_there = is_empty(old), old.exists()
    connection.close()
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    try:
        with new.named("postgres").connect() as opened:
            if is_there:
                opened.execute(rename.format(sql.Identifier(old.name), sql.Identifier(kept_as)))
            opened.execute(rename.format(sql.Identifier(new.name), sql.Identifier(old.name)))
    except psycopg.errors.ObjectInUse as error:
        raise BackupError(
            f"Somebody has connected to {old.name} meanwhile. Stop all processes first."
        ) from error
    if is_there and was_empty:
        old.named(kept_as).drop()
    return kept_as if is_there and not was_empty else ""


def kept_databases(database: Database) -> list[str]:
    """Return the names of databases that a restore has put aside, oldest first."""
    with database.named("postgres").connect() as opened:
        names = [str(name) for (name,) in opened.execute("SELECT datname FROM pg_database").fetchall()]
    return sorted(name for name in names if name.startswith(f"{database.name[:MAX_PREFIX]}{OLD}"))
