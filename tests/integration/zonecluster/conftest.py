"""A world of two zones, a cluster that runs them, and a way to open zone links."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from tests.zone_cluster import ClusterUnderTest, UdpPlayer, run_until
from worlds.models import CreatureKind, CreatureSpawn, World, Zone, ZoneCluster, ZoneLink
from zonecluster.hot_code import Choice


@pytest.fixture
def world(transactional_db: None) -> World:
    """A world of two zones with a portal each, one cluster, and three gulls."""
    world = World.objects.create(slug="demo", name="Demo", gateway_url="ws://127.0.0.1:1/")
    cluster = ZoneCluster.objects.create(world=world, name="east", udp_port=0)
    zones = {
        slug: Zone.objects.create(
            world=world,
            slug=slug,
            name=slug.title(),
            description=f"This is {slug}.",
            size=200,
            home_cluster=cluster,
            is_entry=slug == "harbour",
            entry_x=100,
            entry_y=100,
            max_players=3,
            edition="free" if slug == "harbour" else "premium",
        )
        for slug in ("harbour", "mossgate")
    }
    for slug, target in (("harbour", "mossgate"), ("mossgate", "harbour")):
        ZoneLink.objects.create(
            zone=zones[slug],
            slug=f"to-{target}",
            label=f"To {target}",
            x=100,
            y=105,
            radius=2,
            target=zones[target],
            arrival_x=20,
            arrival_y=20,
        )
    gull = CreatureKind.objects.create(world=world, slug="gull", name="Gull")
    CreatureSpawn.objects.create(zone=zones["harbour"], kind=gull, count=3, x=120, y=120, radius=20)
    return world


@pytest.fixture(params=["batch", "plain"])
def packet_path(request: pytest.FixtureRequest) -> Choice:
    """Each way in which a cluster can run: compiled, and without."""
    return request.param


@pytest.fixture
def cluster(world: World, packet_path: Choice) -> Iterator[ClusterUnderTest]:
    """Yield the cluster `east` of the world, both zones open."""
    under_test = ClusterUnderTest(packet_path=packet_path)
    yield under_test
    under_test.cluster.links.close()


@pytest.fixture
def connect(cluster: ClusterUnderTest) -> Iterator[Callable[[UUID], UdpPlayer]]:
    """Return a function that opens a zone link with the token that answered a request."""
    players: list[UdpPlayer] = []

    def open_link(request: UUID) -> UdpPlayer:
        player = UdpPlayer(cluster.token_of(request))
        players.append(player)
        run_until(cluster, players, lambda: player.snapshots)
        return player

    yield open_link
    for player in players:
        player.socket.close()
