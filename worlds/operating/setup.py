"""A world's set-up as the master sees it: what its reports say, when to look at it, and what was seen."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import World, WorldKey, WorldSetup
from worlds.operating.reaching import Look, look
from worlds.operating.setup_rules import MAX_DOORS, Facts, Step, is_done, next_look, steps
from worlds.rules import is_online
from worlds.signing import signing_keys

log = structlog.get_logger(__name__)

LOOK = "worlds.look_at_world"  # the task, by its name: tasks import this module
ASK_AHEAD = timedelta(seconds=6)  # doors come with the report after the one that was answered so


def note_report(*, world: World, doors: Sequence[bytes], zones: int, now: datetime) -> bool:
    """Take from a report what the set-up page shows; have the world looked at if that is due.

    Returns: whether the world shall send its doors with the next report.
    """
    setup = WorldSetup.objects.filter(world=world).first()
    if setup is None:
        return False
    if setup.zones != zones:
        zone_at = setup.zone_at or (now if zones else None)
        WorldSetup.objects.filter(pk=setup.pk).update(zones=zones, zone_at=zone_at)
        _open_when_done(world, now)
    if setup.check_at is None:
        return False
    if now >= setup.check_at and (doors or setup.gateway_at is None or setup.gateway_fault):
        later = next_look(is_well=False, looks=setup.looks, now=now)
        # One look at a time, however many reports come meanwhile.
        if WorldSetup.objects.filter(pk=setup.pk, check_at=setup.check_at).update(check_at=later):
            transaction.on_commit(partial(_send_off, world.pk, list(doors[:MAX_DOORS])))
    is_new = setup.udp_at is None or setup.zone_at is None
    return is_new or now >= setup.check_at - ASK_AHEAD


def _send_off(world_id: int, doors: list[bytes]) -> None:
    try:
        current_app.send_task(LOOK, [world_id, [b64encode(door).decode() for door in doors]])
    except OperationalError as error:  # the broker is away: it is tried again when the next look is due
        log.warning("look_not_sent", world=world_id, cause=str(error))


def carry_out_look(*, world_id: int, doors: Sequence[str], now: datetime) -> Look | None:
    """Call a world, and write down what came of it. Returns: None if the world is gone."""
    world = World.objects.filter(pk=world_id).first()
    if world is None:
        return None
    key = signing_keys(settings.CONFIG.signing_keys_dir).newest
    seen = look(world, key, [b64decode(door) for door in doors], now)
    note_look(world=world, seen=seen, now=now)
    return seen


def note_look(*, world: World, seen: Look, now: datetime) -> None:
    """Write down what a look has shown."""
    with transaction.atomic():
        setup = WorldSetup.objects.select_for_update().get(world=world)
        setup.checked_at = now
        setup.gateway_fault = seen.gateway_fault
        if not seen.gateway_fault:
            setup.gateway_at = now
        if seen.has_doors:
            setup.udp_fault, setup.udp_addresses = seen.udp_fault, seen.udp_addresses
            if not seen.udp_fault:
                setup.udp_at = now
        is_well = not seen.gateway_fault and seen.has_doors and not seen.udp_fault
        setup.looks = 0 if is_well else setup.looks + 1
        setup.check_at = next_look(is_well=is_well, looks=setup.looks, now=now)
        setup.save()
        _open_when_done(world, now)


def _open_when_done(world: World, now: datetime) -> None:
    """Put a world into the list once all steps have succeeded; only the first time."""
    with transaction.atomic():
        world.refresh_from_db()
        setup = WorldSetup.objects.select_for_update().get(world=world)
        if setup.opened_at is not None or not is_done(steps_of(world, setup, now)):
            return
        setup.opened_at = now
        setup.save(update_fields=["opened_at"])
        World.objects.filter(pk=world.pk).update(is_listed=True)
        record_audit(action="world_opened", target=world.slug, world_slug=world.slug, now=now)
    log.info("world_opened", world=world.slug)


def steps_of(world: World, setup: WorldSetup, now: datetime) -> list[Step]:
    """Return how far the set-up is. One query."""
    return steps(
        Facts(
            called_at=setup.called_at,
            call_fault=setup.call_fault,
            has_key=WorldKey.objects.filter(world=world, revoked_at=None).exists(),
            is_online=is_online(world.last_report_at, now),
            last_report_at=world.last_report_at,
            gateway_url=world.gateway_url,
            gateway_at=setup.gateway_at,
            gateway_fault=setup.gateway_fault,
            udp_at=setup.udp_at,
            udp_fault=setup.udp_fault,
            udp_addresses=setup.udp_addresses,
            zone_at=setup.zone_at,
            master_url=settings.PUBLIC_URL,
            now=now,
        )
    )


def look_again(*, world: World, by: Account, now: datetime) -> None:
    """Have gateway and UDP looked at with the next report."""
    with transaction.atomic():
        WorldSetup.objects.update_or_create(world=world, defaults={"check_at": now, "looks": 0})
        record_audit(action="world_look_asked", account=by, target=world.slug, now=now)
