"""What must be true of characters, letters and valuables at any moment, each as one query for what breaks it.

Nothing of the services is used here: the queries say again, in SQL, what the code is meant to keep, so that a
fault of the code is found and not repeated. They run on any copy of the master's database.
"""

from characters.invariants.checking import Finding, check_invariants
from characters.invariants.goods import GOODS
from characters.invariants.histories import HISTORIES
from characters.invariants.leases import LEASES
from characters.invariants.parts import Invariant

INVARIANTS: tuple[Invariant, ...] = (*HISTORIES, *LEASES, *GOODS)

__all__ = ["INVARIANTS", "Finding", "Invariant", "check_invariants"]
