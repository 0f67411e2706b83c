"""A machine proves that it is a world's: by a code, once, and from then on by the key that it made."""

from datetime import datetime

import structlog
from django.db import transaction

from accounts.services import record_audit
from worlds.models import World, WorldKey, WorldSetup
from worlds.operating.registering import fault_of_code
from worlds.services import KeyRefused, register_world_key
from worlds.uplink.joining import Joined

log = structlog.get_logger(__name__)


class JoinRefused(Exception):
    """The machine is not the world's; the message says why and what to do, for its operator."""


def join_world(
    *, slug: str, code: str, kid: str, public_key: bytes, address: str, is_local: bool, now: datetime
) -> Joined:
    """Let a machine that holds this key be the world's. One that is so already is told the same again.

    Args: kid, public_key: of the key by which the request is signed: the caller has checked that.
    Raises: JoinRefused.
    """
    world = World.objects.filter(slug=slug).first()
    if world is None or world.owner_id is None:
        raise JoinRefused("There is no such world, or it cannot be joined by a code. Copy the command again.")
    if world.suspended_at is not None:
        raise JoinRefused("The staff suspended this world.")
    with transaction.atomic():
        fault = _join(world, code, kid, public_key, now)
    if fault:  # after the transaction: what the page shows of it stays
        log.warning("join_refused", world=slug, cause=fault)
        raise JoinRefused(fault + " Look at the world's set-up page for the newest command.")
    return Joined(slug=world.slug, name=world.name, tagline=world.tagline, address=address, is_local=is_local)


def _join(world: World, code: str, kid: str, public_key: bytes, now: datetime) -> str:
    """Use the code. Returns: why not; empty: the key is the world's."""
    WorldSetup.objects.get_or_create(world=world)
    setup = WorldSetup.objects.select_for_update().get(world=world)
    is_known = WorldKey.objects.filter(world=world, kid=kid, revoked_at=None).exists()
    fault = "" if is_known else fault_of_code(setup, code, now)
    if not fault and not is_known:
        fault = _register(world, public_key, now)
        if not fault:
            setup.code_used_at = now
    setup.called_at, setup.call_fault = now, fault[:300]
    if not fault:
        setup.check_at, setup.looks = now, 0
    setup.save()
    return fault


def _register(world: World, public_key: bytes, now: datetime) -> str:
    try:
        with transaction.atomic():
            key = register_world_key(world=world, public_key=public_key, by=world.owner, now=now)
            record_audit(
                action="world_joined",
                target=world.slug,
                world_slug=world.slug,
                detail={"kid": key.kid},
                now=now,
            )
    except KeyRefused as error:
        return str(error)
    log.info("world_joined", world=world.slug, kid=key.kid)
    return ""
