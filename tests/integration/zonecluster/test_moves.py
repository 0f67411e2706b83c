"""An instance goes from one cluster to another, over the bytes of the bus: what stirs where, and when."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.integration.zonecluster.test_goods import RICH, Dealer
from tests.integration.zonecluster.test_goods import world as world_with_goods
from tests.zone_cluster import HARBOUR, ClusterUnderTest
from worlds.models import World
from zonecluster.hot_code import Choice
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Buy, Drop, Loot, PickUp
from zonecluster.simulation.cargo import creature_rows
from zonecluster.simulation.tables import ITEM

world = world_with_goods
MOVE = 77


@pytest.fixture
def packet_path() -> Choice:
    """Moves touch no packet: one way is enough."""
    return "auto"


@pytest.fixture
def west(world: World, packet_path: Choice) -> Iterator[ClusterUnderTest]:
    """Another cluster, that does not run the harbour."""
    under_test = ClusterUnderTest(packet_path=packet_path)
    under_test.do(bus.CloseInstance(HARBOUR))
    yield under_test
    under_test.cluster.links.close()


async def open_vacant(cluster: ClusterUnderTest, move: int = MOVE) -> None:
    opening = bus.OpenInstance(HARBOUR, "harbour", is_again=True, move=move)
    cluster.do(opening)
    for message in cluster.cluster.openings:
        await cluster.service.open_instance(message)
    cluster.cluster.openings.clear()


@pytest.fixture
def vacant(west: ClusterUnderTest) -> ClusterUnderTest:
    """The target of a move, its copy open."""
    asyncio.run(open_vacant(west))
    return west


def export(cluster: ClusterUnderTest, move: int = MOVE) -> bytes | None:
    """Ask for what is in the harbour; None: it is not told yet."""
    before = len(cluster.to_daemon(bus.InstanceExported))
    cluster.do(bus.ExportInstance(HARBOUR, move))
    told = cluster.to_daemon(bus.InstanceExported)[before:]
    return told[0].cargo if told else None


def take_over(cluster: ClusterUnderTest, cargo: bytes, move: int = MOVE) -> str:
    """Hand the target what was told; returns what it complains of."""
    cluster.do(bus.ImportInstance(HARBOUR, move, cargo))
    return cluster.to_daemon(bus.InstanceImported)[-1].error


def alive(cluster: ClusterUnderTest) -> tuple[list[int], list[int]]:
    """Return what it says is vacant and exported."""
    cluster.do(bus.Hail("demo"))
    told = cluster.to_daemon(bus.ClusterAlive)[-1]
    return told.vacant, told.exported


def gulls(cluster: ClusterUnderTest) -> list[list[float]]:
    instance = cluster.cluster.instances[HARBOUR]
    return cluster.cluster.tables.position[creature_rows(instance)].tolist()


def lying(cluster: ClusterUnderTest) -> int:
    instance = cluster.cluster.instances[HARBOUR]
    return sum(not cluster.cluster.tables.is_hidden[row] for row in instance.goods.ground)


@pytest.fixture
def alice(cluster: ClusterUnderTest) -> Dealer:
    return Dealer(cluster, "Alice", RICH, 1)


def lay_bread(alice: Dealer) -> None:
    alice.done(Buy, alice.vendor, "bread", 5)
    alice.done(Drop, "bread", 3)
    alice.accept()


def test_a_move_takes_creatures_and_goods_along(
    cluster: ClusterUnderTest, vacant: ClusterUnderTest, alice: Dealer
) -> None:
    lay_bread(alice)
    assert alice.done(Loot, alice.chest)
    assert alive(vacant) == ([HARBOUR], [])
    cargo = export(cluster)
    assert cargo is not None and take_over(vacant, cargo) == ""
    assert alive(cluster) == ([], [HARBOUR])
    assert gulls(cluster) == gulls(vacant) and lying(cluster) == lying(vacant) == 1
    # Alice follows while nothing stirs yet; then it does.
    follower = Dealer(vacant, "Alice", alice.player.state, 1)
    laid = follower.look(ITEM)[0]
    assert follower.refused(PickUp, laid) == "moving"
    vacant.do(bus.ActivateInstance(HARBOUR, MOVE), bus.ActivateInstance(HARBOUR, MOVE))
    assert alive(vacant) == ([], [])
    assert follower.done(PickUp, laid) == "You pick up 3 × Bread."
    assert follower.refused(Loot, follower.chest) == "nothing_there", "it was looted at the source"
    assert alice.refused(PickUp, alice.look(ITEM)[0]) == "moving", "the source gives nothing any more"
    cluster.do(bus.Remove(alice.session, HARBOUR, cluster.next_order()), bus.CloseInstance(HARBOUR))
    assert alive(cluster) == ([], []) and HARBOUR not in cluster.cluster.instances


def test_nothing_stirs_at_either_end_between_the_two(
    cluster: ClusterUnderTest, vacant: ClusterUnderTest, alice: Dealer
) -> None:
    for _ in range(100):  # gulls rest for at most 8 s
        cluster.tick()
    cargo = export(cluster)
    assert cargo is not None and take_over(vacant, cargo) == ""
    before = gulls(cluster)
    for _ in range(30):
        cluster.tick()
        vacant.tick()
    assert gulls(cluster) == gulls(vacant) == before
    assert alice.refused(Drop, "bread") == "moving"
    assert alice.done(Buy, alice.vendor, "bread"), "what is the player's own goes on"


def test_a_thing_that_waits_for_its_owners_document_is_waited_for(
    cluster: ClusterUnderTest, alice: Dealer
) -> None:
    alice.done(Buy, alice.vendor, "bread", 5)
    alice.send(Drop, "bread", 3)
    assert export(cluster) is None and alive(cluster) == ([], [HARBOUR])
    alice.journal()
    assert export(cluster) is None
    alice.accept()
    assert export(cluster) is not None and lying(cluster) == 1


def test_a_thing_whose_owner_has_gone_is_not_waited_for(cluster: ClusterUnderTest, alice: Dealer) -> None:
    alice.done(Buy, alice.vendor, "bread", 5)
    alice.send(Drop, "bread", 3)
    cluster.do(bus.Remove(alice.session, HARBOUR, cluster.next_order()))
    assert export(cluster) is not None


def test_a_move_that_is_off_changes_nothing(
    cluster: ClusterUnderTest, vacant: ClusterUnderTest, alice: Dealer
) -> None:
    lay_bread(alice)
    cargo = export(cluster)
    assert cargo is not None and take_over(vacant, cargo) == ""
    cluster.do(bus.ResumeInstance(HARBOUR, MOVE), bus.ResumeInstance(HARBOUR, MOVE))
    vacant.do(bus.CloseInstance(HARBOUR))
    assert alive(cluster) == alive(vacant) == ([], []) and HARBOUR not in vacant.cluster.instances
    assert alice.done(PickUp, alice.look(ITEM)[0]) == "You pick up 3 × Bread."
    assert export(cluster) is None, "a late ExportInstance of it counts for nothing"
    assert alive(cluster) == ([], [])


def test_what_the_target_may_have_shown_is_given_up(cluster: ClusterUnderTest, alice: Dealer) -> None:
    lay_bread(alice)
    export(cluster)
    cluster.do(bus.ResumeInstance(HARBOUR, MOVE + 5, is_emptied=True))
    assert alive(cluster) == ([], []) and lying(cluster) == 0
    assert alice.refused(Loot, alice.chest) == "nothing_there"


@pytest.mark.parametrize("is_taken_over", [True, False])
def test_a_vacant_copy_that_is_wanted_after_all_has_no_goods_of_the_source(
    cluster: ClusterUnderTest, vacant: ClusterUnderTest, alice: Dealer, is_taken_over: bool
) -> None:
    """The source may have gone on: what was told here may be in somebody's bag there."""
    lay_bread(alice)
    cargo = export(cluster)
    assert cargo is not None
    if is_taken_over:
        assert take_over(vacant, cargo) == ""
    vacant.do(bus.OpenInstance(HARBOUR, "harbour", is_again=True))
    assert alive(vacant) == ([], []) and lying(vacant) == 0
    assert vacant.to_daemon(bus.InstanceOpened)[-1].error == ""
    bob = Dealer(vacant, "Bob", RICH, 2)
    assert bob.refused(Loot, bob.chest) == "nothing_there"
    assert take_over(vacant, cargo) != "", "it is too late for that"


