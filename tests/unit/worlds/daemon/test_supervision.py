"""Which clusters run where, restarts, hung clusters, two processes of one name: the daemon's core alone."""

from datetime import UTC, datetime
from random import Random

import pytest

from worlds.daemon.core import supervision
from worlds.daemon.core.catalog import Catalog, ClusterInfo, HostInfo
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import Effect, SendToCluster
from worlds.daemon.core.events import BusBack, BusLost, CatalogLoaded, Event, FromBus, SessionsLoaded, Tick
from worlds.daemon.core.hosts import HostHeard, HostLost, KillCluster, WantClusters
from worlds.daemon.core.upkeep import EndAlarm, RaiseAlarm
from worlds.hosts.messages import ClusterRun, ProcessRun, Report
from zonecluster.protocol import bus

STEP_S = 0.25
EAST, WEST, NORTH = 11, 22, 33


def catalog(**hosts: str) -> Catalog:
    """Return a world with a cluster for each argument, on the host that it names."""
    clusters = {name: ClusterInfo(name, 100, host=host) for name, host in hosts.items()}
    known = {host: HostInfo(host, key=bytes(32)) for host in hosts.values() if host}
    return Catalog("demo", "", 100, "ws://x/", clusters=clusters, hosts=known)


def run(name: str, number: int, state: str = "ready", generation: int = 0, **more: object) -> ClusterRun:
    return ClusterRun(name=name, generation=generation, state=state, run=number, **more)


class World:
    """A daemon's core; clusters and agents that are named go on saying so while time passes."""

    def __init__(self, catalog: Catalog) -> None:
        self.core = DaemonCore(catalog, datetime(2026, 11, 23, tzinfo=UTC), 0)
        self.now, self.rng = 100.0, Random(1)
        self.effects: list[Effect] = []
        self.talking: dict[str, int] = {}
        self.agents: dict[str, list[ClusterRun]] = {}
        self.processes: list[ProcessRun] = []
        self.do(SessionsLoaded([]))

    @property
    def w(self):
        return self.core.world

    def do(self, event: Event) -> None:
        self.effects += self.core.handle(event, self.now, self.rng)

    def report(self, host: str, *runs: ClusterRun) -> None:
        self.agents[host] = list(runs)
        self._say(host)

    def _say(self, host: str) -> None:
        self.do(
            HostHeard(
                host, Report(clusters=self.agents[host], cores=4.0, memory_mb=8000, processes=self.processes)
            )
        )

    def alive(self, name: str, incarnation: int, instances: tuple[int, ...] = ()) -> None:
        self.do(FromBus(bus.ClusterAlive(name, incarnation, list(instances), 0, 1.0)))

    def wait(self, seconds: float) -> None:
        """Let time pass; forgets earlier effects."""
        self.effects = []
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            for name, incarnation in self.talking.items():
                self.alive(name, incarnation)
            for host in self.agents:
                self._say(host)
            self.do(Tick())

    def all(self, kind: type) -> list:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def wanted(self, host: str) -> dict[str, int]:
        """Return what an agent was told last."""
        return self.w.hosts.by_name[host].told

    def alarms(self) -> set[str]:
        return {effect.key for effect in self.all(RaiseAlarm)}


def both_run() -> World:
    """Return a world with a cluster on the own machine, and one on another; both live."""
    world = World(catalog(east="", west="second"))
    world.report("", run("east", EAST))
    world.report("second", run("west", WEST))
    world.talking = {"east": EAST, "west": WEST}
    world.wait(3)
    return world


def test_each_host_is_told_what_shall_run_there_at_once_and_every_two_seconds():
    world = World(catalog(east="", west="second"))
    world.report("")
    world.report("second")
    assert (world.wanted(""), world.wanted("second")) == ({"east": 0}, {"west": 0})
    world.agents = {"": []}
    world.wait(10)
    told = [effect for effect in world.all(WantClusters) if effect.host == ""]
    assert 5 <= len(told) <= 6 and {tuple(effect.clusters) for effect in told} == {("east",)}


def test_rows_that_are_added_enabled_and_disabled_count_with_the_next_catalog():
    world = both_run()
    changed = catalog(east="", west="second", north="second")
    changed.clusters["east"] = ClusterInfo("east", 100, is_enabled=False)
    world.do(CatalogLoaded(changed))
    world.wait(STEP_S)
    assert (world.wanted(""), world.wanted("second")) == ({}, {"west": 0, "north": 0})


def test_a_disabled_or_forgotten_host_runs_nothing():
    world = both_run()
    off = catalog(east="", west="second")
    off.hosts["second"] = HostInfo("second", is_enabled=False)
    world.do(CatalogLoaded(off))
    world.wait(STEP_S)
    assert world.wanted("second") == {}
    world.do(CatalogLoaded(Catalog("demo", "", 1, "ws://x/", clusters=off.clusters)))
    world.wait(2.5)
    assert world.wanted("second") == {}


