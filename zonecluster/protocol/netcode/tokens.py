"""Connect tokens (minted by the cluster, carried by the client) and challenge tokens.

The private part is sealed with XChaCha20-Poly1305 under the cluster's key, the challenge with
ChaCha20-Poly1305 under a key of the server core's own. Whoever can check a connect token can also forge one:
the key stays in its process.
Source: NETCODE 1.02, sections "Connect Token" and "Challenge Token".
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as xchacha_open
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha_seal
from nacl.exceptions import CryptoError

from .addresses import Address, BadAddresses, pack_addresses, unpack_addresses
from .wire import (
    CHALLENGE_TOKEN_LAYOUT,
    CHALLENGE_TOKEN_PLAIN_BYTES,
    CONNECT_TOKEN_BYTES,
    CONNECT_TOKEN_HEAD,
    KEY_BYTES,
    PRIVATE_TOKEN_HEAD,
    PRIVATE_TOKEN_PLAIN_BYTES,
    TOKEN_ASSOCIATED_DATA,
    TOKEN_NONCE_BYTES,
    USER_DATA_BYTES,
    VERSION_INFO,
)

RandomBytes = Callable[[int], bytes]
MAX_U64 = (1 << 64) - 1


class BadToken(ValueError):
    """A token from outside cannot be read; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class PrivateToken:
    """What only the server can read of a connect token. `timeout_s` below zero: never time out."""

    client_id: int
    timeout_s: int
    server_addresses: tuple[Address, ...]
    client_to_server_key: bytes = field(repr=False)
    server_to_client_key: bytes = field(repr=False)
    user_data: bytes


@dataclass(frozen=True, slots=True)
class ConnectToken:
    """What a client reads of its token. Timestamps are unix seconds; `sealed_private` goes to the server
    unread.
    """

    protocol_id: int
    create_at: int
    expire_at: int
    nonce: bytes
    sealed_private: bytes = field(repr=False)
    timeout_s: int
    server_addresses: tuple[Address, ...]
    client_to_server_key: bytes = field(repr=False)
    server_to_client_key: bytes = field(repr=False)


