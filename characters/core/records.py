"""What the repository's core keeps: the rows of the real one, as plain values. Worlds are named by slugs."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from accounts.rules import Edition
from characters.budgets import DEFAULTS, Limits
from characters.rules import Head
from worlds.uplink.messages import Goods


@dataclass
class Account:
    """An account's standing. `pseudonyms`: how each world knows it."""

    edition: Edition = Edition.FREE
    is_banned: bool = False
    characters: list[UUID] = field(default_factory=list)  # oldest first
    pseudonyms: dict[str, UUID] = field(default_factory=dict)
    kept_open: set[UUID] = field(default_factory=set)  # chosen to be open when they are over the slots


@dataclass
class World:
    """A world's standing."""

    tier: str = "open"
    is_suspended: bool = False
    is_limited: bool = False
    limits: Limits = DEFAULTS  # of its budget, if it is verified


@dataclass
class Ticket:
    """A ticket, and the admission that it becomes when it is redeemed."""

    account: UUID
    world: str
    expires_at: datetime
    redeemed_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Version:
    """One accepted write. States are canonical bytes. `exchange`, `letter`: what it was part of."""

    line: UUID
    version: int
    op_id: UUID
    epoch: int
    world: str | None
    at: datetime
    kind: str
    prev_chain: bytes
    chain: bytes
    state_hash: bytes
    state: bytes = field(repr=False)
    exchange: UUID | None = None
    letter: UUID | None = None


@dataclass
class Line:
    """The head of a line. `newest`: op_id of its version; `exchange`: the newest that it was part of."""

    id: UUID
    character: UUID
    head: Head
    state: bytes = field(repr=False)
    newest: UUID
    exchange: UUID | None = None
    is_undecided: bool = False  # writes fell to this fork for the budget; the staff has not decided yet


@dataclass(frozen=True)
class Waiting:
    """The newest state that a world has proved of a line, while something before it is missing."""

    world: str
    version: int
    state: bytes = field(repr=False)


@dataclass
class Letter:
    """A letter. `world`: whose forks it goes between; None: main. `digest`: of what was posted."""

    id: UUID
    world: str | None
    sender: UUID
    recipient: UUID
    posted_by: str
    subject: str
    text: str
    goods: Goods
    posted_at: datetime
    digest: bytes
    exchange: UUID | None
    taken_at: datetime | None = None
    taken_exchange: UUID | None = None
    returned_at: datetime | None = None
    read_at: datetime | None = None
    discarded_at: datetime | None = None

    @property
    def has_goods(self) -> bool:
        """Return whether something lies in it."""
        return self.taken_at is None and self.goods != Goods()
