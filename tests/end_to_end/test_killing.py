"""A few of the rounds of `manage.py killrounds`: people trade, write and shop while processes die."""

from random import Random

import pytest

from tests.end_to_end.stack import Stack
from tests.killing.crowd import gather_crowd
from tests.killing.faults import CLUSTERS, Fault
from tests.killing.ledger import Ledger
from tests.killing.rounds import Rounds

pytestmark = pytest.mark.end_to_end

PEOPLE = 6
ROUNDS = (  # what the other files do not do, or not in the middle of trades
    [Fault("kill", ("postgres",))],
    [Fault("stop", ("web",), 6.0), Fault("kill", ("worlddaemon", *CLUSTERS))],
    [Fault("stop", ("zonecluster-west",), 4.0), Fault("kill", ("worlddaemon",))],
)


async def test_everything_adds_up_whatever_dies(stack: Stack) -> None:
    ledger = Ledger()
    crowd = await gather_crowd(stack, ledger, Random(2), PEOPLE)
    done = 0
    try:
        rounds = Rounds(stack, crowd, ledger, Random(1), long_every=0)
        await rounds.begin()
        for number, faults in enumerate(ROUNDS, start=1):
            report = await rounds.run(number, faults)
            assert not report.broken, report.broken
            assert report.put_out == []
            done += report.deals.get("done", 0)
    finally:
        await crowd.stop()
    assert done > 0, "nobody did anything"
