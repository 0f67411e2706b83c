"""Keeping the replica of a deployment's world: what Celery and `manage.py replica` call, and its alarm."""

from datetime import datetime

import structlog
from django.core.cache import cache
from pyrage.x25519 import Identity

from waystone.backup_config import BackupConfig
from waystone.backups import replica
from waystone.backups.errors import BackupError
from waystone.backups.keeping import EXPECTED, deployment, words
from waystone.backups.replica import Loaded, Shipped
from waystone.backups.sealing import read_key_file
from waystone.backups.targets import Target, target_of
from worlds.alarms import end_alarm, raise_alarm
from worlds.models import World

log = structlog.get_logger(__name__)

ALARM = "replica_target"
CLEANED = "replica-cleaned"  # in the cache: old days were deleted lately
CLEAN_SECONDS = 6 * 3600


def is_wanted() -> bool:
    """Return whether receipts are to be written elsewhere: a target is set, and a world runs here."""
    config = deployment()
    return bool(config.backup.replica_target) and config.role in ("all", "world")


def ship_receipts(now: datetime) -> Shipped:
    """Write what the target does not have yet. Raises: what EXPECTED names."""
    world, target, identity = _parts()
    return replica.ship(world, target, identity, now)


def load_replica(now: datetime) -> Loaded:
    """Bring back what the database has lost. Raises: what EXPECTED names."""
    world, target, identity = _parts()
    return replica.load(world, target, identity, now)


def standing() -> str:
    """Say how far the replica is. Raises: what EXPECTED names."""
    world, target, _ = _parts()
    newest, behind = replica.standing(world, target)
    return f"{target}: up to receipt {newest} of {world.slug}; {behind} are still to be written."


def keep_replicating(now: datetime) -> None:
    """Write what is new, forget what is old; an alarm where that fails. It is tried again."""
    world = World.objects.filter(slug=deployment().world).first()
    if world is None or not is_wanted():
        return
    try:
        shipped = ship_receipts(now)
        _, target, _ = _parts()
        if cache.add(CLEANED, "1", CLEAN_SECONDS):
            replica.forget_old_days(world, target, now)
    except EXPECTED as error:
        log.error("replica_not_written", world=world.slug, cause=words(error))
        raise_alarm(
            key=ALARM,
            text=f"Receipts cannot be written to another host: {words(error)}",
            advice="They stay here for 14 days, and are written when it works: WAYSTONE_REPLICA_TARGET.",
            now=now,
            world=world,
        )
        return
    if shipped.rows:
        log.info("replica_written", world=world.slug, rows=shipped.rows, behind=shipped.behind)
    end_alarm(key=ALARM, now=now, world=world)


def _parts() -> tuple[World, Target, Identity | None]:
    config = deployment()
    target = _target(config.backup)
    world = World.objects.filter(slug=config.world).first()
    if world is None:
        raise BackupError(
            f"The world {config.world!r} is not in this database. Start it once (manage.py up), or restore a "
            "backup."
        )
    identity = read_key_file(config.backup.key_file) if config.backup.key_file else None
    return world, target, identity


def _target(config: BackupConfig) -> Target:
    target = target_of(config.replica_target, config.bucket)
    if target is None:
        raise BackupError("WAYSTONE_REPLICA_TARGET is not set: receipts are written nowhere else.")
    return target
