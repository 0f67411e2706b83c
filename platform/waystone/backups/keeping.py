"""The life of backups: made, copied away, proven, kept, forgotten. Each step may be done again.

One process at a time looks after them: it holds an advisory lock of the database, which ends with it, however
it ends. Who gets the lock next finds by the rows what was left half-way.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import django.db
import psycopg
import structlog
from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min

from waystone.backup_config import BackupConfig
from waystone.backups import rules
from waystone.backups.authenticity import check_signature, manifest_key, signed
from waystone.backups.database import Database, database_of_url, own_database
from waystone.backups.drill import Proof, restore_and_prove
from waystone.backups.dumping import Job, OnProgress, dump, scratch
from waystone.backups.errors import BackupError, NoRoom, NotOurs, NotWhole, TargetGone
from waystone.backups.files import TEMPORARY, whole_file
from waystone.backups.keys_archive import SUFFIX as KEYS_SUFFIX
from waystone.backups.keys_archive import archive_keys
from waystone.backups.manifest import SUFFIX, Manifest, encode_manifest, read_manifest
from waystone.backups.sealing import read_key_file
from waystone.backups.targets import Target, target_of, verify_copy
from waystone.backups.tools import find_tools
from waystone.config import Config
from worlds.models import Backup, PopulationHour

log = structlog.get_logger(__name__)

LOCK = 5_317_022_411  # of our own, in the database's space of advisory locks
LEARN_FROM = timedelta(weeks=8)
SCRATCH = "_drill_"
MAX_ERROR, MAX_PROGRESS = 400, 120
# What making, copying or proving may raise without being a fault of ours.
EXPECTED = (BackupError, OSError, psycopg.Error)


class Busy(BackupError):
    """Another process looks after the backups just now."""


def backup_config() -> BackupConfig:
    """Return this deployment's settings of backups."""
    return deployment().backup


def deployment() -> Config:
    """Return this deployment's settings."""
    config: Config = settings.CONFIG
    return config


def label(config: Config) -> str:
    """Return what this deployment's backups are called after."""
    return config.world if config.role == "world" else "master"


@contextmanager
def exclusive() -> Iterator[None]:
    """Be the one process that looks after backups.

    Raises: Busy: another one is.
    """
    with own_database().connect(autocommit=True) as opened:
        got = opened.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchall()[0][0]
        if not got:
            raise Busy("Another process is making, proving or restoring a backup just now. Try again later.")
        yield


def quiet_hour(config: BackupConfig, now: datetime) -> int:
    """Return the hour of UTC in which backups are begun."""
    if config.hour is not None:
        return config.hour
    hours = PopulationHour.objects.filter(at__gte=now - LEARN_FROM).values_list("at", "mean")
    return rules.quietest_hour(hours)


def born_at(now: datetime) -> datetime:
    """Return when this deployment began: when its database had its first migration."""
    first = MigrationRecorder.Migration.objects.aggregate(at=Min("applied"))["at"]
    return first or now


def is_due(config: BackupConfig, now: datetime) -> bool:
    """Return whether a backup is to be begun now. By the clock, and by what became of the last ones."""
    made = Backup.objects.exclude(state__in=[Backup.State.RUNNING, Backup.State.FAILED])
    last_good = made.order_by("-started_at").values_list("started_at", flat=True).first()
    failed = Backup.objects.filter(state=Backup.State.FAILED, ended_at__isnull=False)
    if last_good is not None:
        failed = failed.filter(started_at__gt=last_good)
    ends = [at for at in failed.values_list("ended_at", flat=True)[:20] if at is not None]
    return rules.is_due(now, quiet_hour(config, now), born_at(now), last_good, ends)


def new_job(config: BackupConfig, database: Database, on_progress: OnProgress) -> Job:
    """Return what is needed to work on a database. Raises: NoTools; BackupError: the key cannot be read."""
    identity = read_key_file(config.key_file) if config.key_file else None
    tools = find_tools(database.server_version(), config.tools)
    return Job(tools, identity, time.monotonic() + config.time_limit_h * 3600, on_progress)


def tidy(config: BackupConfig, now: datetime) -> None:
    """End what a process that is gone has left: rows, files half-way, scratch databases. Hold the lock."""
    for row in Backup.objects.filter(state=Backup.State.RUNNING):
        _fail(row, "The process that made it ended before it was done.", now)
        _forget_files(config, row)
    for file in config.folder.glob(f".*{TEMPORARY}"):
        file.unlink(missing_ok=True)
    _drop_scratch(own_database())
    if config.drill_url:
        try:
            _drop_scratch(drill_server(config))
        except psycopg.Error as error:  # the drill will say so; a backup is made all the same
            log.warning("drill_server_does_not_answer", cause=words(error))


def _drop_scratch(place: Database) -> None:
    for name in _scratch_names(place):
        place.named(name).drop()
        log.warning("scratch_database_dropped", database=name)


