"""A second reading of the standard, for the tests only: every packet and token taken apart byte by byte.

Nothing of zonecluster.protocol.netcode is used here, and another library opens the seals (PyNaCl's
ChaCha20-Poly1305; the code under test uses `cryptography`). Source: NETCODE 1.02, sections "Connect Token" to
"Packets".
"""

from dataclasses import dataclass

from nacl.bindings import crypto_aead_chacha20poly1305_ietf_decrypt as chacha_open
from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt as chacha_seal
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as xchacha_open
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha_seal

VERSION = bytes([0x4E, 0x45, 0x54, 0x43, 0x4F, 0x44, 0x45, 0x20, 0x31, 0x2E, 0x30, 0x32, 0x00])


class Cursor:
    """Reads little-endian fields one after the other."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        piece = self.data[self.at : self.at + count]
        assert len(piece) == count, "the data ends too soon"
        self.at += count
        return piece

    def number(self, count):
        return sum(byte << 8 * place for place, byte in enumerate(self.take(count)))

    def rest(self):
        return self.take(len(self.data) - self.at)


def read_addresses(cursor):
    addresses = []
    for _ in range(cursor.number(4)):
        kind = cursor.number(1)
        if kind == 1:
            host = ".".join(str(cursor.number(1)) for _ in range(4))
        else:
            assert kind == 2
            host = ":".join(f"{cursor.number(2):x}" for _ in range(8))
        addresses.append((host, cursor.number(2)))
    return addresses


@dataclass
class Token:
    protocol_id: int
    created: int
    expires: int
    nonce: bytes
    sealed: bytes
    timeout: int
    addresses: list
    client_to_server: bytes
    server_to_client: bytes
    padding: bytes


def read_connect_token(data):
    assert len(data) == 2048
    cursor = Cursor(data)
    assert cursor.take(13) == VERSION
    return Token(
        protocol_id=cursor.number(8),
        created=cursor.number(8),
        expires=cursor.number(8),
        nonce=cursor.take(24),
        sealed=cursor.take(1024),
        timeout=cursor.number(4),
        addresses=read_addresses(cursor),
        client_to_server=cursor.take(32),
        server_to_client=cursor.take(32),
        padding=cursor.rest(),
    )


@dataclass
class Private:
    client_id: int
    timeout: int
    addresses: list
    client_to_server: bytes
    server_to_client: bytes
    user_data: bytes
    padding: bytes


def private_associated(token):
    return VERSION + token.protocol_id.to_bytes(8, "little") + token.expires.to_bytes(8, "little")


def open_private(token, key):
    return xchacha_open(token.sealed, private_associated(token), token.nonce, key)


def seal_private(token, plain, key):
    return xchacha_seal(plain, private_associated(token), token.nonce, key)


def read_private(token, key):
    plain = open_private(token, key)
    assert len(plain) == 1024 - 16
    cursor = Cursor(plain)
    return Private(
        client_id=cursor.number(8),
        timeout=cursor.number(4),
        addresses=read_addresses(cursor),
        client_to_server=cursor.take(32),
        server_to_client=cursor.take(32),
        user_data=cursor.take(256),
        padding=cursor.rest(),
    )


@dataclass
class Packet:
    kind: int
    sequence: int
    sequence_bytes: int
    body: bytes


def read_packet(data, protocol_id, key):
    """Open one sealed packet."""
    prefix = data[0]
    kind, sequence_bytes = prefix & 0x0F, prefix >> 4
    sequence = sum(byte << 8 * place for place, byte in enumerate(data[1 : 1 + sequence_bytes]))
    nonce = bytes(4) + sequence.to_bytes(8, "little")
    associated = VERSION + protocol_id.to_bytes(8, "little") + bytes([prefix])
    body = chacha_open(data[1 + sequence_bytes :], associated, nonce, key)
    return Packet(kind, sequence, sequence_bytes, body)


def write_packet(kind, sequence, body, protocol_id, key, sequence_bytes=None):
    """Seal one packet, if wanted with more sequence bytes than needed."""
    count = sequence_bytes or max(1, -(-sequence.bit_length() // 8))
    prefix = count << 4 | kind
    nonce = bytes(4) + sequence.to_bytes(8, "little")
    associated = VERSION + protocol_id.to_bytes(8, "little") + bytes([prefix])
    number = bytes(sequence >> 8 * place & 0xFF for place in range(count))
    return bytes([prefix]) + number + chacha_seal(body, associated, nonce, key)


def write_request(token):
    """Write the connection request for a token."""
    return (
        bytes([0])
        + VERSION
        + token.protocol_id.to_bytes(8, "little")
        + token.expires.to_bytes(8, "little")
        + token.nonce
        + token.sealed
    )
