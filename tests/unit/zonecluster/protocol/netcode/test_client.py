"""The client core: states, time-outs, several servers, and what it does not take."""

import pytest

from tests.unit.zonecluster.protocol.netcode import layout
from tests.unit.zonecluster.protocol.netcode.setting import (
    ALICE,
    MALLORY,
    SERVER,
    UNIX,
    dropped,
    mint,
    server,
)
from zonecluster.protocol.netcode import (
    PROTOCOL_ID,
    ClientCore,
    ClientState,
    PayloadReceived,
    StateChanged,
)

SECOND = ("203.0.113.6", 40000)


class FakeServer:
    """Seals what a server would send, by the tests' own writer."""

    def __init__(self, token):
        self.token = layout.read_connect_token(token)
        self.sequence = 0

    def packet(self, kind, body=b"", sequence=None):
        if sequence is None:
            sequence = self.sequence + (2**63 if kind < 4 else 0)
            self.sequence += 1
        return layout.write_packet(kind, sequence, body, PROTOCOL_ID, self.token.server_to_client)

    def read(self, data):
        return layout.read_packet(data, PROTOCOL_ID, self.token.client_to_server)


CHALLENGE = bytes(range(154)) * 2
KEEP_ALIVE = (3).to_bytes(4, "little") + (5000).to_bytes(4, "little")


def fresh(**changes):
    token = mint(**changes)
    core = ClientCore(token, 0.0)
    core.handle_timeout(0.0)
    return core, FakeServer(token)


def connected(**changes):
    core, far_end = fresh(**changes)
    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.0)
    core.receive_datagram(far_end.packet(4, KEEP_ALIVE), SERVER, 0.0)
    assert core.state is ClientState.CONNECTED
    core.datagrams_to_send()
    core.events()
    return core, far_end


def states(core):
    return [event.state.name for event in core.events() if isinstance(event, StateChanged)]


def test_the_way_in_packet_by_packet():
    core, far_end = fresh()
    ((data, address),) = core.datagrams_to_send()
    assert address == SERVER == core.server_address
    assert data == layout.write_request(far_end.token)
    assert len(data) == 1078

    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.01)
    ((data, _),) = core.datagrams_to_send()
    response = far_end.read(data)
    assert (response.kind, response.sequence, response.body) == (3, 0, CHALLENGE)

    core.receive_datagram(far_end.packet(4, KEEP_ALIVE), SERVER, 0.02)
    ((data, _),) = core.datagrams_to_send()
    assert far_end.read(data).kind == 4
    assert far_end.read(data).body == KEEP_ALIVE
    assert (core.client_index, core.max_clients) == (3, 5000)
    assert states(core) == ["SENDING_CONNECTION_REQUEST", "SENDING_CONNECTION_RESPONSE", "CONNECTED"]


def test_requests_responses_and_keep_alives_repeat_ten_times_a_second():
    core, far_end = fresh()
    kinds = []
    for step in range(108):
        now = step * 0.01
        if step == 36:
            core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, now)
        if step == 72:
            core.receive_datagram(far_end.packet(4, KEEP_ALIVE), SERVER, now)
        core.handle_timeout(now)
        kinds += [data[0] & 15 for data, _ in core.datagrams_to_send()]
    assert kinds == [0] * 4 + [3] * 4 + [4] * 4


def test_a_payload_puts_the_next_keep_alive_off():
    core, far_end = connected()
    assert core.next_timeout() == pytest.approx(0.1)
    core.send_payload(b"x", 0.08)
    assert core.next_timeout() == pytest.approx(0.18)
    ((data, _),) = core.datagrams_to_send()
    assert (far_end.read(data).kind, far_end.read(data).body) == (5, b"x")


def test_payloads_come_out_once_connected():
    core, far_end = fresh()
    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.0)
    core.receive_datagram(far_end.packet(5, b"too early"), SERVER, 0.0)
    core.receive_datagram(far_end.packet(4, KEEP_ALIVE), SERVER, 0.0)
    payload = far_end.packet(5, b"in time")
    core.receive_datagram(payload, SERVER, 0.0)
    core.receive_datagram(payload, SERVER, 0.0)
    assert [event.data for event in core.events() if isinstance(event, PayloadReceived)] == [b"in time"]
    assert dropped(core) == {"unexpected_type": 1, "replayed": 1}