def _forget_files(config: BackupConfig, row: Backup) -> None:
    """Delete what a backup that failed has left, or each attempt leaves a dump. A whole one stays."""
    if (config.folder / f"{row.name}{SUFFIX}").exists():
        return
    for file in config.folder.glob(f"{row.name}.*"):
        file.unlink(missing_ok=True)


def drill_server(config: BackupConfig) -> Database:
    """Return a database of the server on which scratch databases are made."""
    return database_of_url(config.drill_url) if config.drill_url else own_database()


def _scratch_names(place: Database) -> list[str]:
    with place.named("postgres").connect() as opened:
        rows = opened.execute("SELECT datname FROM pg_database").fetchall()
    return [str(name) for (name,) in rows if str(name).startswith(_scratch_prefix())]


def scratch_name(now: datetime) -> str:
    """Return what a scratch database is called that is made now."""
    return f"{_scratch_prefix()}{now:%Y%m%d%H%M%S}"


def _scratch_prefix() -> str:
    """Return how our scratch databases are called: another deployment's on the same server are not ours."""
    own = own_database()
    ours = f"{own.keywords.get('host')} {own.keywords.get('port')} {own.name} {deployment().state_dir}"
    return f"{own.name[:30]}{SCRATCH}{hashlib.sha256(ours.encode()).hexdigest()[:8]}_"


def adopt(config: BackupConfig, now: datetime) -> None:
    """Know backups again whose rows the database has forgotten: it was restored since. Hold the lock."""
    try:
        key = manifest_key(config)
    except BackupError as error:  # making one will say so, with an alarm
        log.warning("manifests_left_alone", cause=str(error))
        return
    for path in sorted(config.folder.glob(f"*{SUFFIX}")):
        try:
            manifest = read_manifest(path)
            check_signature(manifest, key)
        except (NotWhole, NotOurs, OSError) as error:
            log.warning("manifest_left_alone", file=path.name, cause=str(error))
            continue
        dumped = config.folder / manifest.dump.name
        rows = Backup.objects.filter(name=manifest.name)
        # Of those that failed, one that a drill found damaged stays so: another one is due in its place.
        known = rows.exclude(state=Backup.State.FAILED) | rows.filter(report__has_key="failed_at")
        if known.exists() or not dumped.is_file() or manifest.label != label(deployment()):
            continue
        fields = {
            **_made_fields(manifest, dumped),
            "started_at": manifest.at,
            "ended_at": now,
            "progress": "found in the folder",
            "error": "",
        }
        Backup.objects.update_or_create(name=manifest.name, defaults=fields)
        log.info("backup_adopted", name=manifest.name)


def make_backup(
    config: BackupConfig, now: datetime, on_progress: OnProgress, clock: Callable[[], datetime]
) -> Backup:
    """Make a backup of this deployment's database. Hold the lock.

    Raises: what EXPECTED names; the row says it, too.
    """
    at = now
    while Backup.objects.filter(name=rules.backup_name(label(deployment()), at)).exists():
        at += timedelta(seconds=1)
    name = rules.backup_name(label(deployment()), at)
    row = Backup.objects.create(name=name, started_at=now, place=str(config.folder))
    log.info("backup_begun", name=row.name)
    try:
        manifest = _make_files(config, row, _kept_in(row, on_progress))
    except EXPECTED as error:
        _fail(row, words(error), clock())
        _forget_files(config, row)
        raise
    fields = {
        **_made_fields(manifest, config.folder / manifest.dump.name),
        "ended_at": clock(),
        "progress": "made",
    }
    _update(row, **fields)
    log.info("backup_made", name=row.name, size=row.size, sha256=row.sha256)
    return row


def _make_files(config: BackupConfig, row: Backup, on_progress: OnProgress) -> Manifest:
    database, own = own_database(), deployment()
    config.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_room(config)
    job = new_job(config, database, on_progress)
    sealed = ".age" if job.identity is not None else ""
    part, census = dump(database, config.folder / f"{row.name}.dump{sealed}", job)
    parts = [part]
    if job.identity is not None:
        parts.append(archive_keys(own, config.folder / f"{row.name}{KEYS_SUFFIX}", job.identity))
    manifest = Manifest(
        name=row.name,
        label=label(own),
        role=own.role,
        at=row.started_at,
        server=database.server_version(),
        recipient=str(job.identity.to_public()) if job.identity is not None else "",
        parts=parts,
        census=census,
    )
    manifest = signed(manifest, manifest_key(config))
    with whole_file(config.folder / manifest.file_name) as file:
        file.write(encode_manifest(manifest))
    return manifest


def _check_room(config: BackupConfig) -> None:
    last = Backup.objects.filter(size__gt=0).order_by("-started_at").values_list("size", flat=True).first()
    free = shutil.disk_usage(config.folder).free
    if last is not None and free < last:
        raise NoRoom(
            f"No room in {config.folder}: the last backup had {last:,} bytes, and {free:,} are free. "
            "Make room, or set WAYSTONE_BACKUP_DIR to another disk."
        )


