"""A cluster that keeps zones which run elsewhere: told to close them; an alarm if it does not."""

from tests.unit.worlds.daemon.test_core import Core
from worlds.daemon.core.effects import SendToCluster
from worlds.daemon.core.events import Tick
from worlds.daemon.core.upkeep import EndAlarm, RaiseAlarm
from zonecluster.protocol import bus


def claim(core: Core, seconds: float, west: list[int]) -> list:
    """Let time pass; east runs 1001, and west says that it has these. Returns the effects."""
    effects: list = []
    for _ in range(int(seconds * 2)):
        core.now += 0.5
        core.hear(bus.ClusterAlive("east", 1, [1001], 0, 1.0))
        effects += core.effects
        core.hear(bus.ClusterAlive("west", 2, west, 0, 1.0))
        effects += core.effects
        core.do(Tick())
        effects += core.effects
    return effects


def alarms(effects: list, kind: type) -> set[str]:
    return {e.key for e in effects if isinstance(e, kind) and e.key == "zones_claimed:west"}


def test_a_claim_is_answered_by_an_order_to_close_and_after_10_s_by_an_alarm():
    core = Core()
    claim(core, 2, [])
    effects = claim(core, 9, [1001])
    orders = [e for e in effects if isinstance(e, SendToCluster) and isinstance(e.message, bus.CloseInstance)]
    assert {(order.cluster, order.message.instance) for order in orders} == {("west", 1001)}
    assert alarms(effects, RaiseAlarm) == set()
    effects = claim(core, 3, [1001])
    assert alarms(effects, RaiseAlarm) == {"zones_claimed:west"}
    assert core.core.world.clusters.instances[1001].cluster == "east"


def test_who_closes_it_in_time_is_not_complained_of():
    core = Core()
    claim(core, 2, [])
    for _ in range(4):
        assert alarms(claim(core, 8, [1001]) + claim(core, 2, []), RaiseAlarm) == set()


def test_the_alarm_ends_a_minute_after_the_last_claim():
    core = Core()
    claim(core, 2, [])
    assert alarms(claim(core, 12, [1001]), RaiseAlarm)
    assert alarms(claim(core, 50, []), EndAlarm) == set()
    assert alarms(claim(core, 20, []), EndAlarm) == {"zones_claimed:west"}


def test_a_claim_on_a_zone_that_is_not_there_is_closed_and_changes_nothing():
    core = Core()
    effects = claim(core, 3, [999_001])
    orders = {
        e.message.instance
        for e in effects
        if isinstance(e, SendToCluster) and isinstance(e.message, bus.CloseInstance)
    }
    assert orders == {999_001} and 999_001 not in core.core.world.clusters.instances
