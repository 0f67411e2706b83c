"""The zone cluster by its steps, with real content, real NETCODE clients and a real UDP socket."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from tests.zone_cluster import HARBOUR, MOSSGATE, ClusterUnderTest, UdpPlayer, run_until
from zonecluster.daemon import service
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.from_client import Describe, Look, Say, UsePortal
from zonecluster.protocol.netcode import ClientState
from zonecluster.protocol.to_client import Described, Heard, Notice, Refused, Result, Surroundings
from zonecluster.protocol.zone_payloads import KIND_BITS, NO_ZONE_LINK
from zonecluster.rules import turns
from zonecluster.rules.character import new_character_state, with_place
from zonecluster.simulation.instance import ZoneInstance

Connect = Callable[[UUID], UdpPlayer]


def state_at(x: float, y: float, zone: str = "harbour"):
    """Return a new character's document that stands there."""
    return with_place(new_character_state(), "demo", Place(zone, (x, y, 0.0), 90.0))


def command(cluster: ClusterUnderTest, session: UUID, what) -> None:
    """Send a player's command and run it."""
    cluster.do(bus.SessionCommand(session, what))
    cluster.tick()


def test_admitted_player_connects_and_sees_itself_first_then_the_nearest(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    bob = cluster.admit("Bob", state=state_at(101, 100), link=2)
    alice = cluster.admit("Alice")
    link = connect(alice.request)
    answer = cluster.to_daemon(bus.Admitted)[-1]
    assert answer.session == alice.session and answer.entity == link.entities["id"][0]
    assert link.header["instance"] == HARBOUR and len(link.entities) == 5  # Alice, Bob, three gulls
    assert (link.entities["kind_flags"] & KIND_BITS).tolist() == [0, 0, 1, 1, 1]
    assert (link.entities["kind_flags"] & NO_ZONE_LINK).tolist()[:2] == [0, NO_ZONE_LINK]  # Bob has none
    resident = next(r for r in residents(cluster) if r.session == bob.session)
    assert (
        resident.position == (101.0, 100.0, 0.0)
        and resident.heading_deg == 90.0
        and resident.stay == bob.order
    )


def residents(cluster: ClusterUnderTest) -> list[bus.Resident]:
    """Return what the daemon is told of who is here."""
    cluster.do(bus.Hail("demo"))
    return cluster.to_daemon(bus.Residents)[-1].residents


def test_walking_moves_the_player_for_everybody_and_is_acknowledged(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    alice, bob = cluster.admit("Alice"), cluster.admit("Bob", state=state_at(90, 90), link=2)
    of_alice, of_bob = connect(alice.request), connect(bob.request)
    before = of_bob.entities["x"][of_bob.entities["id"] == of_alice.entities["id"][0]]

    def has_walked() -> bool:
        of_alice.walk(127, 0)
        return residents_by_session(cluster)[alice.session].position[0] > 101

    run_until(cluster, [of_alice, of_bob], has_walked)
    run_until(cluster, [of_alice, of_bob], lambda: of_alice.header["input_ack"] >= of_alice.seq)
    after = of_bob.entities["x"][of_bob.entities["id"] == of_alice.entities["id"][0]]
    assert after > before
    assert of_alice.header["corrections"] == 0
    assert residents_by_session(cluster)[alice.session].is_dirty


def residents_by_session(cluster: ClusterUnderTest) -> dict[UUID, bus.Resident]:
    return {resident.session: resident for resident in residents(cluster)}


def test_first_visit_is_saved_at_once_and_only_once(cluster: ClusterUnderTest, connect: Connect) -> None:
    alice = cluster.admit("Alice")
    connect(alice.request)
    [checkpoint] = cluster.to_daemon(bus.Checkpoint)
    assert (checkpoint.kind, checkpoint.session, checkpoint.stay) == ("quest", alice.session, alice.order)
    assert checkpoint.state.quests == {"visited:harbour": "done"}
    assert checkpoint.state.attributes["xp"] == 10
    assert checkpoint.state.places["demo"].zone == "harbour"
    assert cluster.to_gateway(Notice) == []  # not before it is on the world's disk
    cluster.do(bus.Journaled(alice.session, checkpoint.serial))
    assert "Harbour" in cluster.to_gateway(Notice)[0].text
    assert residents_by_session(cluster)[alice.session].is_dirty
    cluster.do(bus.Saved(alice.session, checkpoint.serial))
    assert not residents_by_session(cluster)[alice.session].is_dirty
    request = uuid4()
    cluster.do(bus.MintToken(alice.session, request))
    connect(request)
    assert len(cluster.to_daemon(bus.Checkpoint)) == 1


def test_who_connects_while_frozen_has_its_visit_recorded_at_thaw(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    alice = cluster.admit("Alice")
    frozen = cluster.freeze(alice.session)
    connect(alice.request)
    assert frozen.state.quests == {} and cluster.to_daemon(bus.Checkpoint) == []
    cluster.do(bus.Thaw(alice.session, "", HARBOUR, cluster.next_order()))
    assert [checkpoint.kind for checkpoint in cluster.to_daemon(bus.Checkpoint)] == ["quest"]


def test_newer_zone_link_replaces_the_older_but_never_the_other_way_round(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    alice = cluster.admit("Alice")
    request = uuid4()
    cluster.do(bus.MintToken(alice.session, request))
    newer = connect(request)
    older = UdpPlayer(cluster.token_of(alice.request))
    run_until(cluster, [older, newer], lambda: older.core.state is ClientState.DISCONNECTED)
    seen = len(newer.snapshots)
    run_until(cluster, [older, newer], lambda: len(newer.snapshots) > seen + 2)
    older.socket.close()
    newest = uuid4()
    cluster.do(bus.MintToken(alice.session, newest))
    connect(newest)
    run_until(cluster, [newer], lambda: newer.core.state is ClientState.DISCONNECTED)


def test_lost_zone_link_leaves_the_player_standing_with_a_flag(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    alice, bob = cluster.admit("Alice"), cluster.admit("Bob", state=state_at(90, 90), link=2)
    of_alice, of_bob = connect(alice.request), connect(bob.request)
    entity = of_alice.entities["id"][0]
    of_alice.walk(127, 0)
    of_alice.pump()
    of_alice.core.disconnect(0.0)
    of_alice.pump()

    def is_marked() -> bool:
        seen = of_bob.entities[of_bob.entities["id"] == entity]
        return bool(seen["kind_flags"][0] & NO_ZONE_LINK) and seen["speed"][0] == 0

    run_until(cluster, [of_bob], is_marked)


def test_repeated_admit_gets_the_same_answer_and_stands_once(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    cluster.do(alice)
    first, second = cluster.to_daemon(bus.Admitted)
    assert first == second
    assert len(residents(cluster)) == 1


def test_admit_is_refused_with_the_reason(cluster: ClusterUnderTest) -> None:
    for number in range(3):
        cluster.admit(f"Bob {number}")
    cluster.admit("Alice")
    cluster.admit("Alice", 4711)
    cluster.cluster.is_stopping = True
    cluster.admit("Alice", MOSSGATE)
    full, closed, stopping = (refused.reason for refused in cluster.to_daemon(bus.AdmitRefused))
    assert full == "Harbour is full: 3 players are in it"
    assert closed == "instance 4711 is not open"
    assert stopping == "the cluster is stopping"


def test_frozen_player_stays_as_told_until_thawed(cluster: ClusterUnderTest, connect: Connect) -> None:
    alice = cluster.admit("Alice")
    link = connect(alice.request)
    frozen = cluster.freeze(alice.session)
    link.walk(127, 0)
    command(cluster, alice.session, Say(7, "hello"))
    run_until(cluster, [link], lambda: link.header["flags"] & 1 and link.header["input_ack"] >= link.seq)
    assert cluster.freeze(alice.session).state == frozen.state
    assert [refused.code for refused in cluster.to_gateway(Refused)] == ["not_now"]
    cluster.do(bus.Thaw(alice.session, "The way is barred.", HARBOUR, cluster.next_order()))
    assert cluster.to_gateway(Notice)[-1].text == "The way is barred."

    def walks_again() -> bool:
        link.walk(127, 0)
        return residents_by_session(cluster)[alice.session].position[0] > 100.5

    run_until(cluster, [link], walks_again)


def test_walking_into_a_portal_is_told_once_and_again_after_thaw_and_return(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    alice = cluster.admit("Alice")
    link = connect(alice.request)

    def walk(north: int, condition: Callable[[], object]) -> None:
        def turn() -> object:
            link.walk(0, north)
            return condition()

        run_until(cluster, [link], turn)

    def north_of() -> float:
        return residents_by_session(cluster)[alice.session].position[1]

    walk(127, lambda: north_of() > 104.5)
    assert cluster.to_daemon(bus.PortalEntered) == [
        bus.PortalEntered("east", alice.session, "to-mossgate", alice.order)
    ]
    cluster.freeze(alice.session)
    cluster.do(bus.Thaw(alice.session, "", HARBOUR, cluster.next_order()))
    walk(-127, lambda: north_of() < 102)
    walk(0, lambda: cluster.cluster.instances[HARBOUR].tables.tick > 0)
    for _ in range(25):  # the silence after being sent back
        cluster.tick()
    walk(127, lambda: len(cluster.to_daemon(bus.PortalEntered)) == 2)


def test_portal_by_command_needs_to_be_near_and_known(cluster: ClusterUnderTest) -> None:
    far = cluster.admit("Alice", link=1)
    near = cluster.admit("Bob", link=2, state=state_at(100, 105))
    for number, (player, link) in enumerate(
        [(far, "to-mossgate"), (far, "nowhere"), (near, "to-mossgate"), (near, "to-mossgate")]
    ):
        command(cluster, player.session, UsePortal(number, link))
    results = cluster.to_gateway(Result)
    assert [result.ok for result in results] == [False, False, True, False]
    assert results[0].text == "You are too far from it. Walk up to: To mossgate."
    assert results[1].text == "There is no way 'nowhere' here. Ways out: to-mossgate."
    assert [entered.session for entered in cluster.to_daemon(bus.PortalEntered)] == [near.session]


def test_who_arrives_within_a_trigger_is_not_sent_on(cluster: ClusterUnderTest, connect: Connect) -> None:
    alice = cluster.admit("Alice", state=state_at(100, 105))
    connect(alice.request)
    for _ in range(30):
        cluster.tick()
    assert cluster.to_daemon(bus.PortalEntered) == []


def test_say_is_heard_within_30_m_and_not_beyond(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice", link=1)
    cluster.admit("Bob", link=2, state=state_at(129, 100))
    cluster.admit("Mallory", link=3, state=state_at(131, 100))
    command(cluster, alice.session, Say(5, " good\x1b[2J  day\n"))
    [heard] = cluster.to_gateway(Heard)
    assert (heard.speaker, heard.text) == ("Alice", "good[2J day")
    assert cluster.to_gateway(Heard, link=2) == [heard]
    assert cluster.to_gateway(Heard, link=3) == cluster.to_gateway(Heard, link=1) == []
    assert cluster.to_gateway(Result, link=1) == [Result(5, True)]


def test_look_and_describe_tell_who_is_near_and_the_ways_out(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice", link=1)
    cluster.admit("Bob", link=2, state=state_at(100, 103))
    cluster.tick()  # creatures appear
    command(cluster, alice.session, Look(1))
    [around] = cluster.to_gateway(Surroundings, link=1)
    assert (around.zone, around.zone_name, around.x, around.y) == ("harbour", "Harbour", 100.0, 100.0)
    assert (around.nearby[0].name, around.nearby[0].kind, around.nearby[0].distance) == ("Bob", "player", 3.0)
    assert [entity.kind for entity in around.nearby[1:]] == ["creature"] * 3
    assert [(exit.link, exit.target_zone, exit.radius, exit.edition) for exit in around.exits] == [
        ("to-mossgate", "mossgate", 2.0, "premium")
    ]
    command(cluster, alice.session, Describe(2, [2**32 - 1, around.nearby[0].id, 0]))
    [described] = cluster.to_gateway(Described, link=1)
    assert [entity.name for entity in described.entities] == ["Bob"]


def test_too_many_waiting_commands_are_refused_and_turns_are_fair(
    cluster: ClusterUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "QUANTUM_NS", 10_000)  # less than any command takes
    mallory, alice = cluster.admit("Mallory", link=6), cluster.admit("Alice", link=1)
    for seq in range(40):
        cluster.do(bus.SessionCommand(mallory.session, Say(seq, "spam")))
    cluster.do(bus.SessionCommand(alice.session, Say(99, "hello")))
    refused = cluster.to_gateway(Refused, link=6)
    assert [(each.code, each.seq) for each in refused] == [("too_fast", seq) for seq in range(32, 40)]
    cluster.tick()
    sent = [m for _, m in cluster.outbox.put_messages if isinstance(m, bus.ToLinks)]
    answers = [(m.links[0], m.message.seq) for m in sent if isinstance(m.message, Result)]
    assert answers.index((1, 99)) == 1  # right after Mallory's first
    assert len(answers) == 33
    player = cluster.player(mallory.session)
    assert player.commands_run == 32 and player.cpu_ns > 0


def test_command_that_fails_is_answered_and_stops_nobody(
    cluster: ClusterUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    mallory, alice = cluster.admit("Mallory", link=6), cluster.admit("Alice", link=1)
    monkeypatch.delattr(ZoneInstance, "nearby")
    cluster.do(
        bus.SessionCommand(mallory.session, Look(1)), bus.SessionCommand(alice.session, Say(2, "hello"))
    )
    cluster.tick()
    assert [refused.seq for refused in cluster.to_gateway(Refused, link=6)] == [1]
    assert [result.seq for result in cluster.to_gateway(Result, link=1)] == [2]
    assert cluster.cluster.counters["commands_failed"] == 1


def test_hostile_payloads_are_counted_and_dropped(cluster: ClusterUnderTest, connect: Connect) -> None:
    mallory = cluster.admit("Mallory")
    link = connect(mallory.request)
    for payload in (
        b"\0",
        b"\2",
        b"\2\x10" + bytes(4),
        b"\xff" * 1150,
        b"\2\1" + bytes(11),
        b"\2\2" + bytes(12),
    ):
        link.core.send_payload(payload, 0.0)
    run_until(cluster, [link], lambda: cluster.cluster.counters["inputs_refused"] == 6)
    assert residents(cluster)[0].position == (100.0, 100.0, 0.0)


def test_unknown_sessions_are_answered(cluster: ClusterUnderTest) -> None:
    session, request = uuid4(), uuid4()
    cluster.do(
        bus.Freeze(session, request),
        bus.MintToken(session, request),
        bus.Attach(session, "gate", 1),
        bus.TakeCheckpoint(session),
        bus.SessionCommand(session, Look(1)),
        bus.Thaw(session),
        bus.Saved(session),
        bus.Remove(session, order=1),
    )
    assert [(m.session, m.request) for m in cluster.to_daemon(bus.Unknown)] == [
        (session, request),
        (session, request),
        (session, None),
        (session, None),
        (session, None),
    ]
    assert [m.order for m in cluster.to_daemon(bus.Removed)] == [1]


def test_handoff_between_two_zones_of_one_cluster(cluster: ClusterUnderTest, connect: Connect) -> None:
    alice = cluster.admit("Alice")
    of_harbour = connect(alice.request)
    frozen = cluster.freeze(alice.session, HARBOUR)
    state = with_place(frozen.state, "demo", Place("mossgate", (20.0, 20.0, 0.0), 0.0))
    arrival = cluster.admit("Alice", MOSSGATE, session=alice.session, character=alice.character, state=state)
    assert {r.instance for r in residents(cluster)} == {HARBOUR, MOSSGATE}
    of_mossgate = connect(arrival.request)
    cluster.do(bus.Remove(alice.session, HARBOUR, cluster.next_order()))
    [resident] = residents(cluster)
    assert (resident.instance, resident.position, resident.is_frozen) == (MOSSGATE, (20.0, 20.0, 0.0), False)
    run_until(cluster, [of_harbour, of_mossgate], lambda: not of_harbour.is_connected)
    assert of_mossgate.is_connected and of_mossgate.header["instance"] == MOSSGATE
    assert cluster.to_daemon(bus.Checkpoint)[-1].state.quests.keys() == {
        "visited:harbour",
        "visited:mossgate",
    }


def test_failed_handoff_within_one_cluster_returns_to_the_source(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    cluster.freeze(alice.session, HARBOUR)
    arrival = cluster.admit("Alice", MOSSGATE, session=alice.session)
    cluster.do(bus.Remove(alice.session, MOSSGATE, cluster.next_order()))
    cluster.do(bus.Thaw(alice.session, "", HARBOUR, cluster.next_order()))
    [resident] = residents(cluster)
    assert (resident.instance, resident.is_frozen) == (HARBOUR, False)
    cluster.do(arrival)  # a late copy: its order is over
    assert len(residents(cluster)) == 1
    assert cluster.cluster.counters["orders_outdated"] == 1


def test_readmission_to_the_same_instance_replaces_the_older_entity(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    again = cluster.admit("Alice", session=alice.session, state=state_at(50, 60))
    [resident] = residents(cluster)
    assert resident.position == (50.0, 60.0, 0.0) and resident.stay == again.order
    first, second = cluster.to_daemon(bus.Admitted)
    assert first.entity != second.entity and first.connect_token != second.connect_token


def test_outdated_orders_do_nothing(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    thaw = bus.Thaw(alice.session, "", HARBOUR, cluster.next_order())
    cluster.freeze(alice.session)
    cluster.do(thaw, bus.Remove(alice.session, HARBOUR, 1))
    assert residents(cluster)[0].is_frozen
    removal = bus.Remove(alice.session, HARBOUR, cluster.next_order())
    cluster.do(removal, removal, alice)
    assert residents(cluster) == []
    assert [m.order for m in cluster.to_daemon(bus.Removed)] == [removal.order, removal.order]


def test_lost_world_link_stops_the_walker_until_attached_again(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    alice = cluster.admit("Alice")
    link = connect(alice.request)
    cluster.do(bus.Attach(alice.session, "gate", None))
    link.walk(127, 0)
    run_until(cluster, [link], lambda: link.header["input_ack"] >= link.seq)
    assert residents(cluster)[0].position[0] == 100.0
    cluster.do(bus.Attach(alice.session, "gate", 44))

    def walks() -> bool:
        link.walk(127, 0)
        return residents(cluster)[0].position[0] > 100.5

    run_until(cluster, [link], walks)
    assert residents(cluster)[0].link == 44


def test_checkpoint_carries_what_was_walked(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    player = cluster.player(alice.session)
    player.instance.tables.metres_walked[player.row] = 401.7
    cluster.do(bus.TakeCheckpoint(alice.session))
    [checkpoint] = cluster.to_daemon(bus.Checkpoint)
    assert checkpoint.kind == "periodic"
    assert checkpoint.state.attributes["metres_walked"] == 401
    assert checkpoint.state.skills["wayfaring"] == 2
    cluster.do(bus.TakeCheckpoint(alice.session))
    second = cluster.to_daemon(bus.Checkpoint)[1]
    assert second.serial > checkpoint.serial and second.state == checkpoint.state


def test_instances_open_again_and_close_only_when_empty(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    cluster.do(bus.OpenInstance(HARBOUR, "harbour"), bus.OpenInstance(HARBOUR, "mossgate"))
    cluster.do(bus.CloseInstance(HARBOUR), bus.CloseInstance(MOSSGATE), bus.CloseInstance(12345))
    good, bad = cluster.to_daemon(bus.InstanceOpened)
    assert good.error == "" and bad.error == f"instance {HARBOUR} runs harbour"
    assert set(cluster.cluster.instances) == {HARBOUR}
    cluster.do(bus.Remove(alice.session), bus.CloseInstance(HARBOUR))
    assert cluster.cluster.instances == {}


def test_a_zone_that_cannot_be_loaded_for_whatever_reason_is_answered(
    cluster: ClusterUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(world: str, zone: str) -> None:
        raise KeyError("wares")

    monkeypatch.setattr(service, "_load_zone", broken)
    asyncio.run(cluster.service.open_instance(bus.OpenInstance(99, "harbour")))
    answer = cluster.to_daemon(bus.InstanceOpened)[-1]
    assert (answer.instance, answer.error) == (99, "'wares'")


def test_step_that_fails_stops_neither_links_nor_snapshots(
    cluster: ClusterUnderTest, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = cluster.admit("Alice")
    link = connect(alice.request)
    monkeypatch.delattr(cluster.cluster.tables, "wish")
    seen = len(link.snapshots)
    run_until(cluster, [link], lambda: len(link.snapshots) > seen + 2)
    assert cluster.cluster.counters["step_failed"] >= 2


def test_flood_of_payloads_of_one_link_is_cut(cluster: ClusterUnderTest, connect: Connect) -> None:
    mallory = cluster.admit("Mallory")
    link = connect(mallory.request)
    for _ in range(100):
        link.walk(127, 0)
    run_until(cluster, [link], lambda: cluster.cluster.links.statistics()["drop_flooding"] >= 50)
    assert len(residents(cluster)) == 1