def test_a_cluster_whose_host_changes_starts_there_when_it_has_ended_here():
    world = both_run()
    world.report("third")
    world.do(CatalogLoaded(catalog(east="", west="third", other="second")))
    world.wait(1)
    assert world.wanted("second") == {"other": 0} and "west" not in world.wanted("third")
    world.report("second", run("west", WEST, "stopping"))
    world.wait(2.5)
    assert "west" not in world.wanted("third"), "it still lives"
    del world.talking["west"]
    world.report("second")
    world.wait(1)
    assert world.wanted("third") == {"west": 0}


def test_a_cluster_of_a_lost_host_starts_elsewhere_only_when_it_is_dead():
    world = both_run()
    world.report("third")
    del world.agents["second"]
    world.do(HostLost("second"))
    world.do(CatalogLoaded(catalog(east="", west="third")))
    world.wait(5)
    assert world.wanted("third") == {}, "the bus hears it: only its agent is away"
    del world.talking["west"]
    world.wait(5)
    assert world.wanted("third") == {"west": 0}


def test_a_cluster_that_was_started_by_hand_is_not_started_again():
    world = World(catalog(east=""))
    world.talking = {"east": EAST}
    world.wait(1)
    world.report("")
    world.wait(3)
    assert world.wanted("") == {}
    world.talking = {}
    world.wait(4)
    assert world.wanted("") == {"east": 0}


def test_a_restart_raises_the_generation_and_is_done_when_the_new_process_is_heard():
    world = both_run()
    assert supervision.is_restarted(world.w, "west")
    assert supervision.restart(world.w, "west")
    assert not supervision.is_restarted(world.w, "west")
    world.wait(STEP_S)
    assert world.wanted("second") == {"west": 1}
    world.talking = {"east": EAST}
    world.report("second", run("west", 77, "starting", generation=1))
    world.wait(1)
    assert not supervision.is_restarted(world.w, "west")
    world.report("second", run("west", 77, generation=1))
    world.wait(1)
    assert not supervision.is_restarted(world.w, "west"), "nobody has heard it yet"
    world.talking["west"] = 77
    world.wait(1)
    assert supervision.is_restarted(world.w, "west")


def test_a_daemon_that_was_restarted_learns_the_generations_from_the_agents():
    world = World(catalog(east=""))
    world.report("", run("east", EAST, generation=6))
    assert world.wanted("") == {"east": 6}
    assert supervision.restart(world.w, "east")
    assert world.wanted("") == {"east": 7}


def test_without_its_agent_a_cluster_cannot_be_restarted():
    world = both_run()
    world.do(HostLost("second"))
    assert not supervision.restart(world.w, "west") and not supervision.restart(world.w, "nowhere")
    assert supervision.restart(world.w, "east")


def test_gateway_and_daemon_are_restarted_by_the_supervisor_of_our_own_machine():
    world = both_run()
    assert not supervision.restart_process(world.w, "gateway"), "nobody runs it under our eyes"
    world.processes = [ProcessRun(name="gateway", generation=4, state="ready")]
    world.wait(1)
    assert supervision.restart_process(world.w, "gateway")
    world.wait(STEP_S)
    assert not supervision.is_process_restarted(world.w, "gateway")
    world.processes = [ProcessRun(name="gateway", generation=5, state="stopping")]
    world.wait(3)
    assert {tuple(effect.processes.items()) for effect in world.all(WantClusters) if not effect.host} == {
        (("gateway", 5),)
    }
    assert not supervision.is_process_restarted(world.w, "gateway")
    world.processes = [ProcessRun(name="gateway", generation=5, state="ready")]
    world.wait(1)
    assert supervision.is_process_restarted(world.w, "gateway")


# ---------------------------------------------------------------- processes that hang


def test_a_cluster_that_lives_and_is_silent_is_lost_within_3_s_and_killed_after_6():
    world = both_run()
    del world.talking["west"]
    world.wait(3)
    assert not world.w.clusters.by_name["west"].is_alive and world.all(KillCluster) == []
    world.wait(3.5)
    assert world.all(KillCluster) == [KillCluster("second", "west", WEST)]
    assert world.alarms() == {"cluster_hung:west"}


def test_it_is_not_killed_again_and_again():
    world = both_run()
    del world.talking["west"]
    world.wait(120)
    assert 4 <= len(world.all(KillCluster)) <= 6


