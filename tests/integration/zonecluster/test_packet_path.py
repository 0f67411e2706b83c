"""Both packet paths over real loopback sockets, against NETCODE's own client."""

import secrets
import socket
from time import monotonic, time

import numpy as np
import pytest

from tests.embedded_servers import wait_until
from zonecluster.packets.path import open_path
from zonecluster.packets.udp_socket import CannotBind, bound_socket
from zonecluster.protocol.netcode import (
    PROTOCOL_ID,
    ClientCore,
    ClientState,
    Disconnected,
    PayloadReceived,
    ServerCore,
    mint_connect_token,
)

FAMILIES = {"IPv4": (socket.AF_INET, "127.0.0.1"), "IPv6": (socket.AF_INET6, "::1")}


def bound(family: str) -> socket.socket:
    kind, host = FAMILIES[family]
    made = socket.socket(kind, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.setblocking(False)
    return made


class Echo:
    """A server that sends every payload back, and one client of it."""

    def __init__(self, choice, family: str, server: socket.socket | None = None) -> None:
        self.server, self.client = server or bound(family), bound(family)
        address, key = (FAMILIES[family][1], self.server.getsockname()[1]), secrets.token_bytes(32)
        core = ServerCore(
            protocol_id=PROTOCOL_ID,
            private_key=key,
            public_addresses=[address],
            random_bytes=secrets.token_bytes,
            max_clients=4,
        )
        self.path = open_path(choice, self.server, core)
        token = mint_connect_token(
            client_id=7,
            server_addresses=[address],
            user_data=b"",
            expire_s=60,
            timeout_s=30,
            protocol_id=PROTOCOL_ID,
            private_key=key,
            random_bytes=secrets.token_bytes,
            unix_now=time(),
        )
        self.core = ClientCore(token, monotonic())
        self.heard: list[bytes] = []
        self.ended: list[Disconnected] = []

    def turn(self) -> None:
        now = monotonic()
        self.core.handle_timeout(now)
        for data, address in self.core.datagrams_to_send():
            self.client.sendto(data, address)
        self.path.receive(now, time())
        self.path.handle_timeout(now)
        self.ended += [event for event in self.path.take_events() if isinstance(event, Disconnected)]
        arrivals = self.path.take_arrivals()
        if len(arrivals):
            longest = int(arrivals.lengths.max())
            self.path.send(arrivals.slots, arrivals.data[:, :longest], now, arrivals.lengths)
        self.path.flush()
        while True:
            try:
                data, address = self.client.recvfrom(2048)
            except BlockingIOError:
                break
            self.core.receive_datagram(data, address[:2], now)
        self.heard += [event.data for event in self.core.events() if isinstance(event, PayloadReceived)]

    def until(self, condition) -> None:
        def turned() -> bool:
            self.turn()
            return bool(condition())

        wait_until(turned, 20, "echoes over loopback")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("choice", ["batch", "plain"])
def test_one_socket_on_all_addresses_serves_both_families(choice, family: str) -> None:
    echo = Echo(choice, family, bound_socket("::", 0))
    echo.until(lambda: echo.core.state is ClientState.CONNECTED)
    echo.core.send_payload(b"hello", monotonic())
    echo.until(lambda: echo.heard == [b"hello"])
    echo.server.close()
    echo.client.close()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("choice", ["batch", "plain"])
def test_payloads_of_every_size_come_back_and_a_goodbye_is_heard(choice, family: str) -> None:
    echo = Echo(choice, family)
    echo.until(lambda: echo.core.state is ClientState.CONNECTED)
    sent = [np.arange(size).astype(np.uint8).tobytes() for size in (1, 2, 64, 600, 1149, 1150)]
    for payload in sent:
        echo.core.send_payload(payload, monotonic())
    echo.until(lambda: len(echo.heard) == len(sent))
    assert sorted(echo.heard) == sorted(sent)
    echo.core.disconnect(monotonic())
    echo.until(lambda: echo.ended)
    statistics = echo.path.statistics()
    assert statistics["connected"] == 0
    assert statistics["payloads_received"] == statistics["payloads_sent"] == len(sent)
    echo.server.close()
    echo.client.close()


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    for host in ("127.0.0.1", "::1", "::"):
        taken = bound_socket(host, 0)
        with taken, pytest.raises(CannotBind, match="is taken by another process"):
            bound_socket(host, taken.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    with pytest.raises(CannotBind, match=f"Cannot listen on UDP {host}"):
        bound_socket(host, 0)
