"""An operator registers a world: its row, its set-up, and the code by which one machine becomes it."""

import secrets
from base64 import b32encode
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest

import structlog
from django.conf import settings
from django.db import transaction

from accounts.models import Account
from accounts.selectors import is_email_confirmed
from accounts.services import record_audit
from worlds.models import World, WorldSetup
from worlds.operating.setup_rules import CODE_FOR
from worlds.outward import is_local_deployment
from worlds.services import WorldRefused, register_world
from worlds.uplink.joining import JoinLine

log = structlog.get_logger(__name__)

MAX_WORLDS = 10  # that one account owns: a person runs one or two
MAX_UNOPENED = 3  # of these that were never up: names are not to be hoarded
MAX_A_DAY = 5
NO_GATEWAY_YET = "ws://not-yet.invalid/world-link/"  # until the world's first report says where it is
CODE_CHARS = 24


def register_own_world(
    *, account: Account, slug: str, name: str, tagline: str, language: str, address: str, now: datetime
) -> World:
    """Register a world for a player who becomes its operator. It is in no list until its set-up is done.

    Raises: WorldRefused: a bad or taken name, too many worlds, or an address that is not confirmed.
    """
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # two requests at once count both
        if refusal := _refusal(account, now):
            raise WorldRefused({"": [refusal]})
        world = register_world(
            slug=slug,
            name=name,
            gateway_url=NO_GATEWAY_YET,
            owner=account,
            by=account,
            now=now,
            tagline=tagline,
            language=language,
            is_listed=False,
        )
        WorldSetup.objects.create(world=world, address=address, **_new_code(now))
    return world


def _refusal(account: Account, now: datetime) -> str:
    """Return why this account may not register a world now; empty: it may."""
    if not is_email_confirmed(account) and not is_local_deployment():
        return "Confirm your e-mail address first: open the link in our letter, then send this form again."
    worlds = World.objects.filter(owner=account)
    if worlds.count() >= MAX_WORLDS:
        return f"You own {MAX_WORLDS} worlds, as many as one person may. Write to us if you need more."
    if worlds.filter(setup__isnull=False, setup__opened_at=None).count() >= MAX_UNOPENED:
        return f"{MAX_UNOPENED} of your worlds have never been up. Finish one of them first."
    if worlds.filter(created_at__gt=now - timedelta(days=1)).count() >= MAX_A_DAY:
        return "You have registered several worlds today. Please go on tomorrow."
    return ""


def setup_of(world: World) -> WorldSetup:
    """Return a world's set-up; made for one that staff has registered."""
    return WorldSetup.objects.get_or_create(world=world)[0]


def _new_code(now: datetime) -> dict[str, object]:
    return {
        "code_salt": secrets.token_urlsafe(18),
        "code_until": now + CODE_FOR,
        "code_used_at": None,
        "call_fault": "",
    }


def make_code(*, world: World, by: Account, now: datetime) -> None:
    """Make a new code for one machine; the one before is good for nothing from now on."""
    with transaction.atomic():
        WorldSetup.objects.update_or_create(world=world, defaults=_new_code(now))
        record_audit(action="world_code_made", account=by, target=world.slug, now=now)
    log.info("world_code_made", slug=world.slug)


def code_of(setup: WorldSetup, now: datetime) -> str:
    """Return the code that can be used now; empty: none.

    It is no column: it follows from a salt and the deployment's secret key, so that whoever reads the
    database cannot join as a world, and the set-up page can show it until it is used.
    """
    if not setup.code_salt or setup.code_used_at is not None:
        return ""
    if setup.code_until is None or now >= setup.code_until:
        return ""
    return _code(setup)


def _code(setup: WorldSetup) -> str:
    text = f"waystone-world-code\0{setup.world_id}\0{setup.code_salt}".encode()
    raw = hmac_digest(settings.SECRET_KEY.encode(), text, sha256)[:15]
    return b32encode(raw).decode().lower()


def fault_of_code(setup: WorldSetup, code: str, now: datetime) -> str:
    """Return what is wrong with a code that somebody sent, for people; empty: nothing."""
    if not setup.code_salt or not compare_digest(_code(setup).encode(), code.lower().encode()):
        return "A machine called with a code that is not this world's newest one."
    if setup.code_used_at is not None:
        return "A machine called with a code that another machine has used before."
    if setup.code_until is None or now >= setup.code_until:
        return "A machine called with a code that has run out."
    return ""


def command_of(world: World, setup: WorldSetup, now: datetime, *, is_rotation: bool = False) -> str:
    """Return the one command for the operator's machine, with the code; without one if it was used."""
    line = JoinLine(world.slug, code_of(setup, now), settings.PUBLIC_URL)
    command = f"python3 manage.py up --world {line}"
    if not line.code:
        return command
    if setup.address:
        command += f" --address {setup.address}"
    return command + (" --new-key" if is_rotation else "")
