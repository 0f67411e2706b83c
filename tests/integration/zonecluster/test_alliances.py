"""A real cluster groups the members of an alliance, says so, and forgets it with the player."""

from uuid import uuid4

from tests.zone_cluster import ClusterUnderTest
from zonecluster.protocol import bus


def reported(cluster: ClusterUnderTest) -> dict:
    cluster.do(bus.Hail("demo"))
    return {each.session: each.group for each in cluster.to_daemon(bus.Residents)[-1].residents}


def test_members_of_an_alliance_are_grouped(cluster: ClusterUnderTest) -> None:
    alice, bob, mallory = (
        cluster.admit(name, link=link) for link, name in enumerate(("Alice", "Bob", "Mallory"))
    )
    cluster.do(bus.Grouped(alice.session, 4_000_000_000), bus.Grouped(bob.session, 4_000_000_000))
    rows = [cluster.player(each.session).row for each in (alice, bob, mallory)]
    assert cluster.cluster.tables.group[rows].tolist() == [4_000_000_000, 4_000_000_000, 0]
    assert reported(cluster) == {alice.session: 4_000_000_000, bob.session: 4_000_000_000, mallory.session: 0}
    cluster.do(bus.Grouped(alice.session, 0))
    assert reported(cluster)[alice.session] == 0


def test_a_session_that_is_not_here_is_nobodys_group(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    cluster.do(bus.Grouped(uuid4(), 7))
    assert reported(cluster) == {alice.session: 0}


def test_who_comes_after_a_member_in_its_row_is_in_no_group(cluster: ClusterUnderTest) -> None:
    alice = cluster.admit("Alice")
    cluster.do(bus.Grouped(alice.session, 7))
    row = cluster.player(alice.session).row
    cluster.do(bus.Remove(alice.session, order=cluster.next_order()))
    mallory = cluster.admit("Mallory")
    assert cluster.player(mallory.session).row == row
    assert reported(cluster) == {mallory.session: 0}
