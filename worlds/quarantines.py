"""Reports of characters on whose documents this world's rules raised, and how a quarantine ends.

Written by the world daemon, read by it and by the admin. While a report stands, the daemon does not let the
character in; it reads anew every ten seconds.
"""

from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import Quarantine, World
from zonecluster.protocol import bus

log = structlog.get_logger(__name__)

NUL = "\0"  # PostgreSQL takes none in a text


def store_report(
    *, world: World, report: bus.Poisoned, digest: bytes, line: UUID | None, version: int, now: datetime
) -> None:
    """Keep a cluster's report; one that is there already stays as it is."""
    Quarantine.objects.get_or_create(
        session=report.session,
        stay=report.stay,
        defaults={
            "world": world,
            "character": report.character,
            "character_name": report.name.replace(NUL, "")[:40],
            "cluster": report.cluster[:24],
            "where": report.where.replace(NUL, "")[:60],
            "error": report.error.replace(NUL, "\\0"),
            "document": report.document,
            "line": line,
            "version": version,
            "digest": digest,
            "at": now,
        },
    )


def standing(world: World) -> dict[UUID, bytes]:
    """Return who is not let in, and the digest of the document with which it is not; b"": with none."""
    rows = Quarantine.objects.filter(world=world, released_at__isnull=True).order_by("at")
    return {character: bytes(digest) for character, digest in rows.values_list("character", "digest")}


def end_quarantine(*, world: World, character: UUID, now: datetime) -> None:
    """The character's document is another now."""
    Quarantine.objects.filter(world=world, character=character, released_at__isnull=True).update(
        released_at=now
    )


def let_in_again(*, quarantine: Quarantine, reason: str, by: Account | None, now: datetime) -> bool:
    """Let a character in again with the document that it has: all that stands against it in this world ends.

    Returns: whether anything stood.
    """
    world, character = quarantine.world, quarantine.character
    with transaction.atomic():
        rows = Quarantine.objects.filter(world=world, character=character, released_at__isnull=True)
        if not rows.update(released_at=now, released_by=by):
            return False
        detail: dict[str, object] = {"reason": reason, "world": world.slug}
        record_audit(action="quarantine_ended", account=by, target=str(character), detail=detail, now=now)
    log.warning("quarantine_ended", world=world.slug, character=str(character))
    return True
