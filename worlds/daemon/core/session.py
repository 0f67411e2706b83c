"""One player in this world: the states a session goes through, how long each may last, and what it remembers.

Nothing here decides: entering, arrival, handoff, recovery and departure do. The table of transitions is the
law (a move that is not in it raises), and the diagram in docs/daemon.md is drawn from it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeVar
from uuid import UUID

from worlds.daemon.core.effects import SessionRow
from worlds.daemon.core.events import UNKNOWN_LIMITS
from worlds.daemon.core.saving import WriteHead
from worlds.uplink import messages as uplink
from worlds.uplink.orders import Mute
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.to_client import CharacterSummary, Queued, RefusalCode

COPIES = 257  # a command this far behind the newest of its link is so old that it may be a copy
GRACE_S = 60.0  # how long a player without a world link stays in the world


class Phase(StrEnum):
    """Where a session is on its way in, through, or out."""

    REDEEMING = "redeeming"  # the master is asked about the ticket
    WELCOMED = "welcomed"  # admitted, no character chosen
    WAITING = "waiting"  # the world is full: in its queue
    QUEUED = "queued"  # the chosen character is just leaving by another session
    ACQUIRING = "acquiring"  # the master is asked for the lease
    RECORDING = "recording"  # the session's row is being written
    OPENING = "opening"  # the zone instance is not open yet
    ADMITTING = "admitting"  # a cluster is asked to take the player
    PLAYING = "playing"
    CROSSING = "crossing"  # handoff: the target instance is not open yet; the player plays on
    FREEZING = "freezing"  # handoff: the source is asked to freeze
    COMMITTING = "committing"  # handoff: the frozen state is being saved
    ARRIVING = "arriving"  # handoff: the target is asked to admit
    RETURNING = "returning"  # handoff failed: the target is told to forget the player
    PAUSING = "pausing"  # the world restarts: asked its cluster to freeze
    PAUSED = "paused"  # frozen, saved or about to be; its cluster is restarted
    RECOVERING = "recovering"  # the cluster died: waiting for an instance of the zone
    READMITTING = "readmitting"  # ... which is asked to admit
    RESTORING = "restoring"  # the daemon was restarted: lease and whereabouts are being found out
    FREEZING_OUT = "freezing_out"  # leaving: the cluster is asked to freeze
    SAVING_OUT = "saving_out"  # leaving: the last state is being saved
    KEEPING = "keeping"  # left, but the master has not confirmed the last state yet
    RELEASING = "releasing"  # the lease is given back
    REMOVING = "removing"  # the cluster is told to forget the player
    WITHDRAWING = "withdrawing"  # entering failed: the cluster is told to forget the player
    ENDED = "ended"


P = Phase
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    P.REDEEMING: frozenset({P.WELCOMED, P.ENDED}),
    P.WELCOMED: frozenset({P.WAITING, P.QUEUED, P.ACQUIRING, P.ENDED}),
    P.WAITING: frozenset({P.QUEUED, P.ACQUIRING, P.WELCOMED, P.ENDED}),
    P.QUEUED: frozenset({P.ACQUIRING, P.WAITING, P.WELCOMED, P.ENDED}),
    P.ACQUIRING: frozenset({P.RECORDING, P.WAITING, P.WELCOMED, P.ENDED}),
    P.RECORDING: frozenset({P.OPENING, P.RELEASING, P.REMOVING}),
    P.OPENING: frozenset({P.ADMITTING, P.RELEASING, P.REMOVING}),
    P.ADMITTING: frozenset({P.PLAYING, P.OPENING, P.WITHDRAWING, P.RELEASING, P.REMOVING}),
    P.PLAYING: frozenset({P.CROSSING, P.PAUSING, P.RECOVERING, P.FREEZING_OUT, P.REMOVING}),
    P.CROSSING: frozenset({P.FREEZING, P.PLAYING, P.RECOVERING, P.FREEZING_OUT, P.REMOVING}),
    P.FREEZING: frozenset({P.COMMITTING, P.PLAYING, P.RECOVERING, P.FREEZING_OUT, P.REMOVING}),
    P.COMMITTING: frozenset({P.ARRIVING, P.PLAYING, P.RECOVERING, P.SAVING_OUT, P.REMOVING}),
    P.PAUSING: frozenset({P.PAUSED, P.PLAYING, P.RECOVERING, P.FREEZING_OUT, P.REMOVING}),
    P.PAUSED: frozenset({P.PLAYING, P.RECOVERING, P.SAVING_OUT, P.REMOVING}),
    P.ARRIVING: frozenset({P.PLAYING, P.RETURNING, P.REMOVING}),
    P.RETURNING: frozenset({P.PLAYING, P.RECOVERING, P.REMOVING}),
    P.RECOVERING: frozenset({P.READMITTING, P.PLAYING, P.SAVING_OUT, P.REMOVING}),
    P.READMITTING: frozenset({P.PLAYING, P.RECOVERING, P.REMOVING}),
    P.RESTORING: frozenset({P.PLAYING, P.RECOVERING, P.REMOVING}),
    P.FREEZING_OUT: frozenset({P.SAVING_OUT, P.PLAYING, P.REMOVING}),
    P.SAVING_OUT: frozenset({P.RELEASING, P.KEEPING, P.PLAYING, P.RECOVERING, P.REMOVING}),
    P.KEEPING: frozenset({P.RELEASING, P.RECOVERING, P.REMOVING}),
    P.RELEASING: frozenset({P.REMOVING, P.WAITING, P.WELCOMED}),
    P.REMOVING: frozenset({P.ENDED}),
    P.WITHDRAWING: frozenset({P.RELEASING, P.REMOVING}),
    P.ENDED: frozenset(),
}

# Seconds a phase may last, and what happens then (the words are for the docs). None: until somebody acts.
DEADLINES: dict[Phase, tuple[float | None, str]] = {
    P.REDEEMING: (10.0, "refused: master_unavailable"),
    P.WELCOMED: (600.0, "put out: no character chosen"),
    P.WAITING: (82_800.0, "put out: the admission, good for 24 hours, is about to end"),
    P.QUEUED: (15.0, "refused: not_now"),
    P.ACQUIRING: (10.0, "refused: master_unavailable"),
    P.RECORDING: (10.0, "refused: world_unavailable; the lease is released"),
    P.OPENING: (10.0, "refused: world_unavailable; the lease is released"),
    P.ADMITTING: (5.0, "refused: world_unavailable; withdrawn, the lease is released"),
    P.PLAYING: (None, "logout, 60 s without a link, or the master ends it"),
    P.CROSSING: (5.0, "stays where it is, with a notice"),
    P.FREEZING: (3.0, "goes on where it was, with a notice"),
    P.COMMITTING: (5.0, "goes on where it was, with a notice; the write is repeated until it is answered"),
    P.ARRIVING: (5.0, "returns to the source"),
    P.RETURNING: (5.0, "goes on where it was"),
    P.PAUSING: (3.0, "goes on where it was; tried again"),
    P.PAUSED: (180.0, "goes on where it was, or is admitted again"),
    P.RECOVERING: (120.0, "put out: saved, released"),
    P.READMITTING: (5.0, "tries another instance"),
    P.RESTORING: (3600.0, "a warning in the log; the player plays on"),
    P.FREEZING_OUT: (3.0, "the newest state that is known is saved"),
    P.SAVING_OUT: (10.0, "the player is told that the save is not confirmed; it is repeated"),
    P.KEEPING: (3600.0, "the session ends; its write is repeated without it"),
    P.RELEASING: (10.0, "goes on: the lease runs out by itself in 120 s"),
    P.REMOVING: (5.0, "ends; a ghost is removed when its cluster next reports it"),
    P.WITHDRAWING: (5.0, "goes on; a ghost is removed when its cluster next reports it"),
    P.ENDED: (None, "forgotten"),
}

IN_PLAY = frozenset(P) - {
    P.REDEEMING, P.WELCOMED, P.WAITING, P.QUEUED, P.ACQUIRING, P.RECORDING, P.OPENING, P.ADMITTING,
    P.RELEASING, P.REMOVING, P.WITHDRAWING, P.ENDED,
}  # fmt: skip
PLAYABLE = frozenset({P.PLAYING, P.CROSSING})  # commands run and checkpoints are taken
GOING = frozenset({P.RELEASING, P.REMOVING, P.WITHDRAWING})  # too late to come back by this session


Held = TypeVar("Held")


class IllegalMove(RuntimeError):
    """Our own code moved a session against the table, or asked it for what it has not in its phase."""


@dataclass(frozen=True)
class LinkRef:
    """One world link."""

    gateway: str
    incarnation: int
    link: int


@dataclass
class Heard:
    """Which commands of a link were there already: the bus may deliver one twice, and a copy is none.

    `newest`: the highest seq; bit n of `known`: newest - n was there. They are counted modulo 2**32.
    """

    link: LinkRef | None = None
    newest: int = 0
    known: int = 0

    def is_new(self, link: LinkRef, seq: int) -> bool:
        """Note a command; whether it is the first time, as far as is known. Another link counts anew."""
        if link != self.link:
            self.link, self.newest, self.known = link, seq, 1
            return True
        ahead = (seq - self.newest) % 2**32
        if ahead == 0:
            return False
        if ahead < 2**31:
            self.newest = seq
            self.known = ((self.known << ahead) | 1) % (1 << COPIES) if ahead < COPIES else 1
            return True
        bit = 1 << (2**32 - ahead) if 2**32 - ahead < COPIES else 0
        is_new = bit != 0 and not self.known & bit
        self.known |= bit
        return is_new


@dataclass(frozen=True)
class Stay:
    """A player's entity in one instance; `order` numbers the Admit that made it."""

    cluster: str
    incarnation: int
    instance: int
    order: int
    entity: int = 0

    def is_at(self, cluster: str, incarnation: int) -> bool:
        """Whether this is in that process."""
        return self.cluster == cluster and self.incarnation == incarnation


