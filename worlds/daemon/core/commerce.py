"""What the daemon remembers of exchanges and trades: plain data. Nothing of it is durable, or decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

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


@dataclass
class Part:
    """One session in an exchange: what it gives and gets. `held`: its document, as its cluster told it."""

    session: UUID
    given: Goods = Goods()
    got: Goods = Goods()
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
    is_uncertain: bool = False  # an attempt got no answer, and may still be on its way
    fence: UUID | None = None  # the session whose write is the fence
    fences: int = 0
    verdict: Verdict = field(default_factory=lambda: Verdict(is_done=False))
