"""What the daemon remembers of exchanges and trades: plain data. Nothing of it is durable, or decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from worlds.daemon.core.session import LinkRef
from worlds.uplink import messages as uplink
from zonecluster.protocol.character import CharacterState
from zonecluster.rules.exchange import Goods

if TYPE_CHECKING:
    from worlds.daemon.core.state import World


class Step(StrEnum):
    """Where an exchange is."""

    GATHERING = "gathering"  # clusters are asked to hold, what they tell is saved
    ASKING = "asking"  # the master is asked until it answers
    FENCING = "fencing"  # it refused; a write makes sure that no attempt still under way can be accepted


@dataclass(frozen=True)
class Verdict:
    """How an exchange ended. `code` and `text`: why nothing changed; `whose`: by whose fault, if by one's."""

    is_done: bool
    code: str = ""
    text: str = ""
    whose: UUID | None = None
    is_public: bool = True  # the text may be told to both; not what somebody's bags do not hold
    is_masters: bool = False  # the code is the uplink's
    is_known: bool = True  # whether the master has said so, or never was asked; else it may be done after all


@dataclass
class Part:
    """One session in an exchange: what it gives and gets. `held`: its document, as its cluster told it."""

    session: UUID
    given: Goods = Goods()
    got: Goods = Goods()
    name: str = ""
    held: CharacterState | None = None
    stay: int = 0
    order: int = 0


@dataclass
class Exchange:
    """One exchange. Instants in seconds."""

    id: UUID
    kind: uplink.SaveKind
    parts: list[Part]
    on_end: Callable[[World, Verdict], None]
    deadline: float
    post: uplink.Letter | None = None
    take: uplink.Taking | None = None
    step: Step = Step.GATHERING
    repeat_at: float = 0.0
    request: uplink.Exchange | None = None
    call: UUID | None = None  # attempt in flight
    called_at: float = 0.0
    retry_at: float | None = None
    failures: int = 0
    failing_since: float | None = None  # this has had no answer, though the master has answered others
    fence: UUID | None = None  # the session whose write is the fence
    fences: int = 0
    verdict: Verdict = field(default_factory=lambda: Verdict(is_done=False))


@dataclass(frozen=True)
class Asked:
    """A client's command whose answer waits for an outcome."""

    session: UUID
    link: LinkRef | None
    seq: int


@dataclass(frozen=True)
class MailCall:
    """A mailbox that was asked for, and what for."""

    asked: Asked
    what: Literal["list", "take", "discard"]
    letter: UUID | None = None


@dataclass
class Side:
    """What one of two players would give, and how far it agrees. `confirmed`: waits for the outcome."""

    session: UUID
    name: str
    goods: Goods = Goods()
    is_locked: bool = False
    confirmed: Asked | None = None


@dataclass
class Trade:
    """A trade that is open. `revision`: another with each offer and trade; `touched_at`: an instant in s."""

    sides: tuple[Side, Side]
    touched_at: float
    revision: int
    is_asked_for: bool = False  # its exchange has begun

    def of(self, session: UUID) -> tuple[Side, Side]:
        """Return a player's own side, and the other one's."""
        first, second = self.sides
        return (first, second) if first.session == session else (second, first)
