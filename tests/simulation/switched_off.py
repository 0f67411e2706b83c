"""Each safety rule, switched off: one function of the real code is replaced by a broken one.

Nothing in the real code knows of this.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.simulation.off_daemon import DAEMON
from tests.simulation.off_exchange import EXCHANGE
from tests.simulation.off_journal import JOURNAL
from tests.simulation.off_repository import REPOSITORY

RULES = [*REPOSITORY, *DAEMON, *JOURNAL, *EXCHANGE]
BY_NAME = {rule.name: rule for rule in RULES}


@contextmanager
def switched_off(name: str | None) -> Iterator[None]:
    """Switch a rule off for a while; None: leave them all on.

    Raises: KeyError: there is no such rule.
    """
    with ExitStack() as stack:
        if name is not None:
            BY_NAME[name].breaks(stack)
        yield