def test_nothing_is_sent_before_connected_and_nothing_too_long_ever():
    core, _ = fresh()
    assert not core.send_payload(b"x", 0.0)
    core, _ = connected()
    for size in (0, 1151):
        with pytest.raises(ValueError, match="1150"):
            core.send_payload(bytes(size), 0.0)


@pytest.mark.parametrize("token", [b"", bytes(2048), mint()[:-1], b"NETCODE 1.02\0" + bytes(2035)])
def test_an_invalid_token_ends_before_it_begins(token):
    core = ClientCore(token, 0.0)
    assert core.state is ClientState.INVALID_CONNECT_TOKEN
    assert core.refusal
    assert core.next_timeout() is None
    assert core.server_address is None
    core.handle_timeout(1.0)
    core.receive_datagram(b"x", SERVER, 1.0)
    core.disconnect(1.0)
    assert core.datagrams_to_send() == []
    assert states(core) == ["INVALID_CONNECT_TOKEN"]


def test_silence_at_the_request():
    core, _ = fresh(timeout_s=2)
    core.handle_timeout(1.99)
    assert core.state is ClientState.SENDING_CONNECTION_REQUEST
    core.handle_timeout(2.0)
    assert core.state is ClientState.CONNECTION_REQUEST_TIMED_OUT
    assert core.next_timeout() is None


def test_silence_at_the_response():
    core, far_end = fresh(timeout_s=2)
    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 1.5)
    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 3.0)
    core.handle_timeout(3.5)
    assert core.state is ClientState.CONNECTION_RESPONSE_TIMED_OUT


def test_silence_when_connected():
    core, far_end = connected(timeout_s=2)
    core.receive_datagram(far_end.packet(4, KEEP_ALIVE), SERVER, 1.0)
    core.receive_datagram(far_end.packet(5, b"x"), SERVER, 2.5)
    core.handle_timeout(4.4)
    assert core.state is ClientState.CONNECTED
    core.handle_timeout(4.5)
    assert core.state is ClientState.CONNECTION_TIMED_OUT


def test_a_negative_timeout_is_never():
    core, _ = connected(timeout_s=-1)
    core.handle_timeout(1e9)
    assert core.state is ClientState.CONNECTED


@pytest.mark.parametrize("is_challenged", [False, True])
def test_denied(is_challenged):
    core, far_end = fresh()
    if is_challenged:
        core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.0)
    core.receive_datagram(far_end.packet(1), SERVER, 0.1)
    assert core.state is ClientState.CONNECTION_DENIED


def test_a_denied_packet_means_nothing_once_connected():
    core, far_end = connected()
    core.receive_datagram(far_end.packet(1), SERVER, 0.1)
    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.1)
    assert core.state is ClientState.CONNECTED
    assert dropped(core) == {"unexpected_type": 2}


@pytest.mark.parametrize("is_challenged", [False, True])
def test_the_token_expires_while_connecting(is_challenged):
    core, far_end = fresh(timeout_s=-1, expire_s=7)
    if is_challenged:
        core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.0)
    core.handle_timeout(6.9)
    assert core.state.value > 0
    core.handle_timeout(7.0)
    assert core.state is ClientState.CONNECT_TOKEN_EXPIRED


def test_the_token_does_not_expire_once_connected():
    core, far_end = connected(expire_s=3)
    core.receive_datagram(far_end.packet(4, KEEP_ALIVE), SERVER, 4.0)
    core.handle_timeout(4.0)
    assert core.state is ClientState.CONNECTED


def test_denied_or_silent_it_goes_on_to_the_next_server():
    third = ("2001:db8::7", 40000)
    core, far_end = fresh(server_addresses=[SERVER, SECOND, third], timeout_s=2)
    core.receive_datagram(far_end.packet(1), SERVER, 0.5)
    assert core.server_address == SECOND
    core.handle_timeout(0.5)
    core.receive_datagram(far_end.packet(2, CHALLENGE), SECOND, 1.0)
    assert core.state is ClientState.SENDING_CONNECTION_RESPONSE
    core.handle_timeout(3.0)
    assert core.server_address == third
    assert core.state is ClientState.SENDING_CONNECTION_REQUEST
    core.handle_timeout(5.0)
    assert core.state is ClientState.CONNECTION_REQUEST_TIMED_OUT
    targets = [address for _, address in core.datagrams_to_send()]
    assert set(targets) == {SERVER, SECOND, third}


