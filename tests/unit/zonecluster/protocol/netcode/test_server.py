"""The server core against hand-driven peers whose packets the tests' own writer seals."""

from random import Random

import pytest

from tests.unit.zonecluster.protocol.netcode import layout
from tests.unit.zonecluster.protocol.netcode.setting import (
    ALICE,
    ALICE_ID,
    BOB,
    BOB_ID,
    KEY,
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
from zonecluster.protocol.netcode import (
    PROTOCOL_ID,
    Connected,
    Disconnected,
    DisconnectReason,
    Limits,
    Payload,
)

KEEP_ALIVE_BODY = bytes(8)


# --- admission ----------------------------------------------------------------------------------------------


def test_handshake_packet_by_packet():
    core = server()
    alice = Peer(mint(user_data=b"\x07" * 16), ALICE)
    core.receive_datagram(request(mint(user_data=b"\x07" * 16)), ALICE, 0.0, UNIX)
    ((data, address),) = core.datagrams_to_send()
    assert address == ALICE
    assert len(data) == 333
    challenge = alice.open(data)
    assert (challenge.kind, challenge.sequence, len(challenge.body)) == (2, 2**63, 308)
    assert challenge.body[:8] == bytes(8)  # the server's first challenge
    assert core.events() == []

    core.receive_datagram(alice.packet(3, challenge.body), ALICE, 0.05, UNIX)
    ((data, address),) = core.datagrams_to_send()
    keep_alive = alice.open(data)
    assert (keep_alive.kind, keep_alive.sequence) == (4, 0)
    assert keep_alive.body == (0).to_bytes(4, "little") + (4).to_bytes(4, "little")
    assert core.events() == [Connected(ALICE_ID, 0, b"\x07" * 16 + bytes(240), ALICE)]
    assert core.connected_count == 1


def refused(data, address=ALICE, core=None, now=0.0, unix_now=UNIX):
    """The one reason for which a request is dropped, with nothing answered."""
    core = core or server()
    before = dropped(core)
    core.receive_datagram(data, address, now, unix_now)
    assert core.datagrams_to_send() == []
    assert core.events() == []
    ((reason, _),) = (dropped(core).items() - before.items()) or [(None, 0)]
    return reason


def test_requests_refused_for_each_reason():
    good = request(mint())
    assert refused(good[:-1]) == "bad_request_size"
    assert refused(good + b"\0") == "bad_request_size"
    assert refused(b"\0") == "bad_request_size"
    assert refused(b"") == "empty"
    assert refused(good.replace(b"NETCODE 1.02", b"NETCODE 1.01")) == "bad_version"
    assert refused(request(mint(protocol_id=PROTOCOL_ID + 1))) == "bad_protocol_id"
    assert refused(good, unix_now=UNIX + 30) == "token_expired"
    assert refused(good, unix_now=UNIX + 31) == "token_expired"
    assert refused(request(mint(private_key=bytes(32)))) == "token_forged"
    assert refused(request(mint(server_addresses=[("203.0.113.6", 40000)]))) == "token_for_another_server"
    assert refused(request(mint(server_addresses=[(SERVER[0], 40001)]))) == "token_for_another_server"


def test_a_token_lives_to_its_last_second():
    core = server()
    core.receive_datagram(request(mint()), ALICE, 0.0, UNIX + 29.9)
    assert len(core.datagrams_to_send()) == 1


def test_a_longer_life_cannot_be_written_into_a_request():
    data = bytearray(request(mint()))
    data[22:30] = (UNIX + 3600).to_bytes(8, "little")
    assert refused(bytes(data), unix_now=UNIX + 40) == "token_forged"


def test_a_changed_bit_at_every_byte_of_a_request_gets_no_answer():
    core, good = server(limits=Limits(requests_burst_per_network=2000)), request(mint())
    for place in range(len(good)):
        data = bytearray(good)
        data[place] ^= 1 << place % 8
        core.receive_datagram(bytes(data), ALICE, 0.0, UNIX)
    assert core.datagrams_to_send() == []
    assert sum(dropped(core).values()) == len(good)


def test_a_private_token_that_opens_but_cannot_be_read_is_dropped():
    token = layout.read_connect_token(mint())
    plain = layout.open_private(token, KEY)
    for place, value in ((12, 0), (12, 33), (16, 0), (16, 3)):
        changed = bytearray(plain)
        changed[place] = value
        assert refused(resealed(token, bytes(changed))) == "token_malformed"


def resealed(token, plain):
    token.sealed = layout.seal_private(token, plain, KEY)
    return layout.write_request(token)


def test_one_of_several_addresses_of_a_token_is_enough():
    other = ("203.0.113.9", 40000)
    core = server(public_addresses=[("10.0.0.1", 1), other])
    Peer(mint(server_addresses=[SERVER, other]), ALICE).connect(core)
    assert core.connected_count == 1


def test_an_ipv6_server_whatever_the_spelling():
    core = server(public_addresses=[("2001:DB8:0:0::5", 40000)])
    source = ("2001:db8:1::77", 5000)
    Peer(mint(server_addresses=[("2001:db8::5", 40000)]), source).connect(core)
    assert core.connected_count == 1


def test_a_repeated_request_is_challenged_again():
    core, alice = server(), Peer(mint(), ALICE)
    first, second = alice.challenge(core), alice.challenge(core, now=0.1)
    assert first[:8] != second[:8]
    core.receive_datagram(alice.packet(3, first), ALICE, 0.2, UNIX)
    assert core.is_connected(ALICE_ID)


def test_a_token_belongs_to_the_first_address_that_shows_it():
    core = server()
    Peer(mint(), ALICE).challenge(core)
    assert refused(request(mint()), MALLORY, core) == "token_used_elsewhere"


def test_a_token_that_has_connected_never_does_again():
    core = server()
    alice = connected_peer(core)
    core.receive_datagram(alice.packet(6), ALICE, 1.0, UNIX)
    core.events()
    assert refused(request(mint()), ALICE, core) == "token_spent"
    assert refused(request(mint()), MALLORY, core) == "token_used_elsewhere"


def test_a_recorded_session_cannot_be_played_back():
    core, alice = server(), Peer(mint(), ALICE)
    response = alice.packet(3, alice.challenge(core))
    recording = [request(mint()), response, alice.packet(5, b"gold"), alice.packet(6)]
    for data in recording:
        core.receive_datagram(data, ALICE, 0.0, UNIX)
    assert len(core.events()) == 3
    core.datagrams_to_send()
    for data in recording:
        core.receive_datagram(data, ALICE, 1.0, UNIX)
    assert core.events() == core.datagrams_to_send() == []


def test_a_connected_address_or_client_is_not_challenged():
    core = server()
    connected_peer(core)
    fresh = {"random_bytes": Random(99).randbytes}
    assert refused(request(mint(BOB_ID)), ALICE, core) == "address_connected"
    assert refused(request(mint(ALICE_ID, **fresh)), BOB, core) == "client_connected"


def test_a_second_token_of_a_client_that_connected_meanwhile_is_not_let_in():
    core = server()
    waiting = Peer(mint(random_bytes=Random(99).randbytes), BOB)
    challenge = waiting.challenge(core)
    connected_peer(core)
    core.receive_datagram(waiting.packet(3, challenge), BOB, 0.0, UNIX)
    assert core.datagrams_to_send() == core.events() == []
    assert dropped(core) == {"client_connected": 1}


def test_a_new_token_from_a_waiting_address_takes_its_place():
    core = server()
    Peer(mint(), ALICE).challenge(core)
    Peer(mint(BOB_ID), ALICE).connect(core)
    assert core.is_connected(BOB_ID)
    assert not core.is_connected(ALICE_ID)


def test_a_full_server_denies_at_the_request():
    core = server(max_clients=1)
    connected_peer(core)
    bob = Peer(mint(BOB_ID), BOB)
    core.receive_datagram(request(mint(BOB_ID)), BOB, 0.0, UNIX)
    (denied,) = bob.take(core)
    assert (denied.kind, denied.body) == (1, b"")
    assert denied.sequence > 2**63
    assert dropped(core) == {"server_full": 1}


def test_a_server_that_filled_meanwhile_denies_at_the_response():
    core, bob = server(max_clients=1), Peer(mint(BOB_ID), BOB)
    challenge = bob.challenge(core)
    connected_peer(core)
    core.receive_datagram(bob.packet(3, challenge), BOB, 0.0, UNIX)
    assert [packet.kind for packet in bob.take(core)] == [1]
    assert core.events() == []


def test_a_freed_slot_is_given_again():
    core = server(max_clients=1)
    alice = connected_peer(core)
    core.receive_datagram(alice.packet(6), ALICE, 0.0, UNIX)
    assert core.events() == [Disconnected(ALICE_ID, 0, DisconnectReason.BY_CLIENT)]
    assert connected_peer(core, BOB_ID, BOB).token
    assert core.is_connected(BOB_ID)


def test_a_challenge_of_somebody_else_is_refused():
    core, alice, bob = server(), Peer(mint(), ALICE), Peer(mint(BOB_ID), BOB)
    alices, _ = alice.challenge(core), bob.challenge(core)
    core.receive_datagram(bob.packet(3, alices), BOB, 0.0, UNIX)
    core.receive_datagram(alice.packet(3, bytes(308)), ALICE, 0.0, UNIX)
    assert core.datagrams_to_send() == core.events() == []
    assert dropped(core) == {"challenge_of_another": 1, "challenge_forged": 1}


def test_a_response_from_another_address_is_refused():
    core, alice = server(), Peer(mint(), ALICE)
    response = alice.packet(3, alice.challenge(core))
    core.receive_datagram(response, MALLORY, 0.0, UNIX)
    assert core.datagrams_to_send() == core.events() == []
    assert dropped(core) == {"unknown_address": 1}


def test_packets_of_a_client_are_not_taken_before_its_response():
    core, alice = server(), Peer(mint(), ALICE)
    alice.challenge(core)
    for kind, body in ((4, KEEP_ALIVE_BODY), (5, b"x"), (6, b"")):
        core.receive_datagram(alice.packet(kind, body), ALICE, 0.0, UNIX)
    assert core.events() == []
    assert dropped(core) == {"unexpected_type": 3}


def test_an_unanswered_challenge_is_forgotten_after_the_timeout():
    core, alice = server(), Peer(mint(), ALICE)
    response = alice.packet(3, alice.challenge(core))
    core.handle_timeout(4.9)
    assert core.snapshot()["challenged"] == 1
    core.handle_timeout(5.0)
    assert core.snapshot()["challenged"] == 0
    assert core.next_timeout() is None
    core.receive_datagram(response, ALICE, 5.1, UNIX)
    assert dropped(core) == {"unknown_address": 1}


def test_a_challenge_without_timeout_is_forgotten_all_the_same():
    core = server(limits=Limits(challenge_timeout_s=10))
    Peer(mint(timeout_s=-1), ALICE).challenge(core)
    core.handle_timeout(10.0)
    assert core.snapshot()["challenged"] == 0


def test_tables_for_strangers_are_bounded():
    core = server(limits=Limits(challenged=2, history=3))
    for number in range(2):
        Peer(mint(number), (f"10.0.{number}.1", 1)).challenge(core)
    assert refused(request(mint(2)), ("10.0.2.1", 1), core) == "too_many_challenged"
    assert refused(request(mint(3)), ("10.0.3.1", 1), core) == "history_full"
    assert core.snapshot()["challenged"] == 2
    assert core.snapshot()["history"] == 3


def test_used_tokens_are_forgotten_a_minute_after_they_expired():
    core = server()
    Peer(mint(), ALICE).challenge(core)
    for unix_now, known in ((UNIX + 89, 2), (UNIX + 90, 2)):
        peer = Peer(mint(unix_now, unix_now=unix_now), BOB)
        peer.challenge(core, unix_now=unix_now)
        assert core.snapshot()["history"] == known


def test_more_than_256_clients():
    core = server(max_clients=600)
    peers = [
        connected_peer(core, number, (f"10.1.{number >> 8}.{number & 255}", 7000)) for number in range(1, 601)
    ]
    assert core.connected_count == 600
    assert core.send_payloads([(number, b"to %d" % number) for number in range(1, 601)], 0.0) == 600
    outgoing = {address: data for data, address in core.datagrams_to_send()}
    last = peers[-1].open(outgoing[peers[-1].address])
    assert last.body == b"to 600"
    core.disconnect(600, 0.0)
    assert core.events() == [Disconnected(600, 599, DisconnectReason.BY_SERVER)]
    keep_alive = Peer(mint(601), ("10.2.0.1", 7000)).connect(core)
    assert int.from_bytes(keep_alive.body[:4], "little") == 599
    assert int.from_bytes(keep_alive.body[4:], "little") == 600


# --- amplification and rates --------------------------------------------------------------------------------


def test_strangers_get_less_than_a_third_of_what_they_send():
    core = server(max_clients=1)
    for number in range(50):
        core.receive_datagram(request(mint(number)), (f"10.0.{number}.1", 1), 0.0, UNIX)
        core.receive_datagram(b"\x15" + bytes(30), (f"10.0.{number}.2", 1), 0.0, UNIX)
    statistics = core.statistics
    sent = sum(len(data) for data, _ in core.datagrams_to_send())
    assert statistics.stranger_bytes_sent == sent == 50 * 333
    assert sent <= 0.31 * 50 * 1078
    assert sent <= 0.31 * statistics.stranger_bytes_received


def test_each_answer_is_smaller_than_what_it_answers():
    core, alice = server(), Peer(mint(), ALICE)
    response = alice.packet(3, alice.challenge(core))
    core.receive_datagram(response, ALICE, 0.0, UNIX)
    answered = sum(len(data) for data, _ in core.datagrams_to_send())
    assert answered <= 0.31 * len(response)


def test_requests_of_one_network_are_limited_before_decryption():
    core = server(limits=Limits(requests_per_s_per_network=10, requests_burst_per_network=20))
    forged = request(mint(private_key=bytes(32)))
    for host in range(100):
        core.receive_datagram(forged, (f"192.0.2.{host}", 1), 0.0, UNIX)
    assert dropped(core) == {"token_forged": 20, "rate_limited": 80}
    Peer(mint(), ALICE).connect(core)
    for _ in range(100):
        core.receive_datagram(forged, MALLORY, 1.0, UNIX)
    assert dropped(core)["token_forged"] == 30


def test_requests_of_all_networks_together_are_limited():
    core = server(limits=Limits(requests_per_s=10, requests_burst=20, networks=8))
    forged = request(mint(private_key=bytes(32)))
    for number in range(100):
        core.receive_datagram(forged, (f"2001:db8:{number:x}::1", 1), 0.0, UNIX)
    assert dropped(core) == {"token_forged": 20, "rate_limited": 80}


def test_requests_that_cost_nothing_do_not_use_up_the_limit():
    core = server(limits=Limits(requests_per_s_per_network=1, requests_burst_per_network=1))
    for _ in range(100):
        core.receive_datagram(bytes(1078), ALICE, 0.0, UNIX)
    Peer(mint(), ALICE).connect(core)
    assert core.connected_count == 1


# --- connected ----------------------------------------------------------------------------------------------


def test_a_payload_is_preceded_by_a_keep_alive_until_the_client_confirms():
    core = server()
    alice = connected_peer(core)
    core.send_payload(ALICE_ID, b"one", 0.0)
    core.send_payload(ALICE_ID, b"two", 0.0)
    assert [packet.kind for packet in alice.take(core)] == [4, 5, 4, 5]
    core.receive_datagram(alice.packet(4, KEEP_ALIVE_BODY), ALICE, 0.0, UNIX)
    core.send_payload(ALICE_ID, b"three", 0.0)
    assert [(packet.kind, packet.body) for packet in alice.take(core)] == [(5, b"three")]


def test_a_payload_confirms_too():
    core = server()
    alice = connected_peer(core)
    core.receive_datagram(alice.packet(5, b"here"), ALICE, 0.0, UNIX)
    core.send_payload(ALICE_ID, b"x", 0.0)
    assert [packet.kind for packet in alice.take(core)] == [5]


def test_server_sequences_count_from_zero_and_never_repeat():
    core = server()
    alice = Peer(mint(), ALICE)
    sequences = [alice.connect(core).sequence]
    for number in range(300):
        core.send_payload(ALICE_ID, b"x", number * 0.05)
        sequences += [packet.sequence for packet in alice.take(core)]
    assert sequences == list(range(601))


def test_payloads_arrive_in_a_batch():
    core = server()
    alice, bob = connected_peer(core), connected_peer(core, BOB_ID, BOB)
    batch = [(alice.packet(5, b"a1"), ALICE), (bob.packet(5, b"b1"), BOB), (alice.packet(5, b"a2"), ALICE)]
    core.receive_datagrams(batch, 0.0, UNIX)
    assert core.events() == [Payload(ALICE_ID, b"a1"), Payload(BOB_ID, b"b1"), Payload(ALICE_ID, b"a2")]
    assert core.events() == []


def test_datagrams_may_come_as_memoryviews():
    core, alice = server(), Peer(mint(), ALICE)
    core.receive_datagram(memoryview(request(mint())), ALICE, 0.0, UNIX)
    (challenge,) = alice.take(core)
    core.receive_datagram(memoryview(alice.packet(3, challenge.body)), ALICE, 0.0, UNIX)
    core.receive_datagram(memoryview(alice.packet(5, b"seen")), ALICE, 0.0, UNIX)
    assert core.events()[-1] == Payload(ALICE_ID, b"seen")


@pytest.mark.parametrize("late", [0, 1, 44])
def test_replayed_and_stale_packets_are_dropped(late):
    core = server()
    alice = connected_peer(core)
    packets = [alice.packet(5, b"%d" % number) for number in range(301)]
    core.receive_datagram(packets[300], ALICE, 0.0, UNIX)
    core.receive_datagram(packets[300], ALICE, 0.0, UNIX)
    core.receive_datagram(packets[late], ALICE, 0.0, UNIX)
    assert dropped(core) == {"replayed": 2}
    assert len(core.events()) == 1


def test_a_packet_inside_the_window_is_taken_late():
    core = server()
    alice = connected_peer(core)
    old = alice.packet(5, b"old", sequence=45)
    core.receive_datagram(alice.packet(5, b"new", sequence=300), ALICE, 0.0, UNIX)
    core.receive_datagram(old, ALICE, 0.0, UNIX)
    assert [event.data for event in core.events()] == [b"new", b"old"]


def test_packets_from_another_address_are_dropped():
    core = server()
    alice = connected_peer(core)
    core.receive_datagram(alice.packet(5, b"x"), MALLORY, 0.0, UNIX)
    core.receive_datagram(alice.packet(6), (ALICE[0], ALICE[1] + 1), 0.0, UNIX)
    assert dropped(core) == {"unknown_address": 2}
    assert core.is_connected(ALICE_ID)


def test_packets_of_the_other_direction_are_dropped():
    core = server()
    connected_peer(core)
    core.send_payload(ALICE_ID, b"x", 0.0)
    for data, _ in core.datagrams_to_send():
        core.receive_datagram(data, ALICE, 0.0, UNIX)
    assert set(dropped(core)) == {"forged"}


def test_a_late_response_of_a_connected_client_is_ignored():
    core, alice = server(), Peer(mint(), ALICE)
    response = alice.packet(3, alice.challenge(core))
    core.receive_datagram(response, ALICE, 0.0, UNIX)
    core.datagrams_to_send()
    core.receive_datagram(response, ALICE, 0.1, UNIX)
    assert core.datagrams_to_send() == []
    assert core.connected_count == 1


def test_keep_alives_go_out_after_100_ms_of_silence_only():
    core = server()
    alice = connected_peer(core)
    core.receive_datagram(alice.packet(4, KEEP_ALIVE_BODY), ALICE, 0.0, UNIX)
    assert core.next_timeout() == pytest.approx(0.1)
    core.handle_timeout(0.09)
    assert core.datagrams_to_send() == []
    core.handle_timeout(0.1)
    assert [packet.kind for packet in alice.take(core)] == [4]
    core.send_payload(ALICE_ID, b"x", 0.15)
    alice.take(core)
    core.handle_timeout(0.2)
    assert core.datagrams_to_send() == []
    assert core.next_timeout() == pytest.approx(0.25)


def test_a_silent_client_is_timed_out_by_its_token():
    core = server()
    alice = connected_peer(core, timeout_s=3)
    core.receive_datagram(alice.packet(4, KEEP_ALIVE_BODY), ALICE, 1.0, UNIX)
    core.handle_timeout(3.9)
    assert core.is_connected(ALICE_ID)
    core.handle_timeout(4.0)
    assert core.events() == [Disconnected(ALICE_ID, 0, DisconnectReason.TIMED_OUT)]
    assert core.connected_count == 0
    assert core.next_timeout() is None


def test_forged_and_replayed_packets_do_not_keep_a_client_alive():
    core = server()
    alice = connected_peer(core, timeout_s=3)
    packet = alice.packet(5, b"x")
    core.receive_datagram(packet, ALICE, 0.0, UNIX)
    core.receive_datagram(packet, ALICE, 2.9, UNIX)
    core.receive_datagram(packet[:-1] + b"\0", ALICE, 2.9, UNIX)
    core.handle_timeout(3.0)
    assert not core.is_connected(ALICE_ID)


def test_a_negative_timeout_is_never():
    core = server()
    connected_peer(core, timeout_s=-1)
    core.handle_timeout(1e9)
    assert core.is_connected(ALICE_ID)
    assert len(core.datagrams_to_send()) == 1


def test_disconnecting_sends_ten_packets_and_frees_the_slot():
    core = server()
    alice = connected_peer(core)
    assert core.disconnect(ALICE_ID, 1.0)
    packets = alice.take(core)
    assert [packet.kind for packet in packets] == [6] * 10
    assert len({packet.sequence for packet in packets}) == 10
    assert core.events() == [Disconnected(ALICE_ID, 0, DisconnectReason.BY_SERVER)]
    assert not core.disconnect(ALICE_ID, 1.0)
    assert not core.send_payload(ALICE_ID, b"x", 1.0)


def test_disconnect_all():
    core = server()
    connected_peer(core)
    connected_peer(core, BOB_ID, BOB)
    core.disconnect_all(0.0)
    assert len(core.datagrams_to_send()) == 20
    assert core.connected_count == 0


def test_payloads_beyond_the_bound_on_events_are_dropped_and_counted():
    core = server(limits=Limits(events=2))
    alice = connected_peer(core)
    for number in range(5):
        core.receive_datagram(alice.packet(5, b"%d" % number), ALICE, 0.0, UNIX)
    assert [event.data for event in core.events()] == [b"0", b"1"]
    assert dropped(core) == {"events_full": 3}


@pytest.mark.parametrize("size", [0, 1151])
def test_a_payload_of_the_wrong_size_is_our_own_mistake(size):
    core = server()
    connected_peer(core)
    with pytest.raises(ValueError, match="1150"):
        core.send_payload(ALICE_ID, bytes(size), 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"private_key": bytes(16)},
        {"public_addresses": []},
        {"public_addresses": [("zone.example", 1)]},
        {"max_clients": 0},
    ],
)
def test_a_server_with_impossible_settings_is_refused(change):
    with pytest.raises(ValueError):
        server(**change)
