"""Sealing the audit record: committed rows get their place in the hash chain; looking whether it is whole.

Writers of audit rows take no lock for it and wait for nobody: rows are sealed afterwards, in order of their
numbers among those committed, by one sealer at a time. Until then (seconds) only the database's trigger keeps
them. Why not while writing: docs/audit.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction

from accounts.audit_chain import Deed, Head, Sealed, chained, faults
from accounts.models import AuditRecord

log = structlog.get_logger(__name__)

LOCK = 5_317_022_412  # of our own, in the database's space of advisory locks: who seals
AT_ONCE = 1_000  # rows of one transaction: how long that takes is in docs/audit.md
BATCHES = 20  # of one run, so that a long backlog does not hold a worker
_PAGE = 2_000  # rows read at once by a check


@dataclass(frozen=True)
class Report:
    """What a check of the chain found."""

    head: Head
    faults: list[str]  # at most as many as were asked for
    waiting: int  # rows that are not sealed yet
    oldest_waiting_at: datetime | None


def seal_audit() -> int:
    """Seal the committed rows that are not sealed yet; does nothing while another process seals.

    The new head goes to the log: kept there, outside of the database, it proves later that nothing before was
    changed. Returns: how many rows were sealed.
    """
    total = 0
    for _ in range(BATCHES):
        sealed = _seal_some()
        total += sealed
        if sealed < AT_ONCE:
            break
    if total:
        log.info("audit_sealed", rows=total, head=str(chain_head()))
    return total


def _seal_some() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        head = chain_head()
        rows = list(AuditRecord.objects.filter(position=None).order_by("pk")[:AT_ONCE])
        places: list[Head] = []
        for row in rows:
            head = chained(head, _deed(row))
            places.append(head)
        if rows:
            cursor.execute(
                """
                UPDATE accounts_auditrecord AS a SET position = s.position, chain = s.chain
                FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS s (id, position, chain)
                WHERE a.id = s.id
                """,
                [
                    [row.pk for row in rows],
                    [place.position for place in places],
                    [place.chain for place in places],
                ],
            )
    return len(rows)


def chain_head() -> Head:
    """Return the newest sealed place."""
    newest = AuditRecord.objects.filter(position__isnull=False).order_by("-position")
    row = newest.only("position", "chain").first()
    if row is None or row.position is None or row.chain is None:  # the last two for the types
        return Head()
    return Head(row.position, bytes(row.chain))


def check_audit(*, expected: Head | None = None, most: int = 20) -> Report:
    """Walk the whole chain, reading only. Rows that are sealed meanwhile are looked at or not: both is right.

    Args: expected: a head that was kept elsewhere. most: faults to tell; the walk ends there.
    """
    found: list[str] = []
    for fault in faults(_sealed_rows(), expected):
        found.append(fault)
        if len(found) == most:
            break
    waiting = AuditRecord.objects.filter(position=None)
    oldest = waiting.order_by("pk").values_list("at", flat=True).first()
    return Report(chain_head(), found, waiting.count(), oldest)


def _sealed_rows() -> Iterator[Sealed]:
    """Read the chain page by page, so that a long one needs no memory and no transaction held open."""
    last = -(2**63)
    while page := list(AuditRecord.objects.filter(position__gt=last).order_by("position")[:_PAGE]):
        for row in page:
            assert row.position is not None and row.chain is not None  # asked for; the constraint pairs them
            yield Sealed(row.position, bytes(row.chain), _deed(row))
            last = row.position


def _deed(row: AuditRecord) -> Deed:
    return Deed(
        id=row.pk,
        at=row.at,
        account_id=row.account_id,
        world_slug=row.world_slug,
        action=row.action,
        target=row.target,
        detail=row.detail,
        before=row.before,
        after=row.after,
    )