def test_the_shell_may_give_up_on_a_server_but_not_on_the_last_nor_once_connected():
    other = ("2001:db8::6", 40001)
    core = ClientCore(mint(server_addresses=[SERVER, other]), 0.0)
    assert core.server_addresses == (SERVER, other)
    core.handle_timeout(0.0)
    core.datagrams_to_send()
    assert core.try_next_server(0.5)
    assert core.server_address == other
    assert core.state is ClientState.SENDING_CONNECTION_REQUEST
    core.handle_timeout(0.5)
    ((_, address),) = core.datagrams_to_send()
    assert address == other
    assert not core.try_next_server(0.6)
    assert core.state is ClientState.SENDING_CONNECTION_REQUEST
    assert not ClientCore(b"no token", 0.0).try_next_server(0.0)
    assert ClientCore(b"no token", 0.0).server_addresses == ()


def test_sequences_go_on_at_the_next_server_since_the_key_is_the_same():
    core, far_end = fresh(server_addresses=[SERVER, SECOND])
    core.receive_datagram(far_end.packet(2, CHALLENGE), SERVER, 0.0)
    core.receive_datagram(far_end.packet(1), SERVER, 0.1)
    core.receive_datagram(far_end.packet(2, CHALLENGE), SECOND, 0.2)
    sealed = [far_end.read(data) for data, _ in core.datagrams_to_send() if data[0]]
    assert [packet.sequence for packet in sealed] == [0, 1]


def test_the_server_disconnects_us():
    core, far_end = connected()
    core.receive_datagram(far_end.packet(6), SERVER, 1.0)
    assert core.state is ClientState.DISCONNECTED
    assert core.datagrams_to_send() == []
    assert states(core) == ["DISCONNECTED"]


def test_we_disconnect_with_ten_packets():
    core, far_end = connected()
    core.disconnect(1.0)
    assert [far_end.read(data).kind for data, _ in core.datagrams_to_send()] == [6] * 10
    assert core.state is ClientState.DISCONNECTED
    core.disconnect(1.1)
    assert core.datagrams_to_send() == []


def test_leaving_before_a_challenge_says_nothing():
    core, _ = fresh()
    core.datagrams_to_send()
    core.disconnect(0.1)
    assert core.datagrams_to_send() == []
    assert core.state is ClientState.DISCONNECTED


def test_packets_from_elsewhere_are_not_taken():
    core, far_end = fresh()
    core.receive_datagram(far_end.packet(2, CHALLENGE), MALLORY, 0.0)
    core.receive_datagram(far_end.packet(1), (SERVER[0], 1), 0.0)
    assert core.state is ClientState.SENDING_CONNECTION_REQUEST
    assert dropped(core) == {"unknown_address": 2}


def test_types_a_client_does_not_take():
    core, far_end = connected()
    core.receive_datagram(far_end.packet(3, CHALLENGE), SERVER, 0.0)
    core.receive_datagram(layout.write_request(far_end.token), SERVER, 0.0)
    core.receive_datagram(b"", SERVER, 0.0)
    assert dropped(core) == {"unexpected_type": 2, "empty": 1}
    assert core.events() == []


def test_a_full_server_denies_a_real_client():
    core = server(max_clients=1)
    first, second = ClientCore(mint(1), 0.0), ClientCore(mint(2), 0.0)
    for _ in range(4):
        for client, address in ((first, ALICE), (second, MALLORY)):
            client.handle_timeout(0.0)
            for data, _target in client.datagrams_to_send():
                core.receive_datagram(data, address, 0.0, UNIX)
            for data, target in core.datagrams_to_send():
                (first if target == ALICE else second).receive_datagram(data, SERVER, 0.0)
    assert first.state is ClientState.CONNECTED
    assert second.state is ClientState.CONNECTION_DENIED
