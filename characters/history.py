"""Is a line's history whole? Recomputes the hash chain over its newest versions, up to the head."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from characters.models import Line
from characters.thinning import follow
from zonecluster.protocol.character import next_chain, state_hash


@dataclass(frozen=True)
class Link:
    """One version, as the check sees it. Hashes and chains have 32 bytes."""

    version: int
    op_id: UUID
    prev_chain: bytes
    chain: bytes
    state_hash: bytes
    state: bytes


@dataclass(frozen=True)
class HistoryCheck:
    """What the check found. `fault` is empty if all is right; else it names the first version that is not."""

    versions: int
    fault: str


Thinned = Mapping[tuple[int, int], bytes]  # first and last version of a run → its links


def fault_of(links: Iterable[Link], head: Link | None = None, thinned: Thinned | None = None) -> str:
    """Return what is wrong with versions in ascending order; empty if nothing is. Pure.

    Args: head: the line's own copy of its newest version; None: not compared; thinned: what retention left of
        the versions between them.
    """
    known = list(links)
    for link in known:
        if state_hash(link.state) != link.state_hash:
            return f"v{link.version}: the state is not the one that was hashed"
        if next_chain(link.prev_chain, link.version, link.op_id, link.state_hash) != link.chain:
            return f"v{link.version}: the chain does not follow from its parts"
    for before, after in pairwise(known):
        if fault := _break_between(before, after, thinned or {}):
            return fault
    if head is not None and (
        not known or (known[-1].version, known[-1].chain, known[-1].state) != _seen(head)
    ):
        return f"the head (v{head.version}) is not the newest version"
    return ""


def _break_between(before: Link, after: Link, thinned: Thinned) -> str:
    first, last = before.version + 1, after.version - 1
    if first > last:
        chain = before.chain
    elif (run := thinned.get((first, last))) is not None:
        chain = follow(before.chain, first, run)
    else:
        return f"v{first} is missing"
    return "" if after.prev_chain == chain else f"v{after.version}: does not continue v{before.version}"


def _seen(head: Link) -> tuple[int, bytes, bytes]:
    return head.version, head.chain, head.state


def check_history(line: Line, limit: int) -> HistoryCheck:
    """Check the newest `limit` versions of a line and its head."""
    rows = line.versions.order_by("-version")[:limit]
    links = [
        Link(
            row.version,
            row.op_id,
            bytes(row.prev_chain),
            bytes(row.chain),
            bytes(row.state_hash),
            bytes(row.state),
        )
        for row in reversed(rows)
    ]
    newest_op = links[-1].op_id if links else UUID(int=0)
    head = Link(line.version, newest_op, b"", bytes(line.chain), bytes(line.state_hash), bytes(line.state))
    oldest = links[0].version if links else 0
    runs = line.thinned.filter(last__gte=oldest).values_list("first", "last", "links")
    thinned = {(first, last): bytes(data) for first, last, data in runs}
    return HistoryCheck(len(links), fault_of(links, head, thinned))
