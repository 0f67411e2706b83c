"""What the daemon remembers of its keepers' orders, and what it asks its shell to do for them. Values."""

from dataclasses import dataclass, field
from uuid import UUID

from worlds.uplink.orders import Cancel, OrderEnded, PlanRestart, Policy, Postpone

RowDeed = PlanRestart | Postpone | Cancel | Policy  # those that are rows of the world's database


@dataclass(frozen=True)
class CarryOut:
    """Have an order in the world's rows; CarriedOut follows."""

    order: UUID
    deed: RowDeed


@dataclass(frozen=True)
class CarriedOut:
    """The rows are so, or cannot be. `is_known` False: the database was away, it is to be tried again."""

    order: UUID
    is_done: bool
    told: str
    is_known: bool = True


@dataclass
class Orders:
    """`ended`: to be told with reports until the master has heard; `under_way`: at the shell."""

    ended: dict[UUID, OrderEnded] = field(default_factory=dict)
    under_way: set[UUID] = field(default_factory=set)
