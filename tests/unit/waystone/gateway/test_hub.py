"""Room in a gateway: who gets some."""

from waystone.gateway.hub import Hub
from waystone.gateway.limits import Limits
from waystone.gateway.link import Phase
from waystone.gateway.outgoing import Flow


def hub(**limits: int) -> Hub:
    return Hub(world="demo", name="gateway-under-test", limits=Limits(**limits))


def test_one_address_cannot_take_the_room_of_all_who_come_in() -> None:
    gateway = hub(max_unwelcomed=10, max_unwelcomed_of_address=2)
    taken = [gateway.open_link(Flow(), 0.0, "8.8.8.8") for _ in range(3)]
    assert taken[0] and taken[1] and taken[2] is None
    assert gateway.open_link(Flow(), 0.0, "9.9.9.9")
    taken[0].core.phase = Phase.WELCOMED
    assert gateway.open_link(Flow(), 0.0, "8.8.8.8"), "whoever is welcomed does not count"


def test_a_proxys_address_is_many_peoples() -> None:
    gateway = hub(max_unwelcomed=10, max_unwelcomed_of_address=2)
    assert all(gateway.open_link(Flow(), 0.0, "127.0.0.1") for _ in range(10))
    assert gateway.open_link(Flow(), 0.0, "127.0.0.1") is None