def test_activated_without_cargo_it_has_none(vacant: ClusterUnderTest) -> None:
    vacant.do(bus.ActivateInstance(HARBOUR, MOVE - 1))
    assert alive(vacant) == ([HARBOUR], [])
    vacant.do(bus.ActivateInstance(HARBOUR, MOVE))
    assert alive(vacant) == ([], []) and lying(vacant) == 0


@pytest.mark.parametrize("cargo", [b"", b"\xc1", b"\x80" * 100, b"\x81\xa6things\x91\x01"])
def test_cargo_that_is_none_is_refused_and_the_zone_goes_on(vacant: ClusterUnderTest, cargo: bytes) -> None:
    assert take_over(vacant, cargo) != ""
    assert alive(vacant) == ([HARBOUR], [])
    vacant.tick()
    vacant.do(bus.CloseInstance(HARBOUR))
    assert HARBOUR not in vacant.cluster.instances


def test_where_players_are_nothing_is_opened_anew(cluster: ClusterUnderTest, alice: Dealer) -> None:
    cluster.do(bus.OpenInstance(HARBOUR, "harbour", move=MOVE))
    assert "players are in" in cluster.to_daemon(bus.InstanceOpened)[-1].error
    assert alive(cluster) == ([], []) and alice.player.instance.number == HARBOUR


def test_late_orders_of_a_move_that_has_ended_change_nothing(vacant: ClusterUnderTest) -> None:
    vacant.do(bus.ActivateInstance(HARBOUR, MOVE))
    bob = Dealer(vacant, "Bob", RICH, 2)
    answers = len(vacant.to_daemon(bus.InstanceOpened))
    vacant.do(bus.OpenInstance(HARBOUR, "harbour", move=MOVE), bus.ExportInstance(HARBOUR, MOVE - 1))
    vacant.do(bus.ResumeInstance(HARBOUR, MOVE), bus.ActivateInstance(HARBOUR, MOVE))
    assert alive(vacant) == ([], []) and bob.player.instance.number == HARBOUR
    assert len(vacant.to_daemon(bus.InstanceOpened)) == answers


def test_requests_for_an_instance_that_is_not_here(cluster: ClusterUnderTest) -> None:
    for message in (
        bus.ExportInstance(99, MOVE), bus.ActivateInstance(99, MOVE), bus.ResumeInstance(99, MOVE)
    ):  # fmt: skip
        cluster.do(message)
    cluster.do(bus.ImportInstance(99, MOVE, b""))
    assert cluster.to_daemon(bus.InstanceExported) == []
    assert "not vacant" in cluster.to_daemon(bus.InstanceImported)[-1].error
    assert cluster.cluster.counters["requests_failed"] == 0
