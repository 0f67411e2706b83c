"""What characters hold of a person: the characters, where each stands, and all that was saved of them."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import msgspec

from accounts.models import Account
from accounts.personal_data import Holding, Rows, hold
from characters.models import Character, FormerName, Line, Version
from characters.readings import state_if_readable
from worlds.models import PlaySession, Quarantine, WaitingPlayer, WorldOrder

GONE = "Gone"  # what a deleted character of a deleted account is called in histories


def files(account: Account) -> dict[str, Rows]:
    """Return the rows for an export: deleted characters as well, since we have them."""
    return {"characters": _characters(account), "histories": _versions(account)}


def forget(account: Account, now: datetime) -> None:
    """Delete the characters, in play or not: a world that still holds one is refused its next save."""
    own = Character.objects.filter(account=account)
    lines = Line.objects.select_for_update(no_key=True).filter(character__in=own)
    list(lines.values_list("pk", flat=True))  # locked before what hangs on them changes
    lines.update(holder=None, lease_until=None)
    own.filter(deleted_at=None).update(deleted_at=now)
    own.update(name=GONE, name_key="")
    FormerName.objects.filter(character__in=own).delete()
    _forget_in_worlds(list(own.values_list("id", flat=True)))


def _forget_in_worlds(characters: list[UUID]) -> None:
    """Take the names out of rows of play and keepers' orders, where a world shares the master's database."""
    for model in (PlaySession, WaitingPlayer, Quarantine):
        model.objects.filter(character__in=characters).update(character_name=GONE)
    kicks = WorldOrder.objects.filter(kind=WorldOrder.Kind.KICK)
    kicks.filter(body__character__in=list(map(str, characters))).update(about=GONE)


def _characters(account: Account) -> Iterator[dict[str, object]]:
    rows = Character.objects.filter(account=account).prefetch_related("former_names")
    for row in rows.order_by("created_at"):
        yield {
            "id": row.id,
            "name": row.name,
            "called_before": [{"name": old.name, "until": old.until} for old in row.former_names.all()],
            "made_at": row.created_at,
            "deleted_at": row.deleted_at,
        }


def _versions(account: Account) -> Iterator[dict[str, object]]:
    rows = Version.objects.filter(line__character__account=account).select_related("line__world", "world")
    for row in rows.order_by("line_id", "version").iterator(chunk_size=100):
        state = state_if_readable(bytes(row.state), row.line_id)
        yield {
            "character": row.line.character_id,
            "path": row.line.world.slug if row.line.world else "main",
            "version": row.version,
            "at": row.at,
            "kind": row.kind,
            "world": row.world.slug if row.world else None,
            "state": msgspec.to_builtins(state) if state is not None else None,
        }


hold(Holding("characters", files, forget))
