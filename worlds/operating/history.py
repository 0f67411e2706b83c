"""Who did what to a world, for its keepers: the audit rows about it, in words, without anybody's address."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts.models import Account, AuditRecord
from worlds.models import World, WorldKeeper, WorldOrder, WorldSanction
from worlds.operating.keepers import KeptWorld
from worlds.operating.rules import Deed

WORDS = {
    "world_registered": "registered the world",
    "world_renamed": "renamed the world",
    "world_gateway_moved": "moved the gateway",
    "world_key_registered": "registered a key",
    "world_key_revoked": "revoked a key",
    "world_limited": "limited the world",
    "world_limit_lifted": "lifted the limit",
    "world_suspended": "suspended the world",
    "world_suspension_lifted": "lifted the suspension",
    "world_page_changed": "changed the page",
    "world_banner_set": "set a new picture",
    "world_banner_removed": "took the picture away",
    "world_handed_over": "handed the world over",
    "keeper_invited": "invited a keeper",
    "keeper_invitation_withdrawn": "withdrew an invitation",
    "keeper_invitation_declined": "declined to keep the world",
    "keeper_joined": "joined the keepers",
    "keeper_role_changed": "changed a keeper's role",
    "keeper_removed": "removed a keeper",
    "keeper_left": "left the keepers",
    "player_banned": "banned",
    "player_muted": "muted",
    "ban_lifted": "lifted the ban of",
    "mute_lifted": "lifted the mute of",
    "ordered_kick": "put out",
    "ordered_announce": "told all players",
    "ordered_restart": "planned a restart",
    "ordered_postpone": "postponed the restart",
    "ordered_cancel": "called off the restart",
    "ordered_policy": "changed the restart policy",
    "maintenance_begun": "closed the world to players",
    "maintenance_ended": "let players in again",
    "restart_planned": "planned a restart",
    "restart_postponed": "postponed the restart",
    "restart_brought_forward": "brought the restart forward",
    "restart_cancelled": "called off the restart",
}


@dataclass(frozen=True)
class HistoryRow:
    """One deed. `who`: a role, or an address where the reader may see it."""

    at: datetime
    who: str
    did: str
    about: str


@dataclass(frozen=True)
class History:
    """The audit rows of one world, newest first, and how to say them."""

    world: World
    records: QuerySet[AuditRecord]

    def words(self, records: Sequence[AuditRecord], reader: Account, kept: KeptWorld) -> list[HistoryRow]:
        """Put a page of rows into words. Three queries, however many rows."""
        roles = dict(WorldKeeper.objects.filter(world=self.world).values_list("account_id", "role"))
        orders = {
            str(pk): about
            for pk, about in WorldOrder.objects.filter(
                world=self.world, pk__in=[r.detail["order"] for r in records if "order" in r.detail]
            ).values_list("pk", "about")
        }
        sanctions = dict(
            WorldSanction.objects.filter(
                world=self.world, pk__in=[r.detail["sanction"] for r in records if "sanction" in r.detail]
            ).values_list("pk", "character_name")
        )
        sees_addresses = kept.may(Deed.KEEPERS)
        return [
            HistoryRow(
                record.at,
                self._who(record.account, roles, reader, sees_addresses),
                WORDS.get(record.action, record.action.replace("_", " ")),
                _about(record.detail, orders, sanctions),
            )
            for record in records
        ]

    def _who(
        self, account: Account | None, roles: dict[int, str], reader: Account, sees_addresses: bool
    ) -> str:
        if account is None:
            return "The platform"
        if account.pk == reader.pk:
            return "You"
        if account.pk == self.world.owner_id:
            return "The owner"
        role = roles.get(account.pk)
        if role is not None:
            return f"{account.email}, {role}" if sees_addresses else f"A {role}"
        return "The platform's staff" if account.is_staff else "A former keeper"


def history_of(world: World) -> History:
    """Return the history of a world."""
    records = AuditRecord.objects.filter(target=world.slug).select_related("account").order_by("-at", "-pk")
    return History(world, records)


def _about(detail: dict[str, Any], orders: dict[str, str], sanctions: dict[int, str]) -> str:
    if "order" in detail:
        return orders.get(detail["order"], "")
    if "sanction" in detail:
        return sanctions.get(detail["sanction"], "")
    before, after = detail.get("before"), detail.get("after")
    if isinstance(before, dict) and isinstance(after, dict):
        return ", ".join(name.replace("_", " ") for name in after)
    return str(detail.get("reason") or detail.get("role") or detail.get("text") or "")[:200]
