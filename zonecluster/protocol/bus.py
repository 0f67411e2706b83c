"""Messages between the processes of one world: gateways, world daemon, zone clusters.

Carried in batches (one bus message for each pair of processes per tick) by the Channels layer, MessagePack
inside. The bus may lose, double or reorder any of them: nothing here has to arrive for anything to stay
right. Every request that matters is repeated by a time-out, and every answer names the request it answers.

Channel names: `daemon.<world>`, `cluster.<world>.<cluster>`, `gateway.<gateway id>`.
A process start is an `incarnation` (random u64): messages of a dead incarnation are told apart by it.

Source: docs/protocol.md, section "Bus".
"""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.figures import Amount, ClusterFigures, Count
from zonecluster.protocol.from_client import ClientMessage, Command
from zonecluster.protocol.to_client import ServerMessage

Incarnation = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Link = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # one WebSocket, unique within its gateway's incarnation
# Fences a session's orders (Admit, Freeze, Thaw, Remove): the daemon numbers them, growing for each session,
# also across daemon restarts. A cluster ignores an order below the highest it has seen of that session (it
# remembers the number for ten minutes after the session left), and answers an equal one again. 0: not
# fenced.
Order = Annotated[int, Meta(ge=0, le=2**63 - 1)]

CommandKind = Annotated[str, Meta(min_length=1, max_length=40)]  # tag of a command, as look
LineKind = Literal["main", "fork"]
Group = Annotated[int, Meta(ge=0, le=2**32 - 1)]  # number of an alliance; 0: none


class BusMessage(Struct, frozen=True, tag_field="t"):
    """Anything on the bus."""


# ---------------------------------------------------------------- gateway → daemon


class GatewayAlive(BusMessage):
    """Once a second. A new incarnation means that all links of the old one are gone."""

    gateway: str
    incarnation: Incarnation


class LinkMessage(BusMessage):
    """A client message the daemon answers: Hello, Enter, ZoneTokenRequest, Logout, Alliance..."""

    gateway: str
    incarnation: Incarnation
    link: Link
    message: ClientMessage


class LinkClosed(BusMessage):
    """The WebSocket is gone."""

    gateway: str
    incarnation: Incarnation
    link: Link


class OpenLink(Struct, frozen=True):
    """One welcomed world link, and the session whose commands it carries (None: not in play)."""

    link: Link
    session: UUID | None


class LinksOpen(BusMessage):
    """All welcomed links of a gateway, every 5 s and at once after Hail.

    How a restarted daemon learns which link carries which session, and how a lost LinkClosed or Route heals:
    a link that the daemon knows and that is not here is closed.
    """

    gateway: str
    incarnation: Incarnation
    links: list[OpenLink]


# ---------------------------------------------------------------- daemon → gateway


class ToLinks(BusMessage):
    """Deliver `message` to these links (from the daemon or a cluster)."""

    links: list[Link]
    message: ServerMessage


class Route(BusMessage):
    """Commands of this link go to this cluster from now on; empty cluster: they are refused with not_now."""

    link: Link
    session: UUID
    cluster: str


class CloseLink(BusMessage):
    """Close the WebSocket after what was sent to it before."""

    link: Link


# ---------------------------------------------------------------- gateway → cluster


class SessionCommand(BusMessage):
    """A command of a player, to be run by the cluster that owns the player."""

    session: UUID
    command: Command


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


# ---------------------------------------------------------------- daemon → cluster


class OpenInstance(BusMessage):
    """Run a copy of this zone; content comes from the ORM. Repeated for an open instance: answered again."""

    instance: Annotated[int, Meta(ge=1, le=2**32 - 1)]
    zone: str
    is_again: bool = False  # it ran before, elsewhere or in a process that died: its chests begin empty
    # Of a move: opened *vacant*, nothing stirs in it before ActivateInstance. One that runs already is opened
    # anew, if nobody is in it. 0: of none; a vacant one stirs from then on, with nothing on the ground
    move: Order = 0


class CloseInstance(BusMessage):
    """Stop an empty instance."""

    instance: int


class ExportInstance(BusMessage):
    """First phase of a move: still everything but the players, and tell what is there → InstanceExported.

    From then on nothing is laid down, picked up or looted there. It is answered once nothing on the ground
    waits for its owner's document any more. `move` grows; one at or below an ended one counts for nothing.
    """

    instance: int
    move: Order


class ImportInstance(BusMessage):
    """Have this in the vacant instance of that move → InstanceImported. Nothing stirs yet."""

    instance: int
    move: Order
    cargo: bytes


class ActivateInstance(BusMessage):
    """The vacant instance is the one from now on: it stirs. Repeated while ClusterAlive calls it vacant."""

    instance: int
    move: Order


class ResumeInstance(BusMessage):
    """The move is off: what was stilled stirs again. Repeated while ClusterAlive calls it exported."""

    instance: int
    move: Order
    is_emptied: bool = False  # what lay there and in chests is gone: the target may have shown it


class Admit(BusMessage):
    """Take this player into an instance; repeat with the same `request` gets the same answer.

    The state is one that the repository has committed; `place` in it for this world says where to stand, else
    the zone's entry.
    """

    session: UUID
    request: UUID
    instance: int
    character: UUID
    name: str
    state: CharacterState
    gateway: str
    link: Link | None
    order: Order = 0
    incarnation: Incarnation = 0  # the process that is meant; another one ignores it. 0: any
    after: UUID | None = None  # the newest exchange of the line, which the state knows
    line: LineKind = "main"


