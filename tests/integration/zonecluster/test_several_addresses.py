"""A cluster with several public addresses: the client walks through them until one answers."""

import asyncio
import socket

import pytest
from asgiref.sync import async_to_sync

from tests.zone_cluster import ClusterUnderTest
from waystone_client import zone_link
from waystone_client.errors import ZoneLinkFailed
from waystone_client.zone_link import ZoneLink
from worlds.models import World, ZoneCluster

OUT_OF_REACH = "2001:db8::1"  # reserved for documentation: there is no route to it, or none that answers
NOBODY = "127.0.0.9"  # this machine, but nobody listens there


@pytest.fixture(autouse=True)
def short_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_link, "CONNECT_S", 1.0)


async def opened(cluster: ClusterUnderTest, link: ZoneLink) -> None:
    """Open a link while the cluster ticks."""
    opening = asyncio.create_task(link.open())
    while not opening.done():
        cluster.tick()
        await asyncio.wait([opening], timeout=0.01)
    await opening


def connect(public_host: str, udp_host: str = "127.0.0.1") -> tuple[str, int]:
    """Return the address at which a player of a cluster with these hosts has got in."""
    ZoneCluster.objects.update(public_host=public_host, udp_host=udp_host)
    cluster = ClusterUnderTest()
    link = ZoneLink(cluster.token_of(cluster.admit("Alice").request))

    async def play() -> None:
        try:
            await opened(cluster, link)
        finally:
            await link.close()

    try:
        async_to_sync(play)()
    finally:
        cluster.cluster.links.close()
    assert link.address is not None
    return link.address


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("first", [OUT_OF_REACH, NOBODY])
def test_the_next_address_is_tried_where_the_first_does_not_answer(first: str) -> None:
    assert connect(f"{first}, 127.0.0.1")[0] == "127.0.0.1"


@pytest.mark.usefixtures("world")
def test_a_cluster_on_all_addresses_is_reached_by_either_family() -> None:
    assert connect("::1, 127.0.0.1", udp_host="::")[0] == "::1"
    assert connect("127.0.0.1, ::1", udp_host="::")[0] == "127.0.0.1"


@pytest.mark.usefixtures("world")
def test_where_no_address_answers_the_link_fails_with_a_reason() -> None:
    with pytest.raises(ZoneLinkFailed, match="zone_unreachable|The zone at"):
        connect(f"{OUT_OF_REACH}, {NOBODY}")


def test_a_machine_without_ipv6_uses_what_it_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int = -1, *arguments: int, **options: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *arguments, **options)

    monkeypatch.setattr(zone_link.asyncio.base_events.socket, "socket", without_ipv6)
    assert connect("::1, 127.0.0.1")[0] == "127.0.0.1"
