"""What the core asks its shell to do. Effects are carried out in their order, for each kind of target."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from worlds.daemon.core.events import UNKNOWN_LIMITS, Unfinished
from worlds.daemon.core.hosts import HostEffect
from worlds.daemon.core.measuring import MeasuringEffect
from worlds.daemon.core.ordering import CarryOut
from worlds.daemon.core.upkeep import UpkeepEffect
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState

Request = (
    uplink.Redeem
    | uplink.Acquire
    | uplink.Renew
    | uplink.Save
    | uplink.Release
    | uplink.Report
    | uplink.Reoffer
    | uplink.Exchange
    | uplink.Mailbox
)


@dataclass(frozen=True)
class SendToGateway:
    """Put a message into a gateway's inbox."""

    gateway: str
    message: bus.BusMessage


@dataclass(frozen=True)
class SendToCluster:
    """Put a message into a cluster's inbox."""

    cluster: str
    message: bus.BusMessage


@dataclass(frozen=True)
class HailAll:
    """Ask all gateways and clusters to announce themselves."""


@dataclass(frozen=True)
class Call:
    """Ask the master; every call is answered once by Answered, if only by Unreachable.

    `report_clusters` of a Report are filled in by the core; its instants are the shell's.
    """

    id: UUID
    request: Request


@dataclass(frozen=True)
class SessionRow:
    """The durable part of a session, as it is now: the whole PlaySession row but its instants."""

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
    instance: int
    entity: int
    resume_digest: bytes
    stay: int = 0  # order of the Admit that made the entity; in the row it never goes back
    has_gap: bool = True  # the player may have seen more in that stay than is known here
    limits: uplink.Limits = UNKNOWN_LIMITS
    proven_digest: bytes = b""  # of the token that the client has shown; empty: none yet


@dataclass(frozen=True)
class RecordSession:
    """Write the row of a new session, and say Recorded when it is durable."""

    row: SessionRow


@dataclass(frozen=True)
class UpdateSession:
    """Write the row as it is now."""

    row: SessionRow


@dataclass(frozen=True)
class StoreTokens:
    """Keep the digests of a session's resume tokens in whichever row it has, of play or of the queue."""

    session: UUID
    resume_digest: bytes
    proven_digest: bytes


@dataclass(frozen=True)
class CloseSession:
    """The session is over; `reason` for people."""

    session: UUID
    reason: str


@dataclass(frozen=True)
class WaitingRow:
    """Somebody in the queue of a full world, as it is now: the whole WaitingPlayer row but its instant."""

    id: UUID
    account: UUID
    admission: UUID
    character: UUID
    name: str
    edition: str
    rank: int
    arrival: int
    resume_digest: bytes
    limits: uplink.Limits = UNKNOWN_LIMITS
    proven_digest: bytes = b""  # of the token that the client has shown; empty: none yet


@dataclass(frozen=True)
class StoreWaiting:
    """Keep somebody's place in the queue, so that a restarted daemon knows it."""

    row: WaitingRow


@dataclass(frozen=True)
class ForgetWaiting:
    """That session does not wait any more."""

    session: UUID


@dataclass(frozen=True)
class StoreReceipt:
    """Keep the master's receipt and the state it stands for; then the write is finished in the journal."""

    line: UUID
    version: int
    op_id: UUID
    receipt: str
    state: CharacterState
    kind: uplink.SaveKind = "periodic"


@dataclass(frozen=True)
class StoreExchange:
    """Keep the receipts of an exchange: all or none, or a restore could bring back one side of a trade."""

    receipts: tuple[StoreReceipt, ...]


@dataclass(frozen=True)
class StoreHead:
    """Keep the receipt of a lease's head, unless it is there: the last daemon may not have heard of it."""

    line: UUID
    version: int
    receipt: str
    state: CharacterState
    kind: uplink.SaveKind


@dataclass(frozen=True)
class LoadReceipts:
    """Read a page of the receipts since an instant; ReceiptsLoaded brings it. `after`: line and version."""

    incarnation: int
    since: datetime
    after: tuple[UUID, int] | None


@dataclass(frozen=True)
class Journal:
    """Make a write durable on this world's own disk; Journaled or JournalFailed name the ticket."""

    ticket: int
    write: Unfinished


@dataclass(frozen=True)
class ProbeJournal:
    """See whether the journal takes anything again; Journaled or JournalFailed follow."""


@dataclass(frozen=True)
class SetAside:
    """The master will never take this write: keep it where people find it, and finish it in the journal."""

    write: Unfinished
    reason: str


@dataclass(frozen=True)
class StorePoison:
    """Keep what a cluster reports of a document on which the rules raised; PoisonStored follows.

    `digest`: of the line's document, b"" if that is not known; `line`, `version`: of its head.
    """

    report: bus.Poisoned
    digest: bytes
    line: UUID | None
    version: int


@dataclass(frozen=True)
class EndQuarantine:
    """A character whose document is another now may play here again."""

    character: UUID


@dataclass(frozen=True)
class Log:
    """One line of the log: event name in snake_case, and its fields."""

    event: str
    level: Literal["debug", "info", "warning", "error"] = "info"
    fields: dict[str, Any] = field(default_factory=dict)


Effect = (
    SendToGateway
    | SendToCluster
    | HailAll
    | Call
    | RecordSession
    | UpdateSession
    | StoreTokens
    | CloseSession
    | StoreWaiting
    | ForgetWaiting
    | StoreReceipt
    | StoreExchange
    | StoreHead
    | LoadReceipts
    | Journal
    | ProbeJournal
    | SetAside
    | StorePoison
    | EndQuarantine
    | UpkeepEffect
    | MeasuringEffect
    | HostEffect
    | CarryOut
    | Log
)