class MintToken(BusMessage):
    """A fresh connect token for a player who is here (zone link lost, client restarted) → Admitted."""

    session: UUID
    request: UUID


class Attach(BusMessage):
    """The player's world link is now this one (None: none; the entity stands still)."""

    session: UUID
    gateway: str
    link: Link | None


class Freeze(BusMessage):
    """First phase of a handoff or a logout: stop changing this player and tell the state."""

    session: UUID
    request: UUID
    instance: int = 0  # 0: wherever the session is on this cluster
    order: Order = 0


class Thaw(BusMessage):
    """The handoff failed: go on here. `text` is told to the player. Harmless where no Freeze has come."""

    session: UUID
    text: str = ""
    # go on in this one, and drop the session from any other of this cluster; 0: the frozen one
    instance: int = 0
    order: Order = 0


class Remove(BusMessage):
    """The player is elsewhere or gone: delete the entity and its zone link.

    After a handoff between two instances of one cluster only `instance` is meant: the session lives on in
    the other.
    """

    session: UUID
    instance: int = 0  # 0: all of this cluster
    order: Order = 0


class TakeCheckpoint(BusMessage):
    """Tell the state now, to be saved."""

    session: UUID
    kind: str = "periodic"


class Saved(BusMessage):
    """The repository accepted a checkpoint of this player: what was dirty up to it is clean."""

    session: UUID
    serial: int = 0  # of the Checkpoint or Frozen that was accepted; 0: the last one sent
    stay: Order = 0  # of the entity that sent it; another one has serials of its own. 0: any
    # The line that has it now: what lies on the ground belongs there. None: the one it was on before
    line: LineKind | None = None


class Journaled(BusMessage):
    """That document is durable on the world's disk: what is new in it may be told to the player (rule 8)."""

    session: UUID
    serial: int
    stay: Order = 0  # of the entity that sent it


class Withhold(BusMessage):
    """The character cannot be saved: it walks and chats, and gains nothing durable (rule 9).

    Repeated while Residents say otherwise.
    """

    session: UUID
    is_on: bool


class Hold(BusMessage):
    """First phase of an exchange: change nothing but the place until Settle, and tell the document.

    Repeated until Held. A cluster never ends a hold by itself.
    """

    session: UUID
    exchange: UUID
    stay: Order
    order: Order = 0  # numbered as Freeze and Thaw are: a late or doubled one cannot act


class Settle(BusMessage):
    """The exchange is over; the player may change again.

    `state`: the document from now on, which knows the exchange `after`; the place stays the cluster's. None:
    the document is what it was. Repeated while Residents say that the cluster has not heard. Ignored if the
    document knows `after` already and nothing is held.
    """

    session: UUID
    stay: Order
    after: UUID | None
    state: CharacterState | None = None
    text: str = ""  # told to the player
    order: Order = 0
    line: LineKind | None = None  # as in Saved: what was laid down before is shown now, if it was not yet


class LineIs(BusMessage):
    """The player's character has gone on to another line: what lies on the ground belongs to lines.

    Repeated while Residents say otherwise.
    """

    session: UUID
    line: LineKind


class ReportStored(BusMessage):
    """The report of a Poisoned is durable: it need not be repeated any more."""

    session: UUID
    stay: Order


class Grouped(BusMessage):
    """The player is in this alliance: its members are shown to each other first. Repeated as Withhold is."""

    session: UUID
    group: Group


class HandlersOff(BusMessage):
    """All kinds of commands that this world refuses from now on. Repeated while ClusterAlive differs."""

    kinds: list[CommandKind]


class StandDown(BusMessage):
    """Another process is the cluster of that name: this one is to end, and to save nothing."""

    cluster: str
    incarnation: Incarnation
    reason: str


class Hail(BusMessage):
    """Broadcast by a starting daemon to its clusters and gateways: announce yourselves at once."""

    world: str


FromGateway = GatewayAlive | LinkMessage | LinkClosed | LinksOpen
FromCluster = (
    ClusterAlive
    | Residents
    | InstanceOpened
    | InstanceExported
    | InstanceImported
    | Admitted
    | AdmitRefused
    | Frozen
    | Held
    | Settled
    | Checkpoint
    | Poisoned
    | PortalEntered
    | HandlerSlow
    | Removed
    | Unknown
)
ToDaemon = FromGateway | FromCluster
ToGateway = ToLinks | Route | CloseLink | Hail
ToCluster = (
    SessionCommand
    | OpenInstance
    | CloseInstance
    | ExportInstance
    | ImportInstance
    | ActivateInstance
    | ResumeInstance
    | Admit
    | MintToken
    | Attach
    | Freeze
    | Thaw
    | Remove
    | TakeCheckpoint
    | Saved
    | Journaled
    | Withhold
    | Hold
    | Settle
    | LineIs
    | ReportStored
    | Grouped
    | HandlersOff
    | StandDown
    | Hail
)

encoder = msgspec.msgpack.Encoder()
daemon_decoder = msgspec.msgpack.Decoder(list[ToDaemon])
gateway_decoder = msgspec.msgpack.Decoder(list[ToGateway])
cluster_decoder = msgspec.msgpack.Decoder(list[ToCluster])
