"""Old versions are thinned, line by line; what they say of the chain is kept. Idempotent, stops anywhere."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connection, transaction

from characters.models import Fall, Line, ThinnedVersions, Version
from characters.thinning import KEEP_ALL, pack_link, runs, superfluous, unpack

log = structlog.get_logger(__name__)

LINES_AT_ONCE = 200

# Not by the ORM: it would load the states of what it deletes. Foreign keys still hold.
_DELETE = "DELETE FROM characters_version WHERE line_id = %s AND version = ANY(%s)"


@dataclass(frozen=True)
class Batch:
    """What was done with some lines. `last`: go on after it; None: these were the last."""

    last: UUID | None
    lines: int
    thinned: int  # versions


def thin_batch(*, after: UUID | None, now: datetime, is_dry_run: bool = False) -> Batch:
    """Thin the next lines after one, in the order of their ids."""
    lines = Line.objects.order_by("pk")
    if after is not None:
        lines = lines.filter(pk__gt=after)
    ids = list(lines.values_list("pk", flat=True)[:LINES_AT_ONCE])
    thinned = 0
    for line_id, old in _old_versions(ids, now).items():
        if superfluous(old, protected=(1,), now=now):  # most have nothing: they are not locked for it
            thinned += _thin_line(line_id, now, is_dry_run=is_dry_run)
    if thinned and not is_dry_run:
        log.info("versions_thinned", lines=len(ids), versions=thinned)
    return Batch(ids[-1] if len(ids) == LINES_AT_ONCE else None, len(ids), thinned)


def _old_versions(ids: Sequence[UUID], now: datetime) -> dict[UUID, list[tuple[int, datetime]]]:
    rows = Version.objects.filter(line__in=ids, at__lt=now - KEEP_ALL).order_by("line", "version")
    found: dict[UUID, list[tuple[int, datetime]]] = defaultdict(list)
    for line_id, version, at in rows.values_list("line", "version", "at").iterator():
        found[line_id].append((version, at))
    return found


def _thin_line(line_id: UUID, now: datetime, *, is_dry_run: bool) -> int:
    with transaction.atomic():
        line = Line.objects.select_for_update(no_key=True).defer("state").get(pk=line_id)
        old = _old_versions([line_id], now)[line_id]
        gone = superfluous(old, protected=_protected(line), now=now)
        if gone and not is_dry_run:
            _keep_links(line, gone)
            Fall.objects.filter(write__line=line, write__version__in=gone).delete()
            with connection.cursor() as cursor:
                cursor.execute(_DELETE, [line.pk, gone])
    return len(gone)


def _protected(line: Line) -> set[int]:
    """Return the versions that stay however old they are: first, head, and what others point at."""
    pointed_at = line.versions.filter(brought_back__isnull=False).values_list("version", flat=True)
    return {1, line.version, *pointed_at}


def _keep_links(line: Line, gone: Iterable[int]) -> None:
    """Add what stays of versions to the runs that they touch."""
    numbers = list(gone)
    rows = line.versions.filter(version__in=numbers).values_list("version", "op_id", "state_hash")
    links = {version: pack_link(op_id, bytes(digest)) for version, op_id, digest in rows}
    touched = line.thinned.filter(last__in=[n - 1 for n in numbers]) | line.thinned.filter(
        first__in=[n + 1 for n in numbers]
    )
    for run in touched:
        links |= unpack(run.first, bytes(run.links))
    line.thinned.filter(pk__in=[run.pk for run in touched]).delete()
    ThinnedVersions.objects.bulk_create(
        ThinnedVersions(line=line, first=first, last=last, links=data) for first, last, data in runs(links)
    )
