"""Orders that come doubled, late, out of order or not at all; and whose turn it is. No socket, no bus."""

from typing import cast
from uuid import UUID

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from worlds.bus import Outbox
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import BUDGET_NS, CommandQueues
from zonecluster.daemon.config import ClusterConfig
from zonecluster.daemon.pace import Pace
from zonecluster.daemon.players import REMEMBERED
from zonecluster.daemon.requests import Requests
from zonecluster.daemon.zone_links import ZoneLinks
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Look, Say
from zonecluster.protocol.to_client import Result
from zonecluster.rules.character import new_character_state
from zonecluster.simulation.content import SpawnContent, ZoneContent

SESSIONS = [UUID(int=number) for number in (1, 2)]
INSTANCES = (11, 12)


class NoLinks:
    """Mints numbers for tokens; remembers which links were closed."""

    def __init__(self) -> None:
        self.minted = 0
        self.dropped: list[int] = []

    def mint(self, session: UUID) -> tuple[int, bytes]:
        self.minted += 1
        return self.minted, b"token %d" % self.minted

    def drop(self, client_id: int) -> None:
        self.dropped.append(client_id)

    def door_when_due(self) -> bytes:
        return b""


class Recorder(Outbox):
    """Keeps all messages."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bus.BusMessage] = []

    def put(self, channel: str, message: bus.BusMessage) -> None:
        self.sent.append(message)


def opened(max_players: int = 10) -> Cluster:
    """Return a cluster with two instances, both with room for a creature and two players."""
    config = ClusterConfig("demo", "east", "127.0.0.1", 0, ("127.0.0.1",), max_players)
    links = cast(ZoneLinks, NoLinks())
    cluster = Cluster(config, links, Recorder(), 7, np.random.default_rng(1), Pace(0.05, 0.0), lambda: 0.0)
    for number in INSTANCES:
        spawn = SpawnContent("gull", "Gull", 1.0, 1, 10, 10, 5)
        content = ZoneContent(f"zone-{number}", "Zone", "", 20.0, 5.0, 5.0, max_players=2, spawns=(spawn,))
        cluster.open(number, content)
    return cluster


def admit(session: UUID, instance: int = INSTANCES[0], order: int = 0) -> bus.Admit:
    request = UUID(int=1000 * order + instance)
    return bus.Admit(
        session, request, instance, session, "Alice", new_character_state(), "gate", session.int, order
    )


def settle(session: UUID, after: UUID | None, has_state: bool, order: int) -> bus.Settle:
    state = new_character_state() if has_state else None
    return bus.Settle(session, 0, after, state, "Done.", order)


sessions, instances = st.sampled_from(SESSIONS), st.sampled_from((0, *INSTANCES))
orders = st.just(0) | st.integers(0, 9)  # 0 is never outdated: it lets the others be tried at length
requests = st.integers(1, 5).map(lambda number: UUID(int=number))
admits = st.builds(admit, sessions, st.sampled_from(INSTANCES), orders)
messages = st.one_of(
    admits,
    admits,
    st.builds(admit, sessions, st.just(99), orders),
    st.builds(bus.Freeze, sessions, requests, instances, orders),
    st.builds(bus.Thaw, sessions, st.sampled_from(("", "No.")), instances, orders),
    st.builds(bus.Remove, sessions, instances, orders),
    st.builds(bus.MintToken, sessions, requests),
    st.builds(bus.Attach, sessions, st.just("gate"), st.none() | st.integers(1, 9)),
    st.builds(bus.TakeCheckpoint, sessions),
    st.builds(bus.Saved, sessions, st.integers(0, 99)),
    st.builds(bus.Hold, sessions, requests, st.just(0), orders),
    st.builds(settle, sessions, st.none() | requests, st.booleans(), orders),
    st.builds(bus.LineIs, sessions, st.sampled_from(("main", "fork"))),
    st.builds(bus.SessionCommand, sessions, st.builds(Look, st.just(1))),
    st.builds(bus.CloseInstance, st.sampled_from(INSTANCES)),
    st.just(bus.Hail("demo")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(messages, min_size=10, max_size=40))
def test_any_order_of_requests_leaves_roster_and_tables_in_step(sent: list[bus.BusMessage]) -> None:
    cluster = opened()
    queues = CommandQueues(cluster)
    handling = Requests(cluster, queues)
    for message in sent:
        handling.handle(message)
        queues.run()
        check(cluster)
    assert cluster.counters["requests_failed"] == cluster.counters["commands_failed"] == 0


def check(cluster: Cluster) -> None:
    """Everybody in the roster stands in a row of an open instance, and nobody else does."""
    roster = cluster.roster
    stands = [player.row for player in roster]
    assert len(set(stands)) == len(stands) == sum(each.player_count for each in cluster.instances.values())
    for player in roster:
        assert cluster.instances[player.instance.number] is player.instance
        assert roster.at_row(player.row) is player
        assert player.instance.names[player.row] == "Alice"
        assert all(roster.of_client(client_id) is player for client_id in player.minted)
        assert 1 <= len(player.minted) <= REMEMBERED
    for session, source in roster.leaving.items():
        arrived = roster.active.get(session)
        assert arrived is None or arrived.instance is not source.instance
        assert source.is_frozen or arrived is None


def test_who_has_left_is_not_let_in_by_a_late_copy() -> None:
    cluster = opened()
    handling = Requests(cluster, CommandQueues(cluster))
    late = admit(SESSIONS[0], order=1)
    for message in (late, bus.Remove(SESSIONS[0], 0, 2), late):
        handling.handle(message)
    assert len(cluster.roster) == 0
    assert cluster.counters["orders_outdated"] == 1


def test_admit_for_a_process_that_died_here_before_is_ignored() -> None:
    cluster = opened()
    handling = Requests(cluster, CommandQueues(cluster))
    handling.handle(replace(admit(SESSIONS[0], order=9), incarnation=cluster.incarnation + 1))
    assert len(cluster.roster) == 0 and cluster.counters["for_another_incarnation"] == 1
    handling.handle(replace(admit(SESSIONS[0], order=8), incarnation=cluster.incarnation))
    assert len(cluster.roster) == 1


def test_full_cluster_refuses_newcomers_but_not_a_handoff_within_it() -> None:
    cluster = opened(max_players=1)
    handling = Requests(cluster, CommandQueues(cluster))
    for message in (admit(SESSIONS[0], 11, 1), admit(SESSIONS[1], 11, 2), admit(SESSIONS[0], 12, 3)):
        handling.handle(message)
    sent = cluster.outbox.sent  # type: ignore[attr-defined]
    assert [m.session.int for m in sent if isinstance(m, bus.Admitted)] == [1, 1]
    assert [m.reason for m in sent if isinstance(m, bus.AdmitRefused)] == [
        "the cluster is full: 1 players are on it"
    ]


def test_budget_ends_a_tick_and_the_next_goes_on_with_whose_turn_it_is() -> None:
    cluster = opened()
    clock = iter(range(0, 10**12, BUDGET_NS // 4))  # each reading is a quarter of the budget later
    queues = CommandQueues(cluster, lambda: next(clock))
    handling = Requests(cluster, queues)
    for session in SESSIONS:
        handling.handle(admit(session, order=session.int))
    for seq in range(5):
        handling.handle(bus.SessionCommand(SESSIONS[0], Say(seq, "spam")))
    handling.handle(bus.SessionCommand(SESSIONS[1], Say(9, "hello")))

    def answered() -> list[int]:
        return [
            m.message.seq
            for m in cluster.outbox.sent  # type: ignore[attr-defined]
            if isinstance(m, bus.ToLinks) and isinstance(m.message, Result)
        ]

    queues.run()
    assert answered() == [0, 9, 1, 2]
    queues.run()
    assert answered() == [0, 9, 1, 2, 3, 4]
    first, second = (cluster.roster.find(session) for session in SESSIONS)
    assert first is not None and second is not None
    assert (first.commands_run, second.commands_run) == (5, 1)
    assert first.cpu_ns == 5 * second.cpu_ns == 5 * (BUDGET_NS // 4)


def test_saves_out_of_turn_never_make_a_changed_document_clean() -> None:
    cluster = opened()
    handling = Requests(cluster, CommandQueues(cluster))
    handling.handle(admit(SESSIONS[0], order=1))
    player = cluster.roster.find(SESSIONS[0])
    assert player is not None and not player.is_dirty
    player.record_visit()
    handling.handle(bus.TakeCheckpoint(SESSIONS[0]))
    player.instance.tables.metres_walked[player.row] = 3.0
    handling.handle(bus.TakeCheckpoint(SESSIONS[0]))
    for serial, is_dirty in ((77, True), (1, True), (2, False), (1, False)):
        handling.handle(bus.Saved(SESSIONS[0], serial))
        assert player.is_dirty == is_dirty


def test_handoff_within_the_cluster_freezes_the_source_and_forgets_it_wholly_when_removed() -> None:
    cluster = opened()
    handling = Requests(cluster, CommandQueues(cluster))
    handling.handle(admit(SESSIONS[0], 11, 1))
    source = cluster.roster.find(SESSIONS[0])
    handling.handle(admit(SESSIONS[0], 12, 2))
    arrived = cluster.roster.find(SESSIONS[0])
    assert source is not None and arrived is not None
    assert source.is_frozen and not arrived.is_frozen
    assert cluster.roster.find(SESSIONS[0], 11) is source
    handling.handle(bus.Remove(SESSIONS[0], 11, 3))
    assert cluster.roster.find(SESSIONS[0], 11) is None
    assert cluster.roster.of_client(source.minted[0]) is None
    assert cluster.roster.of_client(arrived.minted[0]) is arrived
