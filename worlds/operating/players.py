"""Who plays in a world, as its keepers see it: names of characters, and nothing of the people behind them.

Counted from leases that the master granted, never from what a world says.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator

from accounts.models import Account
from worlds.models import Pseudonym, World, WorldSanction
from worlds.operating.sanctions import Sanctions, in_force, sanctions_of_many

ON_A_PAGE = 50


@dataclass(frozen=True)
class PlayerRow:
    """A character in play."""

    character: UUID
    name: str
    is_muted: bool
    is_banned: bool  # and about to be put out


@dataclass(frozen=True)
class Player:
    """A character that plays or has played here, for what keepers may do about it."""

    character: UUID
    name: str
    account: Account  # for services; no page shows anything of it
    is_in_play: bool
    sanctions: Sanctions


def players_in_play(world: World, now: datetime, *, search: str = "", number: str = "1") -> Page:
    """Return a page of PlayerRows, by name. Three queries, however many there are."""
    leases: Any = world  # Line.holder: this app knows no lines
    lines = leases.leases.filter(lease_until__gt=now).order_by("character__name", "pk")
    if search:
        lines = lines.filter(character__name__icontains=search[:40])
    page = Paginator(
        lines.values_list("character_id", "character__name", "character__account_id"), ON_A_PAGE
    ).get_page(number)
    found = list(page.object_list)
    here = sanctions_of_many(world, {account for _, _, account in found}, now)
    nothing = Sanctions()
    page.object_list = [
        PlayerRow(
            character,
            name,
            here.get(account, nothing).mute is not None,
            here.get(account, nothing).ban is not None,
        )
        for character, name, account in found
    ]
    return page


def find_player(world: World, character: UUID, now: datetime) -> Player | None:
    """Return a character whose player has been let into this world; None: the world knows no such."""
    known = Pseudonym.objects.filter(world=world, account__characters__id=character)
    row = known.select_related("account").values_list("account_id", "account__characters__name").first()
    if row is None:
        return None
    account = Account.objects.get(pk=row[0])
    leases: Any = world
    lease = leases.leases.filter(character_id=character, lease_until__gt=now).exists()
    sanctions = sanctions_of_many(world, [account.pk], now).get(account.pk, Sanctions())
    return Player(character, row[1], account, lease, sanctions)


def character_named(world: World, name: str) -> UUID | None:
    """Return the character of that name whose player has been let into this world, in play or not."""
    known = Pseudonym.objects.filter(
        world=world, account__characters__name__iexact=name.strip(), account__characters__deleted_at=None
    )
    found: UUID | None = known.values_list("account__characters__id", flat=True).first()
    return found


def standing_sanctions(world: World, now: datetime, number: str = "1") -> Page:
    """Return a page of the bans and mutes in force, newest first. Two queries."""
    rows = in_force(world, now).order_by("-made_at", "-pk")
    return Paginator(rows, ON_A_PAGE).get_page(number)


def kinds_in_force(player: Player) -> list[WorldSanction]:
    """Return what is in force against a player."""
    return [row for row in (player.sanctions.ban, player.sanctions.mute) if row is not None]
