"""Orders: what a world's keepers tell it to do, as the uplink carries them. Pure.

An order rides on the answer to a report, again and again, until a report says that it has ended. So each deed
is *absolute*: it says what shall be, and doing it twice is doing it once. A world that does not know a kind
says so: `body` is read only by who knows the kind, so that a newer master spoils no older world's report.

Source: docs/uplink.md, section "Orders".
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

MAX_ORDERS = 50  # in one answer, and of ended ones in one report

RestartKind = Literal["rolling", "full"]
OrderKind = Literal["kick", "announce", "restart", "postpone", "cancel", "policy"]
Reason = Annotated[str, Meta(max_length=200)]


class Order(Struct, frozen=True):
    """One order. `kind`: one of OrderKind, or of a newer master's; `body`: what that kind's struct says."""

    id: UUID
    kind: Annotated[str, Meta(max_length=24)]
    body: dict[str, Any]


class OrderEnded(Struct, frozen=True):
    """What became of an order: done, or not and never will be. `told`: for the keeper who gave it."""

    id: UUID
    is_done: bool
    told: Annotated[str, Meta(max_length=200)] = ""


class Mute(Struct, frozen=True):
    """What a player says is heard by nobody here until then; None: for good."""

    until: datetime | None
    reason: Reason


class Kick(Struct, frozen=True):
    """Put the player of this character out: saved as by a logout. They may come again."""

    character: UUID
    reason: Reason = ""


class Announce(Struct, frozen=True):
    """Say it to everybody in play."""

    text: Annotated[str, Meta(min_length=1, max_length=400)]


class PlanRestart(Struct, frozen=True):
    """Have a restart planned for that instant; one that is planned for it and of that kind is it already."""

    kind: RestartKind
    due_at: datetime
    reason: Reason = ""


class Postpone(Struct, frozen=True):
    """Have the restart that was due at `was_due_at` be due at `due_at`."""

    was_due_at: datetime
    due_at: datetime
    reason: Reason = ""


class Cancel(Struct, frozen=True):
    """Have no restart at `was_due_at`."""

    was_due_at: datetime
    reason: Reason = ""


class Policy(Struct, frozen=True):
    """Restart by itself so from now on; in a report: it does so. Local times and dates are of `time_zone`."""

    when: Literal["never", "fixed", "off_peak"]
    kind: RestartKind = "rolling"
    at: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None  # of a fixed one
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    weekdays: Annotated[int, Meta(ge=1, le=127)] = 127  # bit 0 is Monday
    min_uptime_h: Annotated[int, Meta(ge=0, le=1000)] = 20
    blackout_days: Annotated[list[Annotated[str, Meta(max_length=10)]], Meta(max_length=400)] = []


Deed = Kick | Announce | PlanRestart | Postpone | Cancel | Policy
DEEDS: dict[str, type[Deed]] = {
    "kick": Kick,
    "announce": Announce,
    "restart": PlanRestart,
    "postpone": Postpone,
    "cancel": Cancel,
    "policy": Policy,
}


class UnknownOrder(ValueError):
    """This world cannot carry the order out; the text says why."""


def deed_of(order: Order) -> Deed:
    """Return what an order wants. Raises: UnknownOrder: of an unknown kind, or not that kind's struct."""
    kind = DEEDS.get(order.kind)
    if kind is None:
        raise UnknownOrder(f"This world's software knows no order {order.kind!r}. Update it.")
    try:
        deed = msgspec.convert(order.body, kind)
    except msgspec.ValidationError as error:
        raise UnknownOrder(f"The order {order.kind!r} is not understood: {error}"[:200]) from error
    for name in ("due_at", "was_due_at"):
        instant = getattr(deed, name, None)
        if instant is not None and instant.tzinfo is None:
            raise UnknownOrder(f"The order {order.kind!r} names an instant without a time zone.")
    return deed


def body_of(deed: Deed) -> dict[str, Any]:
    """Return an order's body: JSON's kinds of values only."""
    body: dict[str, Any] = msgspec.to_builtins(deed)
    return body
