"""Nothing a stranger sends raises, gets an answer it should not, or disturbs those who are connected."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zonecluster.protocol.netcode.setting import (
    ALICE,
    ALICE_ID,
    BOB,
    MALLORY,
    SERVER,
    UNIX,
    Peer,
    connected_peer,
    dropped,
    mint,
    request,
    server,
)
from zonecluster.protocol.netcode import ClientCore, ClientState, Payload

noise = st.one_of(
    st.binary(max_size=1500),
    st.builds(lambda prefix, rest: bytes([prefix]) + rest, st.integers(0, 255), st.binary(max_size=1340)),
    st.binary(min_size=1077, max_size=1077).map(lambda rest: b"\0" + rest),
    st.binary(min_size=1024, max_size=1024).map(lambda rest: request(mint())[:54] + rest),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(noise, st.sampled_from([ALICE, BOB, MALLORY])), max_size=20))
def test_noise_is_counted_and_nothing_else(datagrams):
    core = server()
    alice = connected_peer(core)
    Peer(mint(2), BOB).challenge(core)
    core.receive_datagrams(datagrams, 0.1, UNIX)
    assert core.datagrams_to_send() == []
    assert core.events() == []
    assert sum(dropped(core).values()) == len(datagrams)
    core.receive_datagram(alice.packet(5, b"still here"), ALICE, 0.2, UNIX)
    assert core.events() == [Payload(ALICE_ID, b"still here")]


@settings(max_examples=100, deadline=None)
@given(st.lists(noise, max_size=20))
def test_noise_does_not_disturb_a_client(datagrams):
    client = ClientCore(mint(), 0.0)
    for data in datagrams:
        client.receive_datagram(data, SERVER, 0.1)
    assert client.state is ClientState.SENDING_CONNECTION_REQUEST
    assert sum(dropped(client).values()) == len(datagrams)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2100) | st.binary(min_size=2035, max_size=2035).map(lambda b: mint()[:13] + b))
def test_any_bytes_as_a_token_are_an_error_state_at_worst(token):
    client = ClientCore(token, 0.0)
    client.handle_timeout(0.0)
    assert client.state in (ClientState.INVALID_CONNECT_TOKEN, ClientState.SENDING_CONNECTION_REQUEST) or (
        client.state is ClientState.CONNECT_TOKEN_EXPIRED
    )


def test_a_real_packet_changed_at_every_byte_or_cut_at_every_length_does_nothing():
    core = server()
    alice = connected_peer(core)
    packet = alice.packet(5, b"twelve bytes")
    for place in range(len(packet)):
        changed = bytearray(packet)
        changed[place] ^= 1 << place % 8
        core.receive_datagram(bytes(changed), ALICE, 0.0, UNIX)
        core.receive_datagram(packet[:place], ALICE, 0.0, UNIX)
    assert core.events() == core.datagrams_to_send() == []
    assert sum(dropped(core).values()) == 2 * len(packet)
    core.receive_datagram(packet, ALICE, 0.0, UNIX)
    assert core.events() == [Payload(ALICE_ID, b"twelve bytes")]


def test_a_response_changed_at_every_byte_or_cut_at_every_length_does_nothing():
    core, alice = server(), Peer(mint(), ALICE)
    response = alice.packet(3, alice.challenge(core))
    for place in range(len(response)):
        changed = bytearray(response)
        changed[place] ^= 1 << place % 8
        core.receive_datagram(bytes(changed), ALICE, 0.0, UNIX)
        core.receive_datagram(response[:place], ALICE, 0.0, UNIX)
    assert core.events() == core.datagrams_to_send() == []
    core.receive_datagram(response, ALICE, 0.0, UNIX)
    assert core.is_connected(ALICE_ID)


def test_a_request_cut_at_every_length_gets_no_answer():
    core, good = server(), request(mint())
    for size in range(len(good)):
        core.receive_datagram(good[:size], ALICE, 0.0, UNIX)
    assert core.datagrams_to_send() == []
    assert sum(dropped(core).values()) == len(good)
