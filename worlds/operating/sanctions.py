"""Bans from a world and mutes in it, by its keepers: who is sanctioned, and what they are told.

They are the master's: no ticket is given, no character is granted, and each answer to the world's reports
tells who in play there is banned or muted. So they hold whatever dies, and need no acknowledgement.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import World, WorldSanction
from worlds.uplink.orders import Mute

MAX_REASON = 200
MOST_SHOWN = 200  # sanctions of one world on one page

Kind = WorldSanction.Kind


class SanctionRefused(ValueError):
    """It cannot be done so. `field`: of the form, if it is about one."""

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True)
class Sanctions:
    """What is in force against one account in one world."""

    ban: WorldSanction | None = None
    mute: WorldSanction | None = None


def in_force(world: World, now: datetime) -> QuerySet[WorldSanction]:
    """Return a world's sanctions in force, newest first."""
    lasting = Q(until__isnull=True) | Q(until__gt=now)
    return WorldSanction.objects.filter(lasting, world=world, ended_at__isnull=True)


def ban_here(account_id: int, world: World, now: datetime) -> WorldSanction | None:
    """Return the ban of an account from a world, if one is in force. One query."""
    return in_force(world, now).filter(account_id=account_id, kind=Kind.BAN).first()


def sanctions_of_many(world: World, account_ids: Iterable[int], now: datetime) -> dict[int, Sanctions]:
    """Return what is in force against these accounts, by primary key; who has none is left out. One query."""
    found: dict[int, dict[str, WorldSanction]] = {}
    for row in in_force(world, now).filter(account_id__in=list(account_ids)):
        found.setdefault(row.account_id, {})[row.kind] = row
    return {key: Sanctions(rows.get(Kind.BAN), rows.get(Kind.MUTE)) for key, rows in found.items()}


def mute_told(sanctions: Sanctions | None) -> Mute | None:
    """Return a mute as the uplink tells it."""
    mute = sanctions.mute if sanctions is not None else None
    return None if mute is None else Mute(mute.until, mute.reason)


def ban_text(ban: WorldSanction, world: World) -> str:
    """Return what the banned player is told: why, for how long, and how to ask for it back."""
    until = "for good" if ban.until is None else f"until {ban.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    text = f"The people who run {world.name} have banned you {until}: {ban.reason}"
    return f"{text} {world.appeals}".strip()


def sanction(
    *,
    world: World,
    account: Account,
    character_name: str,
    kind: str,
    reason: str,
    until: datetime | None,
    by: Account,
    now: datetime,
) -> WorldSanction:
    """Ban or mute; one of the same kind in force is replaced.

    Args: until: None for good.
    Raises: SanctionRefused: a reason or an end that cannot be, or a keeper of the world.
    """
    _check(world, account, reason, until, by, now)
    with transaction.atomic():
        World.objects.select_for_update(no_key=True).get(pk=world.pk)  # one after the other
        open_rows = WorldSanction.objects.filter(
            world=world, account=account, kind=kind, ended_at__isnull=True
        )
        open_rows.update(ended_at=now)
        row = WorldSanction.objects.create(
            world=world,
            account=account,
            kind=kind,
            character_name=character_name,
            reason=reason.strip(),
            until=until,
            by=by,
            made_at=now,
        )
        _audit(f"player_{'banned' if kind == Kind.BAN else 'muted'}", row, by, now)
    return row


def _check(
    world: World, account: Account, reason: str, until: datetime | None, by: Account, now: datetime
) -> None:
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        raise SanctionRefused(f"Give a reason of at most {MAX_REASON} characters, on one line.", "reason")
    if until is not None and until <= now:
        raise SanctionRefused("The end must be in the future.", "until")
    if account.pk == by.pk:
        raise SanctionRefused("This is you.")
    if account.pk == world.owner_id or world.keepers.filter(account=account).exists():
        raise SanctionRefused("They keep this world. Its owner can remove them from its keepers first.")


def end_sanction(*, world: World, sanction: int, by: Account, now: datetime) -> WorldSanction | None:
    """Take a ban or mute back. Returns: it; None if there is none in force by this number."""
    with transaction.atomic():
        rows = WorldSanction.objects.select_for_update(of=("self",))
        row = rows.filter(pk__in=in_force(world, now), pk=sanction).first()
        if row is None:
            return None
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        _audit(f"{row.kind}_lifted", row, by, now)
    return row


def _audit(action: str, row: WorldSanction, by: Account, now: datetime) -> None:
    until = row.until.isoformat() if row.until else None
    detail: dict[str, Any] = {"sanction": row.pk, "until": until}  # no names in the record: it stays for good
    record_audit(action=action, account=by, target=row.world.slug, detail=detail, now=now)
