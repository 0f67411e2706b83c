"""Which old versions of a line are kept, and how the chain is followed over the others. Pure.

All of 14 days, then the newest of each hour, after 90 days the newest of each day (UTC). Of a version that
goes stay its op_id and the hash of its state: 48 bytes, by which the chain from the version before to the one
after can be recomputed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from zonecluster.protocol.character import next_chain

KEEP_ALL = timedelta(days=14)  # as long as worlds keep receipts
KEEP_HOURLY = timedelta(days=90)
HOUR_S, DAY_S = 3600, 86_400
LINK_BYTES = 48

Bucket = tuple[str, int]


def bucket_of(at: datetime, now: datetime) -> Bucket | None:
    """Return the hour or day of which one version is kept; None: all of it are, it is too young.

    An hour or a day counts only once it is over and wholly old enough, so that its newest stays its newest.
    """
    second = int(at.timestamp())
    day, hour = second // DAY_S, second // HOUR_S
    if (day + 1) * DAY_S <= (now - KEEP_HOURLY).timestamp():
        return "day", day
    if (hour + 1) * HOUR_S <= (now - KEEP_ALL).timestamp():
        return "hour", hour
    return None


def superfluous(
    versions: Iterable[tuple[int, datetime]], *, protected: Collection[int], now: datetime
) -> list[int]:
    """Return the versions of a line that go.

    Args: versions: number and time of all that are older than KEEP_ALL, ascending; protected: the head, the
        first, and those that others point at.
    """
    bucketed = [(version, bucket_of(at, now)) for version, at in versions]
    newest = {bucket: version for version, bucket in bucketed}
    return [
        version
        for version, bucket in bucketed
        if bucket is not None and newest[bucket] != version and version not in protected
    ]


def pack_link(op_id: UUID, state_hash: bytes) -> bytes:
    """Return what stays of a version that goes. Args: state_hash: 32 bytes."""
    return op_id.bytes + state_hash


def follow(chain: bytes, first: int, links: bytes) -> bytes:
    """Return the chain after versions that were thinned.

    Args: chain: of the version before them; first: the number of the first of them; links: 48 bytes for each.
    """
    for number, start in enumerate(range(0, len(links), LINK_BYTES)):
        link = links[start : start + LINK_BYTES]
        chain = next_chain(chain, first + number, UUID(bytes=link[:16]), link[16:])
    return chain


def runs(links: Mapping[int, bytes]) -> list[tuple[int, int, bytes]]:
    """Return the links of versions as unbroken runs: first, last, and their links one after the other."""
    found: list[tuple[int, list[bytes]]] = []
    for version in sorted(links):
        if found and found[-1][0] + len(found[-1][1]) == version:
            found[-1][1].append(links[version])
        else:
            found.append((version, [links[version]]))
    return [(first, first + len(parts) - 1, b"".join(parts)) for first, parts in found]


def unpack(first: int, links: bytes) -> dict[int, bytes]:
    """Return the link of each version of a run."""
    parts: Sequence[bytes] = [links[start : start + LINK_BYTES] for start in range(0, len(links), LINK_BYTES)]
    return dict(enumerate(parts, start=first))
