"""What characters hold of a person: the characters, where each stands, and all that was saved of them."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from accounts.models import Account
from accounts.personal_data import Holding, Rows, hold
from characters.models import Character, Line, Version
from characters.readings import state_if_readable

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


def _characters(account: Account) -> Iterator[dict[str, object]]:
    for row in Character.objects.filter(account=account).order_by("created_at"):
        yield {"id": row.id, "name": row.name, "made_at": row.created_at, "deleted_at": row.deleted_at}


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
