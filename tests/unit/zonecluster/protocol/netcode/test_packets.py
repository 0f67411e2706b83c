"""Sealed packets: what we write by the tests' own reader, what the tests' own writer writes by us, and what
is refused.
"""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.zonecluster.protocol.netcode.layout import read_packet, write_packet
from zonecluster.protocol.netcode.drops import Drop
from zonecluster.protocol.netcode.packets import Channel, read_header
from zonecluster.protocol.netcode.wire import CHALLENGE_BODY_BYTES, MAX_PACKET_BYTES

PROTOCOL = 0x1122334455667788
A, B = Random(1).randbytes(32), Random(2).randbytes(32)
EVERY_TYPE = frozenset(range(1, 7))
BODIES = {
    1: b"",
    2: bytes(CHALLENGE_BODY_BYTES),
    3: bytes(CHALLENGE_BODY_BYTES),
    4: b"\x03\0\0\0\x88\x13\0\0",
    5: b"payload",
    6: b"",
}
EDGES = [0, 1, 255, 256, 2**16 - 1, 2**16, 2**24, 2**32, 2**40, 2**48, 2**56, 2**63, 2**64 - 1]


def opened(channel, data, accepted=EVERY_TYPE):
    header = read_header(data, accepted)
    return header if isinstance(header, Drop) else channel.open(data, header)


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("sequence", EDGES)
def test_what_we_seal_is_laid_out_as_the_standard_says(kind, sequence):
    data = Channel(PROTOCOL, send_key=A, receive_key=B).seal_at(kind, sequence, BODIES[kind])
    packet = read_packet(data, PROTOCOL, A)
    assert (packet.kind, packet.sequence, packet.body) == (kind, sequence, BODIES[kind])
    assert packet.sequence_bytes == max(1, len(f"{sequence:x}") + 1 >> 1)
    assert len(data) == 1 + packet.sequence_bytes + len(BODIES[kind]) + 16


def test_a_sequence_of_1000_takes_two_bytes_low_byte_first():
    data = Channel(PROTOCOL, send_key=A, receive_key=B).seal_at(5, 1000, b"x")
    assert data[:3] == bytes([0x25, 0xE8, 0x03])


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("sequence_bytes", range(1, 9))
def test_we_read_sequences_of_one_to_eight_bytes(kind, sequence_bytes):
    sequence = (1 << 8 * sequence_bytes) - 1
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    assert opened(channel, write_packet(kind, sequence, BODIES[kind], PROTOCOL, B)) == BODIES[kind]


def test_sequences_count_from_zero():
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    packets = [read_packet(channel.seal(5, b"x"), PROTOCOL, A) for _ in range(300)]
    assert [packet.sequence for packet in packets] == list(range(300))


def test_a_changed_bit_anywhere_is_refused():
    data = write_packet(5, 300, b"forty-two", PROTOCOL, B)
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            assert isinstance(opened(Channel(PROTOCOL, send_key=A, receive_key=B), bytes(changed)), Drop)


def test_cut_short_at_every_length_is_refused():
    data = write_packet(5, 300, b"forty-two", PROTOCOL, B)
    for size in range(1, len(data)):
        assert isinstance(opened(Channel(PROTOCOL, send_key=A, receive_key=B), data[:size]), Drop)


def test_another_protocol_id_or_key_is_refused():
    data = write_packet(5, 1, b"x", PROTOCOL, B)
    assert opened(Channel(PROTOCOL + 1, send_key=A, receive_key=B), data) is Drop.FORGED
    assert opened(Channel(PROTOCOL, send_key=B, receive_key=A), data) is Drop.FORGED


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x15", Drop.TOO_SMALL),
        (b"\x15" + bytes(16), Drop.TOO_SMALL),
        (b"\x15" + bytes(MAX_PACKET_BYTES), Drop.TOO_LARGE),
        (b"\x17" + bytes(40), Drop.BAD_TYPE),
        (b"\x1f" + bytes(40), Drop.BAD_TYPE),
        (b"\x10" + bytes(40), Drop.UNEXPECTED_TYPE),  # a request is not a sealed packet
        (b"\x12" + bytes(40), Drop.UNEXPECTED_TYPE),
        (b"\x05" + bytes(40), Drop.BAD_SEQUENCE_BYTES),
        (b"\x95" + bytes(40), Drop.BAD_SEQUENCE_BYTES),
        (b"\x85" + bytes(23), Drop.TOO_SMALL),  # eight bytes of sequence leave no room for a tag
    ],
)
def test_a_bad_header_is_dropped_for_its_reason(data, reason):
    assert read_header(data, frozenset((3, 4, 5, 6))) is reason


@pytest.mark.parametrize(
    ("kind", "size"), [(1, 1), (2, 307), (2, 309), (3, 307), (4, 7), (4, 9), (5, 0), (5, 1301), (6, 1)]
)
def test_a_well_sealed_body_of_the_wrong_size_is_dropped(kind, size):
    data = write_packet(kind, 7, bytes(size), PROTOCOL, B)
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    expected = Drop.TOO_LARGE if len(data) > MAX_PACKET_BYTES else Drop.BAD_BODY_SIZE
    assert opened(channel, data) is expected


@pytest.mark.parametrize("size", [1, 1150, 1200, 1300])
def test_payloads_up_to_1300_bytes_are_taken(size):
    data = write_packet(5, 2**63, bytes(size), PROTOCOL, B)
    assert opened(Channel(PROTOCOL, send_key=A, receive_key=B), data) == bytes(size)


@pytest.mark.parametrize("kind", [4, 5, 6])
def test_a_replay_is_refused(kind):
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    data = write_packet(kind, 9, BODIES[kind], PROTOCOL, B)
    assert opened(channel, data) == BODIES[kind]
    assert opened(channel, data) is Drop.REPLAYED


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_packets_before_connecting_neither_use_nor_move_the_window(kind):
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    data = write_packet(kind, 2**63, BODIES[kind], PROTOCOL, B)
    assert opened(channel, data) == opened(channel, data) == BODIES[kind]
    assert opened(channel, write_packet(4, 0, BODIES[4], PROTOCOL, B)) == BODIES[4]


def test_a_forged_number_does_not_move_the_window():
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    forged = write_packet(5, 2**60, b"x", PROTOCOL, A)
    assert opened(channel, forged) is Drop.FORGED
    assert opened(channel, write_packet(5, 0, b"x", PROTOCOL, B)) == b"x"


def test_the_same_number_in_more_bytes_is_still_a_replay():
    channel = Channel(PROTOCOL, send_key=A, receive_key=B)
    assert opened(channel, write_packet(5, 3, b"x", PROTOCOL, B)) == b"x"
    assert opened(channel, write_packet(5, 3, b"x", PROTOCOL, B, sequence_bytes=4)) is Drop.REPLAYED


@given(st.binary(min_size=1, max_size=1400))
def test_random_bytes_are_dropped(data):
    assert isinstance(opened(Channel(PROTOCOL, send_key=A, receive_key=B), data), Drop)