def copy_backup(config: BackupConfig, row: Backup, now: datetime) -> None:
    """Copy a backup to the target, and read it back. Nothing happens if it is there, or there is no target.

    Raises: TargetGone, NoRoom, NotWhole, OSError.
    """
    target = target_of(config.target, config.bucket)
    if target is None or (row.copied_at is not None and row.target == str(target)):
        return
    check_target(target)
    manifest = read_manifest(config.folder / f"{row.name}{SUFFIX}")
    for part in manifest.parts:
        target.put(config.folder / part.name, part.name)
        verify_copy(target, part.name, size=part.size, sha256=part.sha256)
    target.put_bytes(encode_manifest(manifest), manifest.file_name)
    _update(row, target=str(target), copied_at=now)
    log.info("backup_copied", name=row.name, target=str(target))


def check_target(target: Target) -> None:
    """Raises: TargetGone: of all that was copied there nothing is there: a mount point without its disk."""
    copied = Backup.objects.filter(target=str(target), copied_at__isnull=False)
    wanted = set(copied.exclude(state=Backup.State.DELETED).values_list("name", flat=True))
    there = {name.removesuffix(SUFFIX) for name in target.names()}
    if wanted and not wanted & there:
        raise TargetGone(
            f"{target}: none of {len(wanted)} copies is there. Is the disk mounted, is it the right bucket?"
        )


def prove_backup(config: BackupConfig, row: Backup, now: datetime, on_progress: OnProgress) -> Proof:
    """Restore a backup into a scratch database and check it; the database is dropped again. Hold the lock.

    Raises: what EXPECTED names; the row says it, too.
    """
    server = drill_server(config)
    name = scratch_name(now)
    try:
        manifest = read_manifest(config.folder / f"{row.name}{SUFFIX}")
        job = new_job(config, server, _kept_in(row, on_progress))
        with scratch(server.named(name)) as database:
            proof = restore_and_prove(config.folder / manifest.dump.name, manifest, database, job)
    except EXPECTED as error:
        failed: dict[str, object] = {"progress": "the drill failed", "report": {"failed_at": now.isoformat()}}
        if isinstance(error, NotWhole):  # it is of no use: another one is due
            failed["state"] = Backup.State.FAILED
        _update(row, error=words(error), ended_at=now, **failed)
        raise
    _update(row, state=Backup.State.PROVEN, proven_at=now, report=proof.report(), progress="proven", error="")
    log.info("backup_proven", name=row.name, **proof.report())
    return proof


def forget_old(config: BackupConfig, now: datetime) -> list[str]:
    """Delete backups past their time, here and at the target. Hold the lock.

    Returns: their names. Raises: TargetGone, OSError.
    """
    rows = Backup.objects.filter(state__in=[Backup.State.MADE, Backup.State.PROVEN])
    kept = [rules.Kept(row.name, row.started_at, row.proven_at is not None) for row in rows]
    names = rules.to_delete(kept, now, days=config.keep_days, weeks=config.keep_weeks)
    target = target_of(config.target, config.bucket)
    for row in rows.filter(name__in=names):
        if target is not None and row.target == str(target):
            check_target(target)
            for name in target.names():
                if name.startswith(f"{row.name}."):
                    target.delete(name)
        for file in config.folder.glob(f"{row.name}.*"):
            file.unlink()
        _update(row, state=Backup.State.DELETED, progress="deleted: past its time")
        log.info("backup_deleted", name=row.name)
    return names


def _made_fields(manifest: Manifest, dumped: Path) -> dict[str, object]:
    return {
        "state": Backup.State.MADE,
        "place": str(dumped),
        "size": manifest.size,
        "sha256": manifest.dump.sha256,
    }


def _kept_in(row: Backup, on_progress: OnProgress) -> OnProgress:
    """Return what tells a row, too, how far it is: once a second at most."""
    last = 0.0

    def tell(what: str, done: float) -> None:
        nonlocal last
        on_progress(what, done)
        if time.monotonic() - last >= 1.0:
            last = time.monotonic()
            try:
                Backup.objects.filter(pk=row.pk).update(progress=f"{what}, {done:.0%}"[:MAX_PROGRESS])
            except django.db.Error as error:  # who tells reads the program's pipe, which must not stand still
                log.warning("backup_progress_not_told", name=row.name, cause=str(error))

    return tell


def _fail(row: Backup, words: str, now: datetime) -> None:
    _update(row, state=Backup.State.FAILED, error=words, ended_at=now, progress="")
    log.error("backup_failed", name=row.name, cause=words)


def words(error: Exception) -> str:
    """Return what an error says, in one line that fits a row."""
    return " ".join(str(error).split())[:MAX_ERROR] or type(error).__name__


def _update(row: Backup, **fields: object) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    Backup.objects.filter(pk=row.pk).update(**fields)
