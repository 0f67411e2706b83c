"""A cluster that keeps time: the real service, a real socket and real clients, under an invented clock."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.embedded_servers import wait_until
from tests.zone_cluster import ClusterUnderTest, UdpPlayer
from worlds.models import World
from zonecluster.daemon.config import CannotStart, load_config
from zonecluster.daemon.phases import PHASES
from zonecluster.daemon.service import Service
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice
from zonecluster.simulation import step

OPERATING = Path(__file__).parents[3] / "docs" / "operating.md"
Connect = Callable[[UUID], UdpPlayer]


class Timed(ClusterUnderTest):
    """A cluster whose clock is turned by hand."""

    def __init__(self) -> None:
        self.now = 5000.0
        super().__init__(lambda: self.now)
        self.service.start_flush = self.keep_for_the_test
        self.players: list[UdpPlayer] = []

    def keep_for_the_test(self) -> None:
        """Send nothing: there is no bus, and no loop for its tasks."""

    def tick(self) -> None:
        """Let players speak, let time pass until the next tick is due, and run it."""
        for player in self.players:
            player.pump()
        self.now += self.cluster.pace.wait_s(self.now)
        self.service.turn()
        for player in self.players:
            player.pump()

    def ticks(self, count: int) -> list[float]:
        """Run so many; return when each began."""
        began = []
        for _ in range(count):
            before = self.cluster.phases.count
            self.tick()
            assert self.cluster.phases.count == before + 1
            began.append(self.now)
        return began

    def scrape(self, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n") -> bytes:
        """Ask the HTTP port while ticks go on; return the whole answer."""
        made = caller(self.cluster.metrics)
        made.sendall(request)
        made.setblocking(False)
        received = bytearray()

        def is_over() -> bool:
            self.tick()
            try:
                data = made.recv(1 << 20)
            except BlockingIOError:
                return False
            received.extend(data)
            return not data

        wait_until(is_over, 20, "the answer")
        made.close()
        return bytes(received)


def caller(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)))


@pytest.fixture
def cluster(world: World) -> Iterator[Timed]:
    """Yield the cluster."""
    timed = Timed()
    yield timed
    timed.cluster.links.close()
    timed.service.door.close()
    for player in timed.players:
        player.socket.close()


@pytest.fixture
def connect(cluster: Timed) -> Connect:
    """Return a function that opens a zone link with the token that answered a request."""

    def open_link(request: UUID) -> UdpPlayer:
        player = UdpPlayer(cluster.token_of(request))
        cluster.players.append(player)
        wait_until(lambda: cluster.tick() or player.snapshots, 20, "the first snapshot")
        return player

    return open_link


def is_shown_every_tick(cluster: Timed, player: UdpPlayer, ticks: int) -> bool:
    """Whether each of the next ticks reaches the player."""
    before = len(player.snapshots)
    cluster.ticks(ticks)
    wait_until(lambda: player.pump() >= before + ticks, 20, "all snapshots")
    return len(player.snapshots) == before + ticks


def test_a_tick_that_takes_a_second_costs_that_second_and_nothing_more(
    cluster: Timed, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = connect(cluster.admit("Alice").request), connect(cluster.admit("Bob", link=2).request)
    cluster.ticks(20)
    move = step.move

    def slow(*arguments) -> None:
        cluster.now += 1.0
        move(*arguments)

    monkeypatch.setattr(step, "move", slow)
    cluster.ticks(1)
    monkeypatch.undo()
    began = cluster.ticks(20)
    assert cluster.cluster.pace.skipped_ticks == 19
    assert min(later - earlier for earlier, later in zip(began, began[1:], strict=False)) >= 0.05 - 1e-9
    assert cluster.cluster.pace.dilation == 1
    assert is_shown_every_tick(cluster, alice, 5)
    assert is_shown_every_tick(cluster, bob, 5)


@pytest.mark.parametrize("jump_s", [11.0, 6 * 3600.0, -6 * 3600.0])
def test_a_clock_that_jumps_puts_nobody_out_and_makes_no_burst(
    cluster: Timed, connect: Connect, jump_s: float
) -> None:
    alice = connect(cluster.admit("Alice").request)
    cluster.ticks(5)
    cluster.now += jump_s
    began = cluster.ticks(10)
    assert min(later - earlier for earlier, later in zip(began, began[1:], strict=False)) >= 0.05 - 1e-9
    assert alice.is_connected
    assert is_shown_every_tick(cluster, alice, 5)
    assert cluster.cluster.pace.skipped_ticks == max(
        round(jump_s / 0.05) - 1, 0
    )  # the one that was due is run
    bob = connect(cluster.admit("Bob", link=2).request)
    assert bob.is_connected


@pytest.mark.parametrize("system", ["play_inputs", "move", "wander", "enter_portals"])
def test_a_system_that_fails_in_every_tick_stops_neither_ticks_nor_snapshots(
    cluster: Timed, connect: Connect, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    alice = connect(cluster.admit("Alice").request)

    def fail(*arguments) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(step, system, fail)
    assert is_shown_every_tick(cluster, alice, 30)
    assert cluster.cluster.counters["step_failed"] == 30
    bob = connect(cluster.admit("Bob", link=2).request)
    assert is_shown_every_tick(cluster, bob, 5)
    monkeypatch.undo()
    x = alice.entities["x"][0]

    def has_walked() -> bool:
        alice.walk(127, 0)
        cluster.tick()
        return alice.entities["x"][0] > x

    wait_until(has_walked, 20, "Alice walking again")


@pytest.mark.parametrize("broken", ["receive", "take_arrivals", "take_events", "flush", "statistics"])
def test_zone_links_that_fail_once_in_a_while_cost_a_tick(
    cluster: Timed, connect: Connect, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    alice = connect(cluster.admit("Alice").request)
    whole = getattr(cluster.cluster.links, broken)
    calls = iter(range(10**6))

    def sometimes(*arguments):
        if next(calls) % 3 == 0:
            raise OSError("the network card is on fire")
        return whole(*arguments)

    monkeypatch.setattr(cluster.cluster.links, broken, sometimes)
    cluster.ticks(70)
    before = len(alice.snapshots)
    wait_until(lambda: cluster.tick() or len(alice.snapshots) >= before + 20, 20, "further snapshots")
    assert alice.is_connected
    assert any(name.endswith("_failed") for name in cluster.cluster.counters)
    monkeypatch.undo()


def test_overload_dilates_time_openly_and_it_recovers(
    cluster: Timed, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = cluster.admit("Alice")
    link = connect(alice.request)
    move = step.move

    def heavy(*arguments) -> None:
        cluster.now += 0.1
        move(*arguments)

    monkeypatch.setattr(step, "move", heavy)
    began = cluster.ticks(60)
    wait_until(lambda: link.pump() and 400 < link.header["dilation"] < 500, 20, "being told")
    assert began[-1] - began[-2] == pytest.approx(0.1 / 0.95, rel=0.03)
    told = cluster.to_gateway(Notice, 1)[-1]
    assert (told.level, "time runs at " in told.text) == ("warning", True)
    assert cluster.to_daemon(bus.ClusterAlive)[-1].dilation == pytest.approx(0.47, abs=0.03)
    monkeypatch.undo()
    cluster.ticks(600)
    assert cluster.cluster.pace.dilation == 1
    wait_until(lambda: link.pump() and link.header["dilation"] == 1000, 20, "being told")
    assert cluster.to_gateway(Notice, 1)[-1].text == "Time runs at full speed again."
    assert sum("time runs" in notice.text for notice in cluster.to_gateway(Notice, 1)) == 1


def test_figures_are_told_to_the_daemon(cluster: Timed, connect: Connect) -> None:
    connect(cluster.admit("Alice").request)
    cluster.ticks(200)
    alive = bus.daemon_decoder.decode(bus.encoder.encode([cluster.to_daemon(bus.ClusterAlive)[-1]]))[0]
    figures = alive.figures
    assert [each.phase for each in figures.phases] == list(PHASES)
    by_name = {each.phase: each for each in figures.phases}
    assert all(0 <= each.p50_ms <= each.p99_ms for each in figures.phases)
    assert by_name["encode"].p50_ms > 0 and by_name["seal"].p50_ms > 0
    assert figures.sent_bytes_per_player_s > 100
    assert (figures.skipped_ticks, figures.entities, figures.instability) == (0, 4, 0)
    assert alive.metrics == cluster.cluster.metrics


# ------------------------------------------------------------ /metrics


def metrics(cluster: Timed) -> dict[tuple[str, tuple], float]:
    """Return all samples by name and labels, as Prometheus reads them."""
    head, _, body = cluster.scrape().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    samples = {}
    for family in text_string_to_metric_families(body.decode()):
        assert family.documentation or family.name.startswith("process_")
        for sample in family.samples:
            samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return samples


def test_metrics_are_what_prometheus_reads(cluster: Timed, connect: Connect) -> None:
    alice = connect(cluster.admit("Alice").request)
    alice.socket.sendto(b"\x07junk" * 5, ("127.0.0.1", cluster.cluster.links.port))
    cluster.ticks(100)
    ticks = cluster.cluster.phases.count
    found = metrics(cluster)
    for phase in PHASES:
        name, labels = "waystone_zone_tick_phase_cpu_seconds", (("phase", phase),)
        assert found[f"{name}_count", labels] >= ticks
        buckets = [
            value
            for (each, of), value in found.items()
            if each == f"{name}_bucket" and ("phase", phase) in of
        ]
        assert buckets == sorted(buckets) and buckets[-1] == found[f"{name}_count", labels]
        assert found[f"{name}_sum", labels] >= 0
    for name in ("wall", "interval", "late"):
        assert found[f"waystone_zone_tick_{name}_seconds_count", ()] >= ticks
    assert found["waystone_zone_tick_interval_seconds_sum", ()] == pytest.approx(
        found["waystone_zone_tick_interval_seconds_count", ()] * 0.05
    )
    assert found["waystone_zone_players", ()] == found["waystone_zone_links", ()] == 1
    assert found["waystone_zone_instances", ()] == 2
    assert found["waystone_zone_entities", ()] == 4
    assert found["waystone_zone_dilation_ratio", ()] == 1
    assert found["waystone_zone_bytes_total", (("direction", "sent"),)] > 5000
    assert sum(value for (name, _), value in found.items() if name.endswith("datagrams_dropped_total")) >= 1
    assert found["process_resident_memory_bytes", ()] > 0
    built = dict(next(labels for name, labels in found if name == "waystone_zone_build_info"))
    assert (built["cluster"], built["packets"]) == ("east", cluster.cluster.links.path.name)
    assert {"interest", "snapshots"} < built.keys()


def test_every_metric_is_documented_and_every_documented_one_is_there(cluster: Timed) -> None:
    text = OPERATING.read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `waystone_zone_")]
    documented = {name for row in rows for name in row.split("`")[1::2]}
    body = cluster.scrape().partition(b"\r\n\r\n")[2].decode()
    families = {family.name: family.type for family in text_string_to_metric_families(body)}
    exported = {
        f"{name}_total" if kind == "counter" else name
        for name, kind in families.items()
        if name.startswith("waystone_")
    }
    assert exported == documented


def test_health_is_told_by_the_loop_itself(cluster: Timed) -> None:
    request = b"GET /healthz HTTP/1.1\r\n\r\n"
    assert cluster.scrape(request).endswith(b"\r\n\r\nok\n")
    cluster.cluster.is_stopping = True
    assert cluster.scrape(request).startswith(b"HTTP/1.1 503 ")


def test_hostile_scrapers_cost_players_nothing(cluster: Timed, connect: Connect) -> None:
    alice = connect(cluster.admit("Alice").request)
    slow = [caller(cluster.cluster.metrics) for _ in range(20)]
    for number, each in enumerate(slow):
        each.setblocking(False)
        each.send(b"GET /metrics HTTP/1.1\r\nX: " if number % 2 else b"A" * 8000)
    assert is_shown_every_tick(cluster, alice, 40)
    assert len(cluster.service.door) <= 16
    assert b"waystone_zone_players 1.0" in cluster.scrape()
    assert cluster.cluster.pace.dilation == 1
    for each in slow:
        each.close()
    assert not [name for name in cluster.cluster.counters if name.endswith("_failed")]


def test_metrics_are_made_once_a_second_however_often_they_are_asked_for(
    cluster: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cluster.scrape().partition(b"\r\n\r\n")[2]
    made_at = cluster.now
    again = cluster.scrape().partition(b"\r\n\r\n")[2]
    assert (cluster.now - made_at < 1) == (first == again)
    cluster.ticks(25)
    assert cluster.scrape().partition(b"\r\n\r\n")[2] != first


def test_a_port_that_is_taken_stops_the_start_and_says_what_to_do(cluster: Timed, settings) -> None:
    host, _, port = cluster.cluster.metrics.rpartition(":")
    settings.CONFIG = replace(settings.CONFIG, metrics_bind=(host, int(port)))
    with pytest.raises(CannotStart, match="WAYSTONE_METRICS_BIND"):
        Service(load_config("demo", "east"))


def test_no_metrics_where_they_are_off(cluster: Timed, settings) -> None:
    settings.CONFIG = replace(settings.CONFIG, metrics_bind=None)
    service = Service(load_config("demo", "east"))
    assert (service.door, service.cluster.metrics) == (None, "")
    service.cluster.links.close()
