"""What clusters say of costs and of slow handlers, and what the daemon makes of it. No database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.worlds.daemon.test_core import Core
from worlds.daemon.core.effects import SendToCluster
from worlds.daemon.core.events import Tick
from worlds.daemon.core.measuring import RecordMinute, SwitchOff
from worlds.daemon.core.upkeep import RaiseAlarm, UpkeepLoaded
from zonecluster.protocol import bus
from zonecluster.protocol.figures import ClusterFigures, InstanceFigures

WALL = datetime(2026, 11, 23, tzinfo=UTC)


def figures(ticks: int, *instances: InstanceFigures, window: float = 3.0) -> ClusterFigures:
    zeros = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return ClusterFigures([], *zeros, ticks, 0, 0, 0, 0, {}, 0, window, instances=list(instances))


def alive(cluster: str = "east", **fields: Any) -> bus.ClusterAlive:
    incarnation = {"east": 1, "west": 2}[cluster]
    return bus.ClusterAlive(cluster, incarnation, [], 0, 1.0, **fields)


def instance(core: Core, zone: str, copy: int = 1, **fields: float) -> InstanceFigures:
    values = {"players": 2, "creatures": 5, "cpu_ms": 30.0, "commands": 4.0, **fields}
    return InstanceFigures(core.core.world.catalog.zones[zone].instance(copy), **values)


def sent(core: Core, kind: type, cluster: str) -> list[Any]:
    found = [e for e in core.effects if isinstance(e, SendToCluster) and e.cluster == cluster]
    return [e.message for e in found if isinstance(e.message, kind)]


def minutes(core: Core) -> list[RecordMinute]:
    return [effect for effect in core.effects if isinstance(effect, RecordMinute)]


# ---------------------------------------------------------------- costs


def minute_of(core: Core, *messages: bus.BusMessage) -> RecordMinute:
    """Begin a minute, hear that, and return what is kept at its end."""
    core.wait(62)  # so the next one has begun
    core.hear(*messages)
    core.wait(61)
    [record] = minutes(core)
    return record


def test_copies_of_a_zone_and_clusters_are_summed_into_its_minute() -> None:
    core = Core()
    zones = sorted(core.core.world.catalog.zones)
    record = minute_of(
        core,
        alive(figures=figures(60, instance(core, zones[0]), instance(core, zones[1], cpu_ms=0.0))),
        alive("west", figures=figures(60, instance(core, zones[0], copy=2, cpu_ms=90.0))),
        alive(figures=figures(120, instance(core, zones[0]))),
    )
    number = core.core.world.catalog.zones[zones[0]].number
    assert record.zones[number].cpu_ms == pytest.approx((30 + 90 + 30) * 3 / 60, rel=0.02)
    assert record.zones[number].players == pytest.approx(2 * 3 * 3 / 60, rel=0.02)
    assert record.players == 0


def test_figures_that_are_repeated_count_once_but_those_of_a_new_process_count() -> None:
    core = Core()
    zone = next(iter(core.core.world.catalog.zones))
    same = alive(figures=figures(60, instance(core, zone)))
    record = minute_of(core, same, same, same)
    number = core.core.world.catalog.zones[zone].number
    assert record.zones[number].cpu_ms == pytest.approx(30 * 3 / 60, rel=0.02)


def test_nonsense_of_a_cluster_cannot_spoil_an_average() -> None:
    core = Core()
    zone = next(iter(core.core.world.catalog.zones))
    wild = instance(core, zone, cpu_ms=float("inf"), commands=float("nan"))
    unknown = InstanceFigures(999_999_999, 1, 1, 1.0, 1.0)
    record = minute_of(core, alive(figures=figures(60, wild, unknown, window=1e9)))
    [cost] = record.zones.values()
    assert (cost.cpu_ms, cost.commands) == (0.0, 0.0)
    assert cost.players == pytest.approx(2 * 10 / 60, rel=0.02)


def test_a_daemon_that_stood_still_keeps_nothing_of_that_time() -> None:
    core = Core()
    core.wait(2)
    core.now += 3600
    core.do(Tick())
    assert minutes(core) == []
    core.wait(62)
    assert len(minutes(core)) == 1


# ---------------------------------------------------------------- slow handlers

SLOW = bus.HandlerSlow("east", 1, "look", 7.5, 60.0, 500)


def test_a_slow_handler_is_off_on_all_clusters_with_a_row_and_an_alarm() -> None:
    core = Core()
    core.hear(SLOW)
    assert SwitchOff("look", "east", 7.5, 60.0, 500) in core.effects
    [alarm] = [effect for effect in core.effects if isinstance(effect, RaiseAlarm)]
    assert (alarm.key, alarm.level) == ("handler_slow:look", "urgent")
    assert "look" in alarm.text and alarm.advice
    for cluster in ("east", "west"):
        assert sent(core, bus.HandlersOff, cluster) == [bus.HandlersOff(["look"])]


def test_it_is_written_down_once_however_often_it_is_heard() -> None:
    core = Core()
    core.hear(SLOW)
    core.hear(SLOW, bus.HandlerSlow("west", 2, "look", 7.5, 60.0, 500))
    assert not [effect for effect in core.effects if isinstance(effect, SwitchOff | RaiseAlarm)]


def test_staff_switches_it_on_by_the_row() -> None:
    core = Core()
    core.hear(SLOW)
    core.do(UpkeepLoaded(WALL))  # read before the row was written
    assert sent(core, bus.HandlersOff, "east") in ([], [bus.HandlersOff(["look"])])
    core.do(UpkeepLoaded(WALL, handlers_off=frozenset({"look"})))
    core.do(UpkeepLoaded(WALL))
    assert sent(core, bus.HandlersOff, "east") == [bus.HandlersOff([])]


def test_a_row_that_was_never_written_does_not_keep_it_off_for_ever() -> None:
    core = Core()
    core.hear(SLOW)
    core.wait(11)
    core.do(UpkeepLoaded(WALL))
    assert core.core.world.measured.off == frozenset()


def test_a_restarted_daemon_asks_the_rows_before_it_tells_clusters_anything() -> None:
    core = Core()
    core.hear(alive(handlers_off=["look"]))
    assert sent(core, bus.HandlersOff, "east") == []
    core.do(UpkeepLoaded(WALL, handlers_off=frozenset({"look", "say"})))
    core.hear(alive(handlers_off=["look"]), alive("west"))
    assert sent(core, bus.HandlersOff, "east") == [bus.HandlersOff(["look", "say"])]
    assert sent(core, bus.HandlersOff, "west") == [bus.HandlersOff(["look", "say"])]
    core.hear(alive(handlers_off=["say", "look"]))
    assert sent(core, bus.HandlersOff, "east") == []


@pytest.mark.parametrize("kind", ["hello", "logout", "nothing"])
def test_a_cluster_cannot_switch_off_what_is_no_command(kind: str) -> None:
    core = Core()
    core.hear(bus.HandlerSlow("east", 1, kind, 7.5, 60.0, 500))
    assert not [effect for effect in core.effects if isinstance(effect, SwitchOff | RaiseAlarm)]


def test_nor_can_a_process_that_is_dead_or_unknown() -> None:
    core = Core()
    core.hear(bus.ClusterAlive("east", 9, [], 0, 1.0))
    core.hear(SLOW, bus.HandlerSlow("mallory", 1, "look", 7.5, 60.0, 500))
    assert not [effect for effect in core.effects if isinstance(effect, SwitchOff)]
