"""199 players and one who macros, with invented clocks: what the one does is not the others' business."""

from collections.abc import Iterator
from typing import cast
from uuid import UUID

import numpy as np
import pytest

from worlds.bus import Outbox
from zonecluster.daemon import commands
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import BUDGET_NS, MAX_WAIT_S, MAX_WAITING, CommandQueues
from zonecluster.daemon.config import ClusterConfig
from zonecluster.daemon.pace import Pace
from zonecluster.daemon.players import Player
from zonecluster.daemon.zone_links import ZoneLinks
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Command, Describe, Look
from zonecluster.protocol.to_client import Refused
from zonecluster.rules.character import new_character_state
from zonecluster.simulation.content import ZoneContent

PLAYERS = 199
MALLORY = UUID(int=PLAYERS + 1)
USUAL_NS = 60_000
SECONDS = 20
TICKS_PER_S = 20
PER_S = 0.5  # commands of a usual player


class Answers(Outbox):
    """Keeps refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[Refused] = []

    def put(self, channel: str, message: bus.BusMessage) -> None:
        if isinstance(message, bus.ToLinks) and isinstance(message.message, Refused):
            self.refused.append(message.message)


class Zone:
    """A zone of 200 players whose commands take what they are said to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dear_ns: int, tick_ms: float = 5.0) -> None:
        self.now, self.cpu_ns, self.tick = 0.0, 0, 0
        config = ClusterConfig("demo", "east", "127.0.0.1", 0, ("127.0.0.1",), 1000)
        pace = Pace(0.05, 0.0)
        pace.tick_ms = tick_ms
        if tick_ms > 50:
            pace.dilation = 50 / tick_ms
        links = cast(ZoneLinks, None)
        self.answers = Answers()
        rng = np.random.default_rng(1)
        self.cluster = Cluster(config, links, self.answers, 7, rng, pace, lambda: self.now)
        self.cluster.open(11, ZoneContent("moor", "Moor", "", 100.0, 50.0, 50.0, max_players=300))
        for number in range(1, PLAYERS + 2):
            session, instance = UUID(int=number), self.cluster.instances[11]
            row = instance.admit(f"Bob {number}", None)
            admit = bus.Admit(
                session, session, 11, session, f"Bob {number}", new_character_state(), "g", number, 1
            )
            self.cluster.roster.add(admit, instance, row)
        self.queues = CommandQueues(self.cluster, lambda: self.cpu_ns)
        self.asked: dict[tuple[UUID, int], int] = {}  # session and seq → tick
        self.delays: dict[bool, list[int]] = {True: [], False: []}  # by whether it is Mallory's
        self.served_ns = 0
        self._dear_ns = dear_ns
        monkeypatch.setattr(commands, "run_command", self.run)

    def run(self, cluster: Cluster, player: Player, command: Command) -> None:
        took = self._dear_ns if isinstance(command, Describe) else USUAL_NS
        self.cpu_ns += took
        delay = self.tick - self.asked.pop((player.session, command.seq))
        self.delays[player.session == MALLORY].append(delay)
        if player.session == MALLORY:
            self.served_ns += took

    def play(self, macro_per_s: float, *, is_early: bool = False) -> None:
        """Let some seconds pass. Args: is_early: serve between ticks, too, as the service does."""
        rng, seq, due = np.random.default_rng(7), iter(range(10**9)), 0.0
        for _ in range(SECONDS * TICKS_PER_S):
            self.tick += 1
            self.now += 1 / TICKS_PER_S
            due += macro_per_s / TICKS_PER_S
            for _ in range(int(due)):
                self.ask(MALLORY, Describe(next(seq), [1]))
            due -= int(due)
            for number in np.flatnonzero(rng.random(PLAYERS) < PER_S / TICKS_PER_S).tolist():
                self.ask(UUID(int=number + 1), Look(next(seq)))
                if is_early:
                    self.queues.run_early()
            self.queues.run()

    def ask(self, session: UUID, command: Command) -> None:
        self.asked[(session, command.seq)] = self.tick
        self.queues.put(session, command)

    def p99(self) -> float:
        """Return the usual players' p99 of delay, in ticks."""
        return float(np.percentile(self.delays[False], 99))


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    yield Zone(monkeypatch, 300_000)


def test_what_comes_between_ticks_is_answered_then_on_the_account_of_the_next(zone: Zone) -> None:
    per_tick = (BUDGET_NS - commands.RESERVED_NS) // USUAL_NS + 1
    for number in range(1, PLAYERS + 1):
        zone.ask(UUID(int=number), Look(number))
        zone.ask(UUID(int=number), Look(number + PLAYERS))
        zone.queues.run_early()
    assert len(zone.delays[False]) == per_tick, "no more than a tick has, however often it is tried"
    zone.queues.run()
    in_all = len(zone.delays[False])
    assert in_all - per_tick <= commands.RESERVED_NS // USUAL_NS + BUDGET_NS // USUAL_NS - per_tick + 2
    zone.queues.run_early()
    assert len(zone.delays[False]) > in_all, "the next tick's account has begun"


