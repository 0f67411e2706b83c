"""The daemon's whole memory, and how its parts ask for effects. One object for one world."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from random import Random
from uuid import UUID

from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.clusters import Clusters
from worlds.daemon.core.commerce import Exchange, MailCall, Trade
from worlds.daemon.core.effects import (
    Call,
    CloseSession,
    Effect,
    Journal,
    Log,
    RecordSession,
    Request,
    SendToCluster,
    SendToGateway,
    StoreHead,
    StoreTokens,
    UpdateSession,
)
from worlds.daemon.core.events import ReceiptsLoaded, Unfinished
from worlds.daemon.core.hosts import Hosts
from worlds.daemon.core.living import Life
from worlds.daemon.core.measuring import Measured
from worlds.daemon.core.moving import Move
from worlds.daemon.core.ordering import Orders
from worlds.daemon.core.restart_work import Work
from worlds.daemon.core.session import DEADLINES, ClusterRequest, LinkRef, Phase, Session, Stay
from worlds.daemon.core.upkeep import Ended, UpkeepLoaded
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import RefusalCode, Refused, ServerMessage

REPEAT_S = 0.7  # requests to clusters are repeated so often until answered: the bus may lose them

# By (inviter, invited), sessions: when it ends, and whether it was declined.
Invitations = dict[tuple[UUID, UUID], tuple[float, bool]]


@dataclass
class Gateway:
    """One gateway as last heard of."""

    incarnation: int
    heard_at: float


@dataclass(frozen=True)
class Ticket:
    """What the journal was asked to keep: of which session, and which document of which entity it is."""

    session: UUID
    save: uplink.Save
    serial: int
    stay: int


@dataclass
class Replay:
    """Writes of one line that no session waits for: of a dead daemon, or of a session that has ended.

    The first is asked for until the master answers, then the next. Instants in seconds.
    """

    character: UUID
    writes: deque[uplink.Save] = field(default_factory=deque)
    call: UUID | None = None
    called_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0


@dataclass
class PoisonReport:
    """What a cluster has reported of a document, to be confirmed to it. `digest`: of the line's document."""

    session: UUID
    stay: int
    character: UUID
    cluster: str
    digest: bytes
    is_stored: bool = False


@dataclass
class Alliance:
    """`members`: sessions, the leader first. Until `alone_until`, an instant, one may be the only member."""

    number: int
    members: list[UUID]
    alone_until: float = 0.0


@dataclass
class Reoffering:
    """How far the world is with one restore. Instants in seconds."""

    incarnation: int
    since: datetime
    after: tuple[UUID, int] | None = None  # line and version of the last one offered
    page: ReceiptsLoaded | None = None  # loaded, and not answered yet
    call: UUID | None = None
    load_at: float | None = 0.0
    failures: int = 0
    waiting: int = 0


