"""Anything at all in datagrams, from many sources, and a hostile player: nobody else loses a tick."""

import socket
from collections import Counter
from collections.abc import Iterator
from random import Random
from time import monotonic

import pytest

from tests.fuzz.mutator import mutated
from tests.fuzz.registry import DECODERS
from tests.zone_cluster import HARBOUR, ClusterUnderTest, UdpPlayer, run_until
from worlds.models import World, Zone
from zonecluster.hot_code import Choice
from zonecluster.protocol.netcode.requests import write_request
from zonecluster.protocol.netcode.tokens import parse_connect_token

HONEST = 20
SOURCES = 50
DATAGRAMS = {"batch": 200_000, "plain": 40_000}  # in TICKS ticks
TICKS = 50
SLICE = 100  # sent before the cluster receives: fits the smallest buffer that a system gives
POOL = 4000
PAYLOADS_OF_MALLORY = 20  # in a tick


@pytest.fixture
def crowded(world: World, packet_path: Choice) -> Iterator[ClusterUnderTest]:
    """Yield a cluster whose zones take more than three players."""
    Zone.objects.update(max_players=HONEST + 5)
    under_test = ClusterUnderTest(packet_path=packet_path)
    yield under_test
    under_test.cluster.links.close()


@pytest.fixture
def sources() -> Iterator[list[socket.socket]]:
    """Yield sockets with addresses in as many networks."""
    opened = []
    for number in range(SOURCES):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((f"127.1.{number}.1", 0))
        opened.append(made)
    yield opened
    for each in opened:
        each.close()


class Siege:
    """Honest players, Mallory among them with a link of her own, and strangers who send anything."""

    def __init__(self, cluster: ClusterUnderTest, sources: list[socket.socket]) -> None:
        self.cluster, self.sources, self.random = cluster, sources, Random(7)
        self.requests = [cluster.admit(f"Bob {n}", link=n + 1).request for n in range(HONEST + 1)]
        tokens = [cluster.token_of(request) for request in self.requests]
        self.players = [UdpPlayer(token) for token in tokens]
        run_until(cluster, self.players, lambda: all(player.snapshots for player in self.players))
        *self.honest, self.mallory = self.players
        self.links = {self.slot(number): number for number in range(HONEST)}
        server = list(DECODERS["netcode-server"].corpus().values())
        sound = [case[1:] for case in server]
        sound += [write_request(parse_connect_token(token)) for token in tokens]
        self.mallory.core.send_payload(b"sealed by a player", monotonic())
        sound += [data for data, _ in self.mallory.core.datagrams_to_send()]
        self.pool = [mutated(self.random.choice(sound), sound, self.random) for _ in range(POOL)]
        self.payloads = list(DECODERS["inputs"].corpus().values())
        self.address = ("127.0.0.1", cluster.cluster.links.port)
        self.heard: Counter[int] = Counter()

    def slot(self, number: int) -> int:
        """Return the slot of a player's link."""
        index = self.players[number].core.client_index
        assert index is not None
        return index

    def tick(self, datagrams: int) -> None:
        """Let one tick's datagrams arrive among those of the honest, and run the tick."""
        before_each = datagrams // HONEST
        for number, player in enumerate(self.honest):
            for _ in range(max(before_each // SLICE, 1)):
                self.strangers_send(min(SLICE, before_each))
                self.cluster.cluster.links.receive()
            player.walk(64 if number % 2 else -64, 0)
            player.pump()
        self.mallory_sends()
        while self.cluster.cluster.links.receive():
            pass
        arrivals = self.cluster.cluster.links.take_arrivals
        self.cluster.cluster.links.take_arrivals = self.listening(arrivals)
        try:
            self.cluster.service.ticks.run(monotonic())
        finally:
            self.cluster.cluster.links.take_arrivals = arrivals
        for player in self.players:
            player.pump()

    def listening(self, take):
        """Return take_arrivals, with a count of whose payloads came."""

        def taken():
            arrivals = take()
            self.heard.update({self.links[slot] for slot in arrivals.slots.tolist() if slot in self.links})
            return arrivals

        return taken

    def strangers_send(self, count: int) -> None:
        for _ in range(count):
            self.random.choice(self.sources).sendto(self.random.choice(self.pool), self.address)

    def mallory_sends(self) -> None:
        """Seal what the client's core would not."""
        for _ in range(PAYLOADS_OF_MALLORY):
            payload = mutated(self.random.choice(self.payloads), self.payloads, self.random)[:1150]
            if payload:
                self.mallory.core.send_payload(payload, monotonic())
        self.mallory.pump()


def test_nobody_loses_a_tick_whatever_comes(
    crowded: ClusterUnderTest, sources: list[socket.socket], packet_path: Choice
) -> None:
    siege = Siege(crowded, sources)
    before = [len(player.snapshots) for player in siege.honest]
    datagrams = DATAGRAMS[packet_path] // TICKS
    for _ in range(TICKS):
        siege.tick(datagrams)
    assert [siege.heard[number] for number in range(HONEST)] == [TICKS] * HONEST
    shown = [len(player.snapshots) - had for player, had in zip(siege.honest, before, strict=True)]
    assert min(shown) >= TICKS - 1
    assert all(player.is_connected for player in siege.honest)
    statistics = crowded.cluster.links.statistics()
    dropped = sum(count for name, count in statistics.items() if name.startswith("drop_"))
    assert dropped > 0.9 * DATAGRAMS[packet_path]
    assert statistics["connected"] in (HONEST, HONEST + 1)
    assert statistics.get("datagrams_lost", 0) == 0
    assert {name for name in crowded.cluster.counters if name.endswith("_failed")} == set()
    assert crowded.cluster.instances[HARBOUR].player_count == HONEST + 1
    for player in siege.players:
        player.socket.close()