def test_its_alarm_ends_after_a_minute_without_trouble():
    world = both_run()
    del world.talking["west"]
    world.wait(7)
    world.report("second", run("west", 77))
    world.talking["west"] = 77
    world.wait(50)
    assert EndAlarm("cluster_hung:west") not in world.effects
    world.wait(15)
    assert EndAlarm("cluster_hung:west") in world.effects


@pytest.mark.parametrize("state", ["starting", "waiting", "stopping"])
def test_nothing_is_killed_that_is_not_ready(state):
    world = both_run()
    del world.talking["west"]
    world.report("second", run("west", WEST, state))
    world.wait(30)
    assert world.all(KillCluster) == []


def test_nothing_is_killed_while_the_bus_is_down_nor_at_once_when_it_is_back():
    world = both_run()
    world.do(BusLost())
    world.talking = {}
    world.wait(30)
    assert world.all(KillCluster) == []
    world.do(BusBack())
    world.wait(5)
    assert world.all(KillCluster) == []
    world.wait(3)
    assert {effect.cluster for effect in world.all(KillCluster)} == {"east", "west"}


def test_nothing_is_killed_because_the_daemon_itself_stood_still():
    world = both_run()
    world.now += 60
    world.do(Tick())
    for host in world.agents:
        world._say(host)
    world.do(Tick())
    world.wait(3)
    assert world.all(KillCluster) == []


def test_nothing_is_killed_on_a_host_whose_agent_is_away():
    world = both_run()
    world.talking = {"east": EAST}
    del world.agents["second"]
    world.do(HostLost("second"))
    world.wait(60)
    assert world.all(KillCluster) == []
    assert world.alarms() == {"host_lost:second"}
    world.report("second")
    assert EndAlarm("host_lost:second") in world.effects


def test_one_that_is_ready_and_was_never_heard_gets_more_time():
    world = World(catalog(east=""))
    world.report("", run("east", EAST))
    world.wait(19)
    assert world.all(KillCluster) == []
    world.wait(3)
    assert world.all(KillCluster) == [KillCluster("", "east", EAST)]


def test_one_that_keeps_dying_raises_an_alarm_with_the_reason():
    world = both_run()
    world.report("second", run("west", WEST, "waiting", deaths=5, reason="exit code 1"))
    (alarm,) = [effect for effect in world.all(RaiseAlarm) if effect.key == "cluster_dies:west"]
    assert "5 times" in alarm.text and "exit code 1" in alarm.text and "zonecluster-west.log" in alarm.advice


def test_what_the_agent_has_seen_end_is_dead_half_a_second_later():
    world = both_run()
    del world.talking["west"]
    world.report("second", run("west", WEST, "waiting", deaths=1))
    world.wait(0.25)
    assert world.w.clusters.by_name["west"].is_alive, "its last words may be under way"
    world.wait(0.75)
    assert not world.w.clusters.by_name["west"].is_alive
    world.alive("west", WEST)
    assert not world.w.clusters.by_name["west"].is_alive, "a late message"


# ---------------------------------------------------------------- two processes of one name


def test_a_second_process_of_a_name_is_not_listened_to_and_told_to_end():
    world = both_run()
    seen: list[Effect] = []
    for _ in range(16):
        world.alive("west", 99)
        seen += world.effects
        world.wait(STEP_S)
        assert world.w.clusters.by_name["west"].incarnation == WEST
    orders = [
        e.message for e in seen if isinstance(e, SendToCluster) and isinstance(e.message, bus.StandDown)
    ]
    assert {(order.cluster, order.incarnation) for order in orders} == {("west", 99)}
    assert {effect.key for effect in seen if isinstance(effect, RaiseAlarm)} == {"cluster_twice:west"}


def test_a_new_process_of_the_agent_is_believed_as_soon_as_it_is_reported():
    world = both_run()
    world.alive("west", 99)
    world.report("second", run("west", 99))
    world.alive("west", 99)
    assert world.w.clusters.by_name["west"].incarnation == 99


def test_without_an_agent_the_newest_process_of_a_name_is_believed():
    world = both_run()
    world.do(HostLost("second"))
    world.alive("west", 99)
    assert world.w.clusters.by_name["west"].incarnation == 99


def test_any_number_of_strangers_costs_little_memory():
    world = both_run()
    for incarnation in range(1000, 1500):
        world.alive("west", incarnation)
    assert len(world.w.hosts.watch("west").strangers) <= supervision.STRANGERS


def test_capacity_is_as_set_else_as_reported():
    world = both_run()
    assert supervision.capacity(world.w, "second") == (4.0, 8000)
    world.w.catalog.hosts["second"] = HostInfo("second", cores=1.5)
    assert supervision.capacity(world.w, "second") == (1.5, 8000)
    assert supervision.capacity(world.w, "nowhere") is None
