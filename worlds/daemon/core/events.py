"""What can happen to a world daemon: the input of its core. Messages of the bus come as they are."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.hosts import HostHeard, HostLost
from worlds.daemon.core.ordering import CarriedOut
from worlds.daemon.core.upkeep import UpkeepLoaded
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus

# Of a row that does not say: the next report's answer does.
UNKNOWN_LIMITS = uplink.Limits(level_cap=None)


@dataclass(frozen=True)
class FromBus:
    """One message of a gateway or cluster."""

    message: bus.BusMessage


@dataclass(frozen=True)
class Tick:
    """Time has passed; about 20 times a second."""


@dataclass(frozen=True)
class CatalogLoaded:
    """The world's content and clusters, at start and again whenever they may have changed."""

    catalog: Catalog


@dataclass(frozen=True)
class OpenSession:
    """A PlaySession row that is not closed: somebody in play when the last daemon ended."""

    id: UUID
    account: UUID
    admission: UUID
    character: UUID
    name: str
    edition: str
    line: UUID
    epoch: int
    zone: str
    cluster: str
    resume_digest: bytes
    stay: int = 0  # entities with a lower one are ghosts
    has_gap: bool = True  # the player may have seen more in that stay than is known here
    limits: uplink.Limits = UNKNOWN_LIMITS
    proven_digest: bytes = b""  # of the token that the client has shown; empty: none yet


@dataclass(frozen=True)
class WaitingSession:
    """A WaitingPlayer row: somebody who was in the queue when the last daemon ended."""

    id: UUID
    account: UUID
    admission: UUID
    character: UUID
    name: str
    edition: str
    rank: int
    arrival: int
    resume_digest: bytes
    waited_s: float
    limits: uplink.Limits = UNKNOWN_LIMITS
    proven_digest: bytes = b""  # of the token that the client has shown; empty: none yet


@dataclass(frozen=True)
class SessionsLoaded:
    """All open rows, once, at start."""

    sessions: list[OpenSession]
    waiting: list[WaitingSession] = field(default_factory=list)


@dataclass(frozen=True)
class Recorded:
    """The row of a new session is durable."""

    session: UUID


@dataclass(frozen=True)
class PoisonStored:
    """The report about this stay of a session is durable."""

    session: UUID
    stay: int


@dataclass(frozen=True)
class Unreachable:
    """No answer of the master: it is down, too slow, or it said something that cannot be believed."""

    cause: str


@dataclass(frozen=True)
class Answered:
    """The outcome of one Call."""

    call: UUID
    answer: (
        uplink.Admission
        | uplink.Lease
        | uplink.Renewed
        | uplink.Saved
        | uplink.Released
        | uplink.Reported
        | uplink.Reoffered
        | uplink.Exchanged
        | uplink.MailboxIs
        | uplink.Refusal
        | Unreachable
    )


@dataclass(frozen=True)
class Unfinished:
    """A write that the master has not acknowledged, as far as the world's disk knows."""

    character: UUID
    save: uplink.Save


@dataclass(frozen=True)
class ReceiptsLoaded:
    """A page of the receipts that this world holds, by line and version; `end`: the last of it."""

    incarnation: int
    after: tuple[UUID, int] | None  # as it was asked for
    versions: list[uplink.OfferedVersion]
    end: tuple[UUID, int] | None
    is_last: bool


@dataclass(frozen=True)
class JournalLoaded:
    """What the journal of the last daemon holds, once, before SessionsLoaded; of each line in its order."""

    unfinished: list[Unfinished]


@dataclass(frozen=True)
class Journaled:
    """The journal works, and the records of these tickets are on the disk."""

    tickets: tuple[int, ...]


@dataclass(frozen=True)
class JournalFailed:
    """Nothing can be written to the journal; the records of these tickets are not in it."""

    tickets: tuple[int, ...]
    cause: str


@dataclass(frozen=True)
class BusLost:
    """Our own messages do not come back to us: silence of others means nothing now."""


@dataclass(frozen=True)
class BusBack:
    """The bus works again."""


@dataclass(frozen=True)
class Stopping:
    """SIGTERM: admit nobody any more, hand in what is written."""


Event = (
    FromBus
    | Tick
    | CatalogLoaded
    | JournalLoaded
    | SessionsLoaded
    | Recorded
    | PoisonStored
    | Answered
    | Journaled
    | JournalFailed
    | ReceiptsLoaded
    | UpkeepLoaded
    | CarriedOut
    | HostHeard
    | HostLost
    | BusLost
    | BusBack
    | Stopping
)
Fields = dict[str, Any]