@dataclass
class ClusterRequest:
    """A message to a cluster that is repeated until it is answered or the phase ends. Times in seconds."""

    cluster: str
    incarnation: int
    id: UUID | None
    message: bus.BusMessage
    repeat_at: float
    give_up_at: float = float("inf")


@dataclass(frozen=True)
class Leave:
    """Why a session ends: `reason` for the row, `text` for the player."""

    reason: str
    text: str


@dataclass(frozen=True)
class Failure:
    """Why entering failed: told when the session is back at WELCOMED."""

    code: RefusalCode
    reason: str
    advice: str


@dataclass
class Pace:
    """How often a player may ask for something: once in `every_s` s in the long run, `burst` at once."""

    every_s: float
    burst: int
    due_at: float = 0.0  # what was taken so far would be due by this instant, one by one

    def take(self, now: float) -> bool:
        """Whether once more is allowed now; if so, it is counted."""
        due_at = max(self.due_at, now)
        is_allowed = due_at - now < (self.burst - 0.5) * self.every_s
        if is_allowed:
            self.due_at = due_at + self.every_s
        return is_allowed


@dataclass
class Session:
    """Everything the daemon knows of one player. Instants in seconds of the caller's monotonic clock."""

    id: UUID
    phase: Phase
    since: float
    deadline: float | None
    account: UUID | None = None
    admission: UUID | None = None
    edition: str = ""
    limits: uplink.Limits = UNKNOWN_LIMITS
    asked_at: float = (
        0.0  # when a report asked for the standing of the account, which is here without a lease
    )
    is_operator: bool = False  # of the world, or staff: let in during maintenance, and when it is full
    characters: list[CharacterSummary] = field(default_factory=list)
    ticket_digest: bytes = b""
    resume_digest: bytes = b""  # of the newest resume token; the client may not have it yet
    proven_digest: bytes = b""  # of the token that the client is known to have
    link: LinkRef | None = None
    attached_at: float = 0.0
    grace_until: float | None = None

    character: UUID | None = None
    name: str = ""
    line_kind: Literal["main", "fork"] = "main"
    why_fork: Literal["", "tier", "limited", "budget"] = ""
    writer: WriteHead | None = None
    call: UUID | None = None  # of redeem, acquire or release; saves have their own
    acquire_op: UUID | None = None
    acquire_order: int = 0
    retry_at: float | None = None
    failures: int = 0

    home: Stay | None = None  # where the player is; kept while its cluster is silent
    target: Stay | None = None  # where it is being admitted
    request: ClusterRequest | None = None
    mint: ClusterRequest | None = None
    goal: Place | None = None  # where the player is going in
    commit_op: UUID | None = None  # the write that COMMITTING or SAVING_OUT waits for
    known_stay: int = 0  # RESTORING: the newest that the dead daemon knew of
    known_gap: bool = (
        True  # RESTORING: whether the player had seen more in that stay than the dead daemon knew
    )
    known_line: UUID | None = None  # RESTORING: the line that it played
    seen: dict[tuple[str, int, int], bus.Resident] = field(default_factory=dict)  # RESTORING: who reports it

    place: Place | None = None
    saved_place: Place | None = None
    is_dirty: bool = False
    mute: Mute | None = None  # by the world's keepers
    is_mute_known: bool = False  # the master has said so or otherwise since this daemon began
    refused_since: float | None = None  # the master answers, and does not accept this character's writes
    is_withheld: bool = False  # the cluster was told to give nothing durable
    has_gap: bool = False  # the player has seen more than any state that is known here
    had_gap: bool = False  # the same, before the home was lost: a silent one that comes back has lost nothing
    checkpoint_at: float = 0.0
    place_save_at: float = 0.0
    serial: int = 0  # newest checkpoint of this stay
    misses: int = 0
    recover_by: float | None = None  # RECOVERING and READMITTING together last no longer
    no_handoff_until: float = 0.0
    no_gift_until: float = 0.0
    copy: int = 0  # instance that the player was in last, or is to come back to
    is_following: bool = False  # the handoff under way ends where it began: the instance has been moved
    missed_portal: str = ""  # that was gone into meanwhile

    rank: int = 0  # in the queue, see queueing
    arrival: int = 0  # in the queue, grows; 0: never waited
    wait_until: float = 0.0  # not let in before
    told_place: Queued | None = None
    told_place_at: float = 0.0

    alliance: int = 0  # its number; 0: none
    exchange: UUID | None = None  # the trade or mail that is being written down
    heard: Heard = field(default_factory=Heard)  # commands of trade and mail
    mail_requests: int = 0  # that wait for the master
    letters: Pace = field(default_factory=lambda: Pace(every_s=6.0, burst=10))  # to post
    mailboxes: Pace = field(default_factory=lambda: Pace(every_s=0.5, burst=10))  # to look at, take out of
    is_unsettled: bool = False  # the cluster may not know the outcome of the last one yet
    leave: Leave | None = None
    failure: Failure | None = None
    is_recorded: bool = False
    has_entered: bool = False  # the client was told Entered on this link

    def move(self, phase: Phase, now: float) -> None:
        """Go to another phase; what was asked of a cluster for the old one is no longer waited for.

        Raises: IllegalMove.
        """
        if phase not in TRANSITIONS[self.phase]:
            raise IllegalMove(f"{self.phase} → {phase}")
        limit = DEADLINES[phase][0]
        deadline = None if limit is None else now + limit
        if phase is P.RECOVERING:
            if self.phase is not P.READMITTING:
                self.recover_by = deadline
            deadline = self.recover_by
        self.phase, self.since, self.deadline = phase, now, deadline
        self.request = None
        self.call = None
        self.retry_at = None
        self.failures = 0

    @property
    def head(self) -> WriteHead:
        """The write head; every phase from RECORDING on has one, RESTORING later. Raises: IllegalMove."""
        return self._held(self.writer, "lease")

    @property
    def here(self) -> Stay:
        """Where the player is. Raises: IllegalMove."""
        return self._held(self.home, "home")

    @property
    def there(self) -> Stay:
        """Where the player is being admitted. Raises: IllegalMove."""
        return self._held(self.target, "target")

    @property
    def destination(self) -> Place:
        """Where the player is going. Raises: IllegalMove."""
        return self._held(self.goal, "goal")

    @property
    def chosen(self) -> UUID:
        """The chosen character. Raises: IllegalMove."""
        return self._held(self.character, "character")

    def _held(self, value: Held | None, name: str) -> Held:
        if value is None:
            raise IllegalMove(f"a session in {self.phase} has no {name}")
        return value

    @property
    def can_come_back(self) -> bool:
        """Whether a resume token still leads to this session."""
        return self.phase not in GOING and self.phase not in (P.REDEEMING, P.ENDED)

    def row(self) -> SessionRow:
        """Return the durable part. Raises: ValueError: the session has no lease yet."""
        if self.writer is None or not (self.account and self.admission and self.character):
            raise ValueError("a session without a lease has no row")
        return SessionRow(
            id=self.id,
            account=self.account,
            admission=self.admission,
            character=self.character,
            name=self.name,
            edition=self.edition,
            line=self.writer.line,
            epoch=self.writer.epoch,
            zone=self.place.zone if self.place else "",
            cluster=self.home.cluster if self.home else "",
            instance=self.home.instance if self.home else 0,
            entity=self.home.entity if self.home else 0,
            resume_digest=self.resume_digest,
            stay=max(self.home.order if self.home else 0, self.known_stay),
            has_gap=self.has_gap,
            limits=self.limits,
            proven_digest=self.proven_digest,
        )