@dataclass
class World:
    """Memory and pending effects. `now` and `rng` are those of the event being handled."""

    catalog: Catalog
    started_at: datetime
    next_order: int  # grows from here; above all orders of earlier daemons (their start instants see to that)
    next_revision: int = (
        0  # of a trade; grows in the same way, so what was said of an older one fits no other
    )
    now: float = 0.0
    rng: Random = field(default_factory=Random)
    effects: list[Effect] = field(default_factory=list)

    sessions: dict[UUID, Session] = field(default_factory=dict)
    by_link: dict[LinkRef, UUID] = field(default_factory=dict)
    by_character: dict[UUID, UUID] = field(default_factory=dict)
    by_digest: dict[bytes, UUID] = field(default_factory=dict)
    calls: dict[UUID, UUID | None] = field(default_factory=dict)  # who waits for the answer; None: the world

    clusters: Clusters = field(default_factory=Clusters)
    hosts: Hosts = field(default_factory=Hosts)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    dead_gateways: set[tuple[str, int]] = field(default_factory=set)
    is_loaded: bool = False  # the open sessions of the last daemon are known
    settle_until: float = 0.0
    is_bus_up: bool = True
    is_stopping: bool = False
    is_suspended: bool = False
    is_limited: bool = False
    renew_at: float = 0.0
    renew_calls: set[UUID] = field(default_factory=set)
    report_at: float = 0.0
    report_call: UUID | None = None
    wants_doors: bool = False  # the master wants to look whether UDP comes through
    is_master_up: bool = True
    tickets: dict[int, Ticket] = field(default_factory=dict)
    next_ticket: int = 0
    woke_at: float = 0.0  # since when this process runs without a pause
    journal_broken_since: float | None = None
    probe_at: float = 0.0
    housekeeping_at: float = 0.0
    replays: dict[UUID, Replay] = field(default_factory=dict)  # by line
    replay_calls: dict[UUID, UUID] = field(default_factory=dict)  # call → line
    exchanges: dict[UUID, Exchange] = field(default_factory=dict)
    exchange_calls: dict[UUID, UUID] = field(default_factory=dict)  # call → exchange
    trades: dict[UUID, Trade] = field(default_factory=dict)  # by session: of both sides the same one
    trade_invitations: Invitations = field(default_factory=dict)
    mail_calls: dict[UUID, MailCall] = field(default_factory=dict)
    told_of_mail: set[UUID] = field(default_factory=set)  # characters whose players know of a new letter
    is_trade_off: bool = False
    kinds_off: frozenset[str] = frozenset()  # kinds of items that may not change hands
    alliances: dict[int, Alliance] = field(default_factory=dict)  # by number
    invitations: Invitations = field(default_factory=dict)  # into alliances
    reoffering: Reoffering | None = None
    poison_reports: dict[tuple[UUID, int], PoisonReport] = field(default_factory=dict)  # by session and stay
    upkeep: UpkeepLoaded | None = None  # as last read; None: not yet
    wall: tuple[datetime, float] | None = None  # the instant (UTC) of that read, and `now` then
    restart: Work | None = None  # the one that is next, or under way
    restarts_ended: Ended = field(default_factory=Ended)
    life: Life = field(default_factory=Life)
    measured: Measured = field(default_factory=Measured)  # costs, and which commands are off
    moves: dict[int, Move] = field(default_factory=dict)  # by instance
    ended_moves: Ended = field(default_factory=Ended)
    orders: Orders = field(default_factory=Orders)  # of the world's keepers
    unknown_clusters: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    # ---------------------------------------------------------------- effects

    def emit(self, effect: Effect) -> None:
        """Ask for an effect."""
        self.effects.append(effect)

    def log(self, event: str, level: str = "info", **fields: object) -> None:
        """Ask for a log line."""
        self.emit(Log(event, level, fields))  # type: ignore[arg-type]

    def new_id(self) -> UUID:
        """Return a fresh random id."""
        return UUID(int=self.rng.getrandbits(128), version=4)

    def new_order(self) -> int:
        """Return the next number for an order about a session."""
        self.next_order += 1
        return self.next_order

    def new_revision(self) -> int:
        """Return the next number for what two players offer each other."""
        self.next_revision += 1
        return self.next_revision

    def to_cluster(self, cluster: str, message: bus.BusMessage) -> None:
        """Send to a cluster."""
        self.emit(SendToCluster(cluster, message))

    def to_link(self, link: LinkRef | None, message: ServerMessage) -> None:
        """Send to a player's client; to nobody if there is no link."""
        if link is not None:
            self.emit(SendToGateway(link.gateway, bus.ToLinks(links=[link.link], message=message)))

    def refuse(self, link: LinkRef | None, code: RefusalCode, reason: str, advice: str) -> None:
        """Tell a client no, why, and what to do."""
        self.to_link(link, Refused(code=code, reason=reason, advice=advice))

    def close_link(self, link: LinkRef) -> None:
        """Close a WebSocket after what was sent to it, and forget it."""
        self.emit(SendToGateway(link.gateway, bus.CloseLink(link=link.link)))
        self.by_link.pop(link, None)

    def route(self, s: Session, cluster: str) -> None:
        """Say where this player's commands go; "" refuses them."""
        if s.link is not None:
            self.emit(
                SendToGateway(s.link.gateway, bus.Route(link=s.link.link, session=s.id, cluster=cluster))
            )

    def call(self, s: Session | None, request: Request) -> UUID:
        """Ask the master; the answer finds the session by the returned id."""
        return self.call_as(self.new_id(), s, request)

    def call_as(self, call: UUID, s: Session | None, request: Request) -> UUID:
        """Ask the master under an id that was chosen before."""
        self.calls[call] = s.id if s is not None else None
        self.emit(Call(call, request))
        return call

    def begin_acquire(self, s: Session) -> None:
        """Ask for the lease of the chosen character, as a new try."""
        s.acquire_op, s.acquire_order = self.new_id(), self.new_order()
        self.ask_for_lease(s)

    def ask_for_lease(self, s: Session) -> None:
        """Ask for the lease of the chosen character, under the op_id of this try. Raises: ValueError."""
        if s.admission is None or s.acquire_op is None:
            raise ValueError("a lease needs an admission and an op_id")
        request = uplink.Acquire(
            admission=s.admission, character=s.chosen, op_id=s.acquire_op, order=s.acquire_order
        )
        s.call = self.call(s, request)

    def store_head(self, lease: uplink.Lease) -> None:
        """Ask for the receipt of a lease's head to be kept, if this world wrote it."""
        if lease.receipt and lease.kind is not None:
            self.emit(StoreHead(lease.line, lease.version, lease.receipt, lease.state, lease.kind))

    # ---------------------------------------------------------------- journal

    def keep(self, s: Session, save: uplink.Save, serial: int = 0, stay: int = 0) -> None:
        """Ask for a write of a session to be made durable on this world's disk. Raises: IllegalMove."""
        self.next_ticket += 1
        self.tickets[self.next_ticket] = Ticket(s.id, save, serial, stay)
        self.emit(Journal(self.next_ticket, Unfinished(s.chosen, save)))

    def is_replaying(self, character: UUID | None) -> bool:
        """Whether writes of a character wait for the master without a session."""
        return any(replay.character == character for replay in self.replays.values())

    # ---------------------------------------------------------------- sessions

    def new_session(self, phase: Phase) -> Session:
        """Make a session and remember it."""
        limit = DEADLINES[phase][0]
        s = Session(self.new_id(), phase, self.now, None if limit is None else self.now + limit)
        self.sessions[s.id] = s
        return s

    def of_link(self, link: LinkRef | None) -> Session | None:
        """Return the session that a link carries."""
        return self.find(self.by_link.get(link)) if link is not None else None

    def who_plays(self, character: UUID | None) -> Session | None:
        """Return the session that has a character, on its way in or out too."""
        return self.find(self.by_character.get(character)) if character is not None else None

    def find(self, session: UUID | None) -> Session | None:
        """Return a session by its id."""
        return self.sessions.get(session) if session is not None else None

    def new_resume_token(self, s: Session) -> str:
        """Return a fresh resume token of 256 bits; only its SHA-256 is kept.

        The token that the client came with stays good until the client shows that it has the fresh one: the
        Welcome that carries it may be lost with a gateway.
        """
        token = f"{self.rng.getrandbits(256):064x}"
        if s.resume_digest != s.proven_digest:
            self.by_digest.pop(s.resume_digest, None)
        s.resume_digest = sha256(token.encode()).digest()
        self.by_digest[s.resume_digest] = s.id
        return token

    def prove_resume_token(self, s: Session, digest: bytes) -> None:
        """The client has this token: it stays good, all others of the session are void."""
        for each in (s.resume_digest, s.proven_digest):
            if each != digest:
                self.by_digest.pop(each, None)
        s.resume_digest = s.proven_digest = digest

    def take_resume_tokens(self, s: Session, newest: bytes, proven: bytes) -> None:
        """The daemon before this one gave the newest; the client may have only the proven one yet.

        Args: proven: empty: the newest is.
        """
        s.resume_digest, s.proven_digest = newest, proven or newest
        self.by_digest[s.resume_digest] = self.by_digest[s.proven_digest] = s.id

    def void_resume_tokens(self, s: Session) -> None:
        """No token leads to this session any more."""
        for digest in (s.resume_digest, s.proven_digest):
            self.by_digest.pop(digest, None)

    def forget(self, s: Session) -> None:
        """Drop a session from memory."""
        self.sessions.pop(s.id, None)
        self.void_resume_tokens(s)
        self.free_character(s)
        if s.link is not None:
            self.by_link.pop(s.link, None)

    def free_character(self, s: Session) -> None:
        """The character is no longer this session's."""
        if s.character is not None and self.by_character.get(s.character) == s.id:
            del self.by_character[s.character]

    def record(self, s: Session) -> None:
        """Ask for the row to be made durable; Recorded follows."""
        s.is_recorded = True
        self.emit(RecordSession(s.row()))

    def update_row(self, s: Session) -> None:
        """Ask for the row to be written as it is now."""
        if s.is_recorded and s.writer is not None:
            self.emit(UpdateSession(s.row()))

    def store_tokens(self, s: Session) -> None:
        """Ask for the resume tokens to be kept: a restarted daemon is to know what the client has."""
        if s.is_recorded or s.id in self.life.rows:
            self.emit(StoreTokens(s.id, s.resume_digest, s.proven_digest))

    def close_row(self, s: Session, reason: str) -> None:
        """Ask for the row to be closed."""
        if s.is_recorded:
            s.is_recorded = False
            self.emit(CloseSession(s.id, reason[:80]))

    # ---------------------------------------------------------------- requests to clusters

    def ask(self, s: Session, stay: Stay, message: bus.BusMessage, request: UUID | None) -> None:
        """Send a request of this phase, repeated until the phase ends."""
        s.request = ClusterRequest(stay.cluster, stay.incarnation, request, message, self.now + REPEAT_S)
        self.to_cluster(stay.cluster, message)

    def repeat_requests(self, s: Session) -> None:
        """Send again what is not answered yet."""
        if s.mint is not None and self.now >= s.mint.give_up_at:
            s.mint = None
        for request in (s.request, s.mint):
            if request is not None and self.now >= request.repeat_at:
                request.repeat_at = self.now + REPEAT_S
                self.to_cluster(request.cluster, request.message)
