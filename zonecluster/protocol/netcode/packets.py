"""The six sealed packet types: the header, and one link's ciphers, sequence and replay window. Both sides use
it.

Source: NETCODE 1.02, sections "Packets" and "Reading Encrypted Packets". The connection request, which is not
sealed, is in requests.py (server) and client.py.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .drops import Drop
from .replay import ReplayWindow
from .wire import (
    BODY_MAX_BYTES,
    BODY_MIN_BYTES,
    DISCONNECT,
    KEEP_ALIVE,
    MAX_PACKET_BYTES,
    MAX_SEQUENCE_BYTES,
    MIN_PACKET_BYTES,
    PACKET_ASSOCIATED_DATA,
    TAG_BYTES,
    VERSION_INFO,
)

_ZEROS = b"\0\0\0\0"
_PREFIXES = tuple(bytes((prefix,)) for prefix in range(256))


@lru_cache(maxsize=16)
def associated_data(protocol_id: int) -> tuple[bytes, ...]:
    """Return the associated data of a packet for each of the 256 prefix bytes."""
    return tuple(PACKET_ASSOCIATED_DATA.pack(VERSION_INFO, protocol_id, prefix) for prefix in range(256))


def read_header(data: bytes, accepted: frozenset[int]) -> tuple[int, int, int] | Drop:
    """Check what stands before the sealed data, in the standard's order.

    Args:
        data: a datagram of at least one byte, not a connection request.
        accepted: packet types this side takes.
    Returns: (packet type, sequence number, offset of the sealed data), or why it is dropped.
    """
    size = len(data)
    if size < MIN_PACKET_BYTES:
        return Drop.TOO_SMALL
    if size > MAX_PACKET_BYTES:
        return Drop.TOO_LARGE
    prefix = data[0]
    packet_type = prefix & 15
    if packet_type not in accepted:
        return Drop.BAD_TYPE if packet_type > DISCONNECT else Drop.UNEXPECTED_TYPE
    sequence_bytes = prefix >> 4
    if not 0 < sequence_bytes <= MAX_SEQUENCE_BYTES:
        return Drop.BAD_SEQUENCE_BYTES
    start = 1 + sequence_bytes
    if size < start + TAG_BYTES:
        return Drop.TOO_SMALL
    return packet_type, int.from_bytes(data[1:start], "little"), start


class Channel:
    """Seals what one side sends to the other and opens what it receives.

    `sequence` is the number of the next packet sealed by `seal`. One channel lives as long as its two keys:
    making a second one with the same keys would repeat nonces.
    """

    __slots__ = ("_associated", "_decrypt", "_encrypt", "replay", "sequence")

    def __init__(self, protocol_id: int, send_key: bytes, receive_key: bytes) -> None:
        self._encrypt = ChaCha20Poly1305(send_key).encrypt
        self._decrypt = ChaCha20Poly1305(receive_key).decrypt
        self._associated = associated_data(protocol_id)
        self.replay = ReplayWindow()
        self.sequence = 0

    def seal(self, packet_type: int, body: bytes) -> bytes:
        """Return the next packet of this channel."""
        sequence = self.sequence
        self.sequence = sequence + 1
        return self.seal_at(packet_type, sequence, body)

    def seal_at(self, packet_type: int, sequence: int, body: bytes) -> bytes:
        """Return a packet with a sequence number from elsewhere (the server's global one)."""
        sequence_bytes = (sequence.bit_length() + 7 >> 3) or 1
        prefix = packet_type | sequence_bytes << 4
        number = sequence.to_bytes(8, "little")
        sealed = self._encrypt(_ZEROS + number, body, self._associated[prefix])
        return _PREFIXES[prefix] + number[:sequence_bytes] + sealed

    def open(self, data: bytes, header: tuple[int, int, int]) -> bytes | Drop:
        """Return the packet's data, or why it is dropped: replay test, open, advance the window, size; in
        this order.
        """
        packet_type, sequence, start = header
        is_guarded = packet_type >= KEEP_ALIVE
        if is_guarded and self.replay.is_replayed(sequence):
            return Drop.REPLAYED
        try:
            body = self._decrypt(
                _ZEROS + sequence.to_bytes(8, "little"), data[start:], self._associated[data[0]]
            )
        except InvalidTag:
            return Drop.FORGED
        if is_guarded:
            self.replay.mark(sequence)
        if not BODY_MIN_BYTES[packet_type] <= len(body) <= BODY_MAX_BYTES[packet_type]:
            return Drop.BAD_BODY_SIZE
        return body
