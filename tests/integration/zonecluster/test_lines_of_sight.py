"""A real cluster asks who is in sight: walls of the content, and an operator's code that fails."""

from collections.abc import Callable
from uuid import UUID

import numpy as np
import pytest
import structlog

from tests.zone_cluster import ClusterUnderTest, UdpPlayer, run_until
from worlds.models import World, Zone
from zonecluster.daemon import content as contents
from zonecluster.daemon.content import load_sight, load_zone
from zonecluster.daemon.requests import close_instance, zone_loaded
from zonecluster.interest.providers import SightUnusable
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.rules.character import new_character_state, with_place

CELLAR = 3001
Connect = Callable[[UUID], UdpPlayer]


@pytest.fixture
def cellar(world: World, cluster: ClusterUnderTest) -> ClusterUnderTest:
    """The cluster, with an instance of a zone that has a wall right through its middle."""
    Zone.objects.create(
        world=world, slug="cellar", name="Cellar", size=100, entry_x=10, entry_y=10, walls=[[50, 0, 50, 100]]
    )
    content = load_zone("demo", "cellar")
    zone_loaded(cluster.cluster, bus.OpenInstance(CELLAR, content.slug), content, load_sight(content))
    return cluster


def admit_at(cluster: ClusterUnderTest, name: str, x: float, link: int) -> bus.Admit:
    state = with_place(new_character_state(), "demo", Place("cellar", (x, 50.0, 0.0), 0.0))
    return cluster.admit(name, CELLAR, state=state, link=link)


def others_of(player: UdpPlayer) -> int:
    return int(np.count_nonzero(player.entities["id"])) - 1


def test_nobody_sees_through_a_wall(cellar: ClusterUnderTest, connect: Connect) -> None:
    alice, _, _ = (
        admit_at(cellar, name, x, link)
        for link, (name, x) in enumerate([("Alice", 40), ("Bob", 45), ("Mallory", 60)])
    )
    link = connect(alice.request)
    run_until(cellar, [link], lambda: len(link.snapshots) > 3)
    assert others_of(link) == 1  # Bob
    cellar.cluster.sights.clear()
    run_until(cellar, [link], lambda: others_of(link) == 2)


def test_a_provider_that_fails_is_counted_and_hides_nobody(
    cellar: ClusterUnderTest, connect: Connect
) -> None:
    def broken(viewers, candidates):
        raise ZeroDivisionError

    (place,) = cellar.cluster.sights
    cellar.cluster.sights[place] = broken
    alice, _ = admit_at(cellar, "Alice", 40, 1), admit_at(cellar, "Bob", 60, 2)
    with structlog.testing.capture_logs() as logs:
        link = connect(alice.request)
        run_until(cellar, [link], lambda: others_of(link) == 1)
    assert cellar.cluster.counters["sight_failed"] > 0
    assert cellar.cluster.counters["send_snapshots_failed"] == 0
    assert {entry["instance"] for entry in logs if entry["event"] == "sight_failed"} == {CELLAR}


def test_a_closed_instance_leaves_no_sight_behind(cellar: ClusterUnderTest) -> None:
    close_instance(cellar.cluster, bus.CloseInstance(CELLAR))
    assert cellar.cluster.sights == {}


def test_a_provider_that_cannot_be_loaded_is_logged_and_the_zone_opens(cellar, monkeypatch) -> None:
    def unusable(content):
        raise SightUnusable("my_world.sights:fog")

    monkeypatch.setattr(contents, "sight_of", unusable)
    with structlog.testing.capture_logs() as logs:
        assert load_sight(load_zone("demo", "cellar")) is None
    assert logs[0]["event"] == "sight_unusable" and "fog" in logs[0]["error"]
