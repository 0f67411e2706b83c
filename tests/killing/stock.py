"""Bots with a known stock, made inside the platform's own settings: `manage.py shell -c ...` runs this.

A bot's log-in, its character's name and id go to stdout, as JSON.
"""

import json
import sys
from typing import Any
from uuid import uuid4

import msgspec
from django.db import transaction
from django.utils import timezone

from characters.lines import Entry, append_version
from characters.models import Line, Version
from characters.valuables import bring_back
from waystone.bot_accounts import prepare_bot
from zonecluster.protocol.character import Item, Place, decode_state, encode_state

WORLD = "demo"
PLACES = (  # zone, x, y: within reach of a vendor, one on each cluster
    ("harbour", 124.5, 97.0),
    ("mossgate", 104.5, 33.0),
)
VALUABLES = 2
MONEY = 1000
STACKS = (("tide-bread", 20), ("sea-glass", 50), ("gull-feather", 100))


def prepare(people: int) -> None:
    """Make so many bots and print them."""
    sys.stdout.write(json.dumps([_person(number) for number in range(1, people + 1)]) + "\n")


def stock_up(name: str, zone: str) -> None:
    """Give a character that is not in play the stock, and stand it in one of PLACES."""
    line = Line.objects.select_related("character").get(character__name=name, world=None)
    give_stock(line, *next(place for place in PLACES if place[0] == zone))


def _person(number: int) -> dict[str, Any]:
    account = prepare_bot(number)
    line = Line.objects.select_related("character").get(character__name=account.character, world=None)
    give_stock(line, *PLACES[number % len(PLACES)])
    return {"token": account.token, "name": account.character, "character": str(line.character_id)}


def give_stock(line: Line, zone: str, x: float, y: float) -> None:
    """Write the stock as a version of the master's own."""
    things = [Item("drowned-crown", id=uuid4()) for _ in range(VALUABLES)]
    state = msgspec.structs.replace(
        decode_state(bytes(line.state)),
        money=MONEY,
        bags={"inventory": [*(Item(kind, count) for kind, count in STACKS), *things]},
        places={WORLD: Place(zone, (x, y, 0.0))},
    )
    entry = Entry(Version.Kind.RESTORE, encode_state(state), world=None)
    now, has = timezone.now(), {item.id: item.kind for item in things if item.id is not None}
    with transaction.atomic():
        version = append_version(line=line, entry=entry, now=now)
        bring_back(line=line, had=(), has=has, op_id=version.op_id, now=now)