def test_served_between_ticks_others_wait_no_longer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, beside = Zone(monkeypatch, 1_000_000), None
    alone.play(0, is_early=True)
    beside = Zone(monkeypatch, 1_000_000)
    beside.play(2_000, is_early=True)
    assert len(beside.delays[False]) == len(alone.delays[False]) > 1000
    assert beside.p99() - alone.p99() <= 1


@pytest.mark.parametrize("tick_ms", [5.0, 40.0, 100.0])
@pytest.mark.parametrize(
    ("dear_ns", "per_s"), [(300_000, 30), (1_000_000, 30), (300_000, 2_000), (14_000_000, 30)]
)
def test_others_wait_no_more_than_a_tick_longer(
    monkeypatch: pytest.MonkeyPatch, tick_ms: float, dear_ns: int, per_s: float
) -> None:
    alone, beside = Zone(monkeypatch, dear_ns, tick_ms), None
    alone.play(0)
    beside = Zone(monkeypatch, dear_ns, tick_ms)
    beside.play(per_s)
    assert len(beside.delays[False]) == len(alone.delays[False]) > 1000
    assert beside.p99() - alone.p99() <= 1
    assert beside.delays[True], "who macros is served too"


def test_what_is_idle_may_be_used_and_costs_nobodys_budget(zone: Zone) -> None:
    zone.play(100)  # twelve times what an equal share of half the core is
    assert zone.served_ns >= 0.95 * 100 * SECONDS * 300_000
    assert zone.answers.refused == []


def test_while_the_core_is_full_nobody_gets_more_than_the_share_and_the_reserve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zone = Zone(monkeypatch, 300_000, tick_ms=100.0)
    zone.play(2_000)
    share_ns = 0.5e9 / (PLAYERS + 1) * SECONDS
    reserve_ns = commands.RESERVED_NS * TICKS_PER_S * SECONDS
    assert zone.served_ns <= share_ns + reserve_ns * 1.2 + 20_000_000
    assert zone.served_ns >= reserve_ns * 0.9
    texts = {refusal.reason for refusal in zone.answers.refused}
    assert {refusal.code for refusal in zone.answers.refused} == {"too_fast"}
    assert (
        f"{MAX_WAITING} of your commands are waiting already. Your share of its computing time is used up."
        in texts
    )
    counted = zone.cluster.counters["commands_over_budget"]
    assert 0 < counted <= len(zone.answers.refused)


def test_less_is_lent_as_soon_as_time_goes_slower_and_slowly_more_again(zone: Zone) -> None:
    served = []
    for dilation in [0.8] * 12 + [1.0] * 20:
        zone.cluster.pace.dilation = dilation
        for seq in range(MAX_WAITING):
            for number in range(1, 4):
                zone.cluster.roster.active[UUID(int=number)].bucket.left_ns = -1e12
                zone.ask(UUID(int=number), Describe(1000 * number + seq, [1]))
        before = zone.cpu_ns
        zone.queues.run()
        served.append(zone.cpu_ns - before)
    assert served[0] > 2 * served[11] and served[11] <= commands.RESERVED_NS + 300_000
    assert served[11] < served[21] < served[31] <= BUDGET_NS + 300_000


def test_what_waits_for_too_long_is_refused_and_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = Zone(monkeypatch, BUDGET_NS, tick_ms=100.0)
    for session in range(1, 102):  # the usual ones fill every tick to the brim
        for seq in range(2):
            zone.ask(UUID(int=session), Describe(session * 10 + seq, [1]))
    for _ in range(int((MAX_WAIT_S + 2) * TICKS_PER_S)):
        zone.tick += 1
        zone.now += 1 / TICKS_PER_S
        zone.queues.run()
    waited = [refusal for refusal in zone.answers.refused if "had no time for it" in refusal.reason]
    assert len(waited) + len(zone.delays[False]) == 202 and waited
    assert all(refusal.seq is not None for refusal in waited)


def test_a_tick_never_gives_commands_more_than_its_budget_and_one_command(zone: Zone) -> None:
    for seq in range(MAX_WAITING):
        for session in (MALLORY, UUID(int=1), UUID(int=2), UUID(int=3)):
            zone.ask(session, Describe(1000 * session.int + seq, [1]))
    while zone.asked:
        before = zone.cpu_ns
        zone.queues.run()
        assert 0 < zone.cpu_ns - before <= BUDGET_NS + 300_000


def test_a_kind_that_is_off_is_refused_with_plain_words(zone: Zone) -> None:
    zone.cluster.handlers.switch(frozenset({"look"}))
    zone.ask(UUID(int=1), Look(1))
    zone.ask(UUID(int=1), Describe(2, [1]))
    zone.queues.run()
    [refused] = zone.answers.refused
    assert (refused.code, refused.seq) == ("not_now", 1) and "switched off" in refused.reason
    assert zone.delays[False] == [0]


def test_every_run_is_noted_by_its_kind(zone: Zone) -> None:
    zone.ask(UUID(int=1), Look(1))
    zone.ask(UUID(int=1), Describe(2, [1]))
    zone.queues.run()
    assert list(zone.cluster.handlers.by_kind["look"].took_ns) == [USUAL_NS]
    assert list(zone.cluster.handlers.by_kind["describe"].took_ns) == [300_000]
