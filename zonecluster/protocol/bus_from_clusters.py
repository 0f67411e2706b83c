"""Messages of the bus that zone clusters send to the world daemon.

Source: docs/protocol.md, section "Bus".
"""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from zonecluster.protocol.bus_message import (
    BusMessage,
    CommandKind,
    Group,
    Incarnation,
    LevelCap,
    LineKind,
    Link,
    Order,
)
from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.figures import Amount, ClusterFigures, Count

# ---------------------------------------------------------------- cluster → daemon


class ClusterAlive(BusMessage):
    """Every 0.5 s, and at once after start. A new incarnation means the old process is dead."""

    cluster: str
    incarnation: Incarnation
    instances: list[int]
    players: int
    tick_ms: float
    dilation: float = 1.0  # as planned: game time per time
    figures: ClusterFigures | None = None  # made every 3 s
    metrics: str = ""  # host:port of its /metrics; empty: none
    handlers_off: list[str] = []  # kinds of commands that it refuses, see HandlersOff
    vacant: list[int] = []  # of the instances: opened for a move and not activated
    exported: list[int] = []  # of the instances: stilled by a move
    door: bytes = b""  # now and then: a connect token for nobody, for the reachability check


class Resident(Struct, frozen=True):
    """Where one player of a cluster is now."""

    session: UUID
    instance: int
    position: tuple[float, float, float]
    heading_deg: float
    # durable state (anything but the place) changed since the last checkpoint that was accepted
    is_dirty: bool
    stay: Order = 0  # order of the Admit that made this entity
    is_frozen: bool = False
    link: Link | None = None  # the world link it is attached to
    is_withheld: bool = False  # nothing durable is given to it, see Withhold
    group: Group = 0
    after: UUID | None = None  # the newest exchange that its document knows, see Settle
    held: UUID | None = None  # waits for the outcome of this exchange, see Hold
    line: LineKind = "main"
    serial: Annotated[int, Meta(ge=0)] = 0  # of the newest document of it that the cluster has sent
    is_silenced: bool = False  # see Silence
    level_cap: LevelCap = None  # that it is held to, see LimitsAre


class Residents(BusMessage):
    """Once a second, all players of the cluster: a restarted daemon learns who plays, and places survive.

    Many players come in parts, spread over the second. Who is in no part of a round is not there.
    """

    cluster: str
    incarnation: Incarnation
    residents: list[Resident]
    round: int = 0
    part: int = 0
    parts: int = 1  # of this round


class InstanceOpened(BusMessage):
    """Answer to OpenInstance; `error` is empty when it is open."""

    cluster: str
    incarnation: Incarnation
    instance: int
    error: str = ""


class InstanceExported(BusMessage):
    """Answer to ExportInstance: nothing stirs in it any more, and this is what is in it, players left out.

    `cargo`: a Cargo of zonecluster/protocol/cargo.py as MessagePack; the daemon carries it unread.
    """

    cluster: str
    incarnation: Incarnation
    instance: int
    move: Order
    cargo: bytes


class InstanceImported(BusMessage):
    """Answer to ImportInstance; `error` is empty when it has been taken over."""

    cluster: str
    incarnation: Incarnation
    instance: int
    move: Order
    error: str = ""


class Admitted(BusMessage):
    """Answer to Admit: the entity stands (or will, at activation) and this token opens the zone link."""

    cluster: str
    incarnation: Incarnation
    session: UUID
    request: UUID
    entity: int
    connect_token: bytes


class AdmitRefused(BusMessage):
    """Answer to Admit: no, and why."""

    cluster: str
    session: UUID
    request: UUID
    reason: str


class Frozen(BusMessage):
    """Answer to Freeze: the player does not change any more; this is its state."""

    cluster: str
    session: UUID
    request: UUID
    state: CharacterState
    serial: int = 0  # to be echoed in Saved
    after: UUID | None = None


class Held(BusMessage):
    """Answer to Hold: nothing but the place changes any more; this is the document."""

    cluster: str
    session: UUID
    exchange: UUID
    state: CharacterState
    serial: int
    stay: Order
    after: UUID | None = None


class Settled(BusMessage):
    """Answer to Settle: the player is held no more. Lost, Residents say the same within a second."""

    cluster: str
    session: UUID
    stay: Order
    after: UUID | None = None


class Checkpoint(BusMessage):
    """Answer to TakeCheckpoint, or sent at once when something durable happened: the state to save."""

    cluster: str
    session: UUID
    state: CharacterState
    kind: str  # periodic, level, quest, item, ...: Version.kind
    # to be echoed in Saved; grows: the daemon drops one that is not above the last of this stay
    serial: int = 0
    stay: Order = 0
    # The newest exchange that the document knows: one that does not know the newest of its line is not saved.
    after: UUID | None = None


class Poisoned(BusMessage):
    """The rules raised on a player's document: the player is out of the zone, the zone goes on.

    Repeated once a second until ReportStored: what was not saved of the player is in here only.
    """

    cluster: str
    incarnation: Incarnation
    session: UUID
    stay: Order
    where: str  # what was done, as admit, command:buy, checkpoint
    error: str  # the end of the traceback, at most 8,000 characters
    document: bytes  # JSON, as it was: perhaps against the schema; empty if it cannot be written at all
    character: UUID
    name: str


class PortalEntered(BusMessage):
    """The player went into the trigger of a zone link, or used it by command; the daemon decides."""

    cluster: str
    session: UUID
    link: str
    stay: Order = 0


class HandlerSlow(BusMessage):
    """A kind of command keeps taking too long here; repeated once a second until HandlersOff names it."""

    cluster: str
    incarnation: Incarnation
    kind: CommandKind
    p99_ms: Amount  # of CPU time, of the last `runs`
    worst_ms: Amount
    runs: Count


class Removed(BusMessage):
    """Answer to Remove, also when nothing was there to remove: the session has left that instance."""

    cluster: str
    incarnation: Incarnation
    session: UUID
    order: Order


class Unknown(BusMessage):
    """A request named a session that this cluster does not have."""

    cluster: str
    incarnation: Incarnation
    session: UUID
    request: UUID | None = None