def check_key(key: bytes) -> bytes:
    """Return the key. Raises: ValueError: not 32 bytes."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a NETCODE key has {KEY_BYTES} bytes, not {len(key)}")
    return bytes(key)


def mint_connect_token(
    *,
    client_id: int,
    server_addresses: list[Address],
    user_data: bytes,
    expire_s: int,
    timeout_s: int,
    protocol_id: int,
    private_key: bytes,
    random_bytes: RandomBytes,
    unix_now: float,
) -> bytes:
    """Return a connect token of 2048 bytes that lets one client in at any of `server_addresses`.

    Args:
        client_id: u64, fresh for each token.
        user_data: at most 256 bytes, padded with zeros; the server hands it to the zone on connecting.
        expire_s: seconds from `unix_now` in which the token may be used to connect.
        timeout_s: seconds of silence after which either side gives up; negative: never.
        random_bytes: n -> n unpredictable bytes; twice a key and once a nonce are drawn.
    Raises: ValueError: an argument outside its range.
    Source: NETCODE 1.02, section "Connect Token".
    """
    if expire_s <= 0:
        raise ValueError(f"a connect token cannot live {expire_s} s")
    if timeout_s == 0 or not -(1 << 31) <= timeout_s < 1 << 31:
        raise ValueError(f"a time-out of {timeout_s} s: it is a signed 32-bit number, and not 0")
    if len(user_data) > USER_DATA_BYTES:
        raise ValueError(f"user data has {len(user_data)} bytes, at most {USER_DATA_BYTES} fit")
    if not (0 <= client_id <= MAX_U64 and 0 <= protocol_id <= MAX_U64):
        raise ValueError("client id and protocol id are unsigned 64-bit numbers")
    created = int(unix_now)
    private = PrivateToken(
        client_id=client_id,
        timeout_s=timeout_s,
        server_addresses=tuple(server_addresses),
        client_to_server_key=check_key(random_bytes(KEY_BYTES)),
        server_to_client_key=check_key(random_bytes(KEY_BYTES)),
        user_data=bytes(user_data).ljust(USER_DATA_BYTES, b"\0"),
    )
    nonce = random_bytes(TOKEN_NONCE_BYTES)
    sealed = seal_private_token(private, protocol_id, created + expire_s, nonce, check_key(private_key))
    head = CONNECT_TOKEN_HEAD.pack(
        VERSION_INFO, protocol_id, created, created + expire_s, nonce, sealed, timeout_s
    )
    keys = private.client_to_server_key + private.server_to_client_key
    return (head + pack_addresses(server_addresses) + keys).ljust(CONNECT_TOKEN_BYTES, b"\0")


def parse_connect_token(data: bytes) -> ConnectToken:
    """Read the public part of a connect token.

    Raises: BadToken: wrong size or version, address count or type out of range, or created after it expires.
    Source: NETCODE 1.02, section "Request Connect Token".
    """
    if len(data) != CONNECT_TOKEN_BYTES:
        raise BadToken(f"a connect token has {CONNECT_TOKEN_BYTES} bytes, not {len(data)}")
    version, protocol_id, created, expires, nonce, sealed, timeout_s = CONNECT_TOKEN_HEAD.unpack_from(data)
    if version != VERSION_INFO:
        raise BadToken("the connect token is not of NETCODE 1.02")
    if created > expires:
        raise BadToken("the connect token was created after it expires")
    try:
        addresses, offset = unpack_addresses(data, CONNECT_TOKEN_HEAD.size)
    except BadAddresses as bad:
        raise BadToken(str(bad)) from bad
    middle = offset + KEY_BYTES
    return ConnectToken(
        protocol_id=protocol_id,
        create_at=created,
        expire_at=expires,
        nonce=nonce,
        sealed_private=sealed,
        timeout_s=timeout_s,
        server_addresses=addresses,
        client_to_server_key=data[offset:middle],
        server_to_client_key=data[middle : middle + KEY_BYTES],
    )


def seal_private_token(
    token: PrivateToken, protocol_id: int, expire_at: int, nonce: bytes, key: bytes
) -> bytes:
    """Return the 1024 sealed bytes of the private part."""
    plain = b"".join(
        (
            PRIVATE_TOKEN_HEAD.pack(token.client_id, token.timeout_s),
            pack_addresses(list(token.server_addresses)),
            token.client_to_server_key,
            token.server_to_client_key,
            token.user_data,
        )
    )
    associated = TOKEN_ASSOCIATED_DATA.pack(VERSION_INFO, protocol_id, expire_at)
    return xchacha_seal(plain.ljust(PRIVATE_TOKEN_PLAIN_BYTES, b"\0"), associated, nonce, key)


def open_private_token(
    sealed: bytes, protocol_id: int, expire_at: int, nonce: bytes, key: bytes
) -> bytes | None:
    """Return the 1008 plain bytes of the private part, or None when the tag does not match."""
    associated = TOKEN_ASSOCIATED_DATA.pack(VERSION_INFO, protocol_id, expire_at)
    try:
        return xchacha_open(sealed, associated, nonce, key)
    except CryptoError:
        return None


def parse_private_token(plain: bytes) -> PrivateToken:
    """Read the opened private part. Raises: BadToken: address count or type out of range, or cut short."""
    if len(plain) != PRIVATE_TOKEN_PLAIN_BYTES:
        raise BadToken(f"a private token has {PRIVATE_TOKEN_PLAIN_BYTES} bytes, not {len(plain)}")
    client_id, timeout_s = PRIVATE_TOKEN_HEAD.unpack_from(plain)
    try:
        addresses, offset = unpack_addresses(plain, PRIVATE_TOKEN_HEAD.size)
    except BadAddresses as bad:
        raise BadToken(str(bad)) from bad
    second, third = offset + KEY_BYTES, offset + 2 * KEY_BYTES
    return PrivateToken(
        client_id=client_id,
        timeout_s=timeout_s,
        server_addresses=addresses,
        client_to_server_key=plain[offset:second],
        server_to_client_key=plain[second:third],
        user_data=plain[third : third + USER_DATA_BYTES],
    )


class ChallengeTokens:
    """Seals and opens challenge tokens under one random key; the sequence is the nonce, so it only ever
    counts up.
    """

    __slots__ = ("_cipher", "_next_sequence")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(check_key(key))
        self._next_sequence = 0

    def seal(self, client_id: int, user_data: bytes) -> bytes:
        """Return the 308 bytes of a challenge packet's data: sequence, sealed token."""
        sequence = self._next_sequence.to_bytes(8, "little")
        self._next_sequence += 1
        plain = CHALLENGE_TOKEN_LAYOUT.pack(client_id, user_data).ljust(CHALLENGE_TOKEN_PLAIN_BYTES, b"\0")
        return sequence + self._cipher.encrypt(b"\0\0\0\0" + sequence, plain, None)

    def open(self, body: bytes) -> tuple[int, bytes] | None:
        """Return client id and user data from a response packet's 308 bytes, or None when the tag does not
        match.
        """
        try:
            plain = self._cipher.decrypt(b"\0\0\0\0" + body[:8], body[8:], None)
        except InvalidTag:
            return None
        return CHALLENGE_TOKEN_LAYOUT.unpack_from(plain)
