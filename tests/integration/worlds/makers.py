"""Worlds, players and leases for the tests of worlds, made directly in the database."""

import secrets
import uuid
from datetime import datetime, timedelta

from accounts.models import Account
from characters.models import Character, Line
from worlds.models import PlaySession, World
from worlds.rules import name_key


def make_world(slug: str, **fields: object) -> World:
    name = fields.pop("name", slug.replace("-", " ").title())
    return World.objects.create(
        slug=slug,
        name=name,
        name_key=name_key(name),
        gateway_url="wss://play.example.org/world-link/",
        **fields,
    )


def make_account(name: str, **fields: object) -> Account:
    return Account.objects.create(email=f"{name}@example.org", password="!", **fields)


def make_line(account: Account, name: str, **fields: object) -> Line:
    character = Character.objects.create(account=account, name=name, name_key=name.lower())
    blank = {"chain": bytes(32), "state_hash": bytes(32), "state": b"{}"}
    return Line.objects.create(character=character, **{**blank, **fields})


def make_players(world: World, count: int, now: datetime, *, lease_for: float = 60) -> None:
    """Give the world leases of `count` characters; a negative `lease_for` (seconds) makes lapsed ones."""
    account = make_account(f"alice-{secrets.token_hex(4)}")
    until = now + timedelta(seconds=lease_for)
    for _ in range(count):
        make_line(account, secrets.token_hex(6), holder=world, lease_until=until)


def make_play_session(world: World, zone: str, *, started_at: datetime, **fields: object) -> PlaySession:
    """Make a session in play, or an ended one (`ended_at`)."""
    names = ("pseudonym", "admission", "character", "line")
    values = {"character_name": "Aria", "edition": "free", "epoch": 1, "resume_digest": bytes(32)}
    values |= {name: uuid.uuid4() for name in names} | fields
    return PlaySession.objects.create(world=world, zone=zone, started_at=started_at, **values)
