"""The rows of a full world's queue: who waits, kept so that a restarted daemon goes on with it. Sync."""

from datetime import datetime
from typing import Any

import msgspec

from worlds.daemon.core.effects import ForgetWaiting, StoreWaiting
from worlds.daemon.core.events import UNKNOWN_LIMITS, WaitingSession
from worlds.models import WaitingPlayer, World
from worlds.uplink.messages import Limits


def limits_in(value: dict[str, Any]) -> Limits:
    """Return the limits in a row; of a row that is older than they are, none: the master tells them soon."""
    return msgspec.convert(value, Limits) if value else UNKNOWN_LIMITS


def load_queue(slug: str, now: datetime) -> list[WaitingSession]:
    """Read who waited when the last daemon of a world ended."""
    return [
        WaitingSession(
            id=row.id,
            account=row.pseudonym,
            admission=row.admission,
            character=row.character,
            name=row.character_name,
            edition=row.edition,
            limits=limits_in(row.limits),
            rank=row.rank,
            arrival=row.arrival,
            resume_digest=bytes(row.resume_digest),
            proven_digest=bytes(row.proven_digest),
            waited_s=max((now - row.since).total_seconds(), 0.0),
        )
        for row in WaitingPlayer.objects.filter(world__slug=slug)
    ]


def write_queue(world: World, effect: StoreWaiting | ForgetWaiting, now: datetime) -> None:
    """Carry out one effect; repeating it is harmless."""
    if isinstance(effect, ForgetWaiting):
        WaitingPlayer.objects.filter(world=world, id=effect.session).delete()
        return
    row = effect.row
    # An account has one place: an older row of it is of a session that this one has replaced.
    WaitingPlayer.objects.filter(world=world, pseudonym=row.account).exclude(id=row.id).delete()
    fields = {
        "world": world,
        "pseudonym": row.account,
        "admission": row.admission,
        "character": row.character,
        "character_name": row.name,
        "edition": row.edition,
        "limits": msgspec.to_builtins(row.limits),
        "rank": row.rank,
        "arrival": row.arrival,
        "resume_digest": row.resume_digest,
        "proven_digest": row.proven_digest,
    }
    WaitingPlayer.objects.update_or_create(
        id=row.id, defaults=fields, create_defaults={**fields, "since": now}
    )
