"""Connect tokens and challenge tokens, byte by byte by the tests' own reader."""

from dataclasses import replace
from random import Random

import pytest
from nacl.bindings import crypto_aead_chacha20poly1305_ietf_decrypt as chacha_open

from tests.unit.zonecluster.protocol.netcode.layout import read_connect_token, read_private
from tests.unit.zonecluster.protocol.netcode.setting import KEY, SERVER, UNIX, mint
from zonecluster.protocol.netcode import PROTOCOL_ID
from zonecluster.protocol.netcode.tokens import (
    BadToken,
    ChallengeTokens,
    open_private_token,
    parse_connect_token,
    parse_private_token,
    seal_private_token,
)

IPV6 = ("2001:db8::1:2", 40001)


def test_public_part_byte_by_byte():
    token = read_connect_token(mint(server_addresses=[SERVER, IPV6]))
    assert (token.protocol_id, token.created, token.expires) == (PROTOCOL_ID, UNIX, UNIX + 30)
    assert token.timeout == 5
    assert token.addresses == [SERVER, ("2001:db8:0:0:0:0:1:2", 40001)]
    assert token.padding == bytes(len(token.padding))


def test_private_part_byte_by_byte():
    token = read_connect_token(mint(77, user_data=b"sixteen bytes id", server_addresses=[SERVER, IPV6]))
    private = read_private(token, KEY)
    assert (private.client_id, private.timeout) == (77, 5)
    assert private.addresses == token.addresses
    assert private.client_to_server == token.client_to_server
    assert private.server_to_client == token.server_to_client
    assert private.client_to_server != private.server_to_client
    assert private.user_data == b"sixteen bytes id" + bytes(240)
    assert private.padding == bytes(len(private.padding))


def test_ipv6_words_are_little_endian():
    data = mint(server_addresses=[IPV6])
    head = 13 + 8 + 8 + 8 + 24 + 1024 + 4 + 4
    assert data[head : head + 5] == bytes([2, 0x01, 0x20, 0xB8, 0x0D])
    assert data[head + 17 : head + 19] == (40001).to_bytes(2, "little")


def test_negative_timeout_is_twos_complement():
    token = mint(timeout_s=-1)
    assert read_connect_token(token).timeout == 0xFFFFFFFF
    assert parse_connect_token(token).timeout_s == -1


def test_thirty_two_addresses_fit_both_parts():
    addresses = [(f"2001:db8::{number:x}", 1000 + number) for number in range(1, 33)]
    data = mint(server_addresses=addresses)
    token = parse_connect_token(data)
    assert list(token.server_addresses) == addresses
    plain = open_private_token(token.sealed_private, PROTOCOL_ID, token.expire_at, token.nonce, KEY)
    assert plain is not None
    assert list(parse_private_token(plain).server_addresses) == addresses


@pytest.mark.parametrize(
    "change",
    [
        {"server_addresses": []},
        {"server_addresses": [SERVER] * 33},
        {"server_addresses": [("zone.example", 40000)]},
        {"server_addresses": [("fe80::1%eth0", 40000)]},
        {"server_addresses": [("127.0.0.1", 0)]},
        {"server_addresses": [("127.0.0.1", 65536)]},
        {"user_data": bytes(257)},
        {"expire_s": 0},
        {"timeout_s": 0},
        {"timeout_s": 2**31},
        {"client_id": 2**64},
        {"client_id": -1},
        {"protocol_id": 2**64},
        {"private_key": bytes(31)},
    ],
)
def test_minting_refuses_what_cannot_stand_in_a_token(change):
    with pytest.raises(ValueError):
        mint(**change)


def patched(data, offset, replacement):
    return data[:offset] + replacement + data[offset + len(replacement) :]


ADDRESS_COUNT = 13 + 8 + 8 + 8 + 24 + 1024 + 4


@pytest.mark.parametrize(
    ("offset", "replacement"),
    [
        (0, b"NETCODE 1.01\0"),
        (21, (UNIX + 31).to_bytes(8, "little")),  # created after it expires
        (ADDRESS_COUNT, (0).to_bytes(4, "little")),
        (ADDRESS_COUNT, (33).to_bytes(4, "little")),
        (ADDRESS_COUNT, (2**32 - 1).to_bytes(4, "little")),
        (ADDRESS_COUNT + 4, b"\x00"),
        (ADDRESS_COUNT + 4, b"\x03"),
    ],
)
def test_a_client_refuses_an_invalid_token(offset, replacement):
    with pytest.raises(BadToken):
        parse_connect_token(patched(mint(), offset, replacement))


def test_a_token_of_any_other_length_is_refused():
    token = mint()
    for size in (0, 1, 1100, 2047):
        with pytest.raises(BadToken):
            parse_connect_token(token[:size])
    with pytest.raises(BadToken):
        parse_connect_token(token + b"\0")


def test_a_changed_bit_anywhere_in_the_private_part_is_noticed():
    token = parse_connect_token(mint())
    for place in range(1024):
        sealed = bytearray(token.sealed_private)
        sealed[place] ^= 1 << place % 8
        assert open_private_token(bytes(sealed), PROTOCOL_ID, token.expire_at, token.nonce, KEY) is None


def test_protocol_expiry_nonce_and_key_are_bound_to_the_private_part():
    token = parse_connect_token(mint())
    right = (PROTOCOL_ID, token.expire_at, token.nonce, KEY)
    assert open_private_token(token.sealed_private, *right) is not None
    for place, wrong in enumerate((PROTOCOL_ID + 1, token.expire_at + 1, bytes(24), bytes(32))):
        arguments = [*right]
        arguments[place] = wrong
        assert open_private_token(token.sealed_private, *arguments) is None


def test_the_private_part_comes_back_as_it_was_sealed():
    plain = open_private_token(
        (token := parse_connect_token(mint())).sealed_private, PROTOCOL_ID, token.expire_at, token.nonce, KEY
    )
    assert plain is not None
    private = replace(parse_private_token(plain), client_id=2**64 - 1, timeout_s=-7)
    sealed = seal_private_token(private, 9, 10, bytes(24), KEY)
    again = open_private_token(sealed, 9, 10, bytes(24), KEY)
    assert again is not None
    assert parse_private_token(again) == private


def test_keys_are_not_in_what_tokens_print():
    token = parse_connect_token(mint())
    assert repr(token.client_to_server_key) not in repr(token)
    assert "client_to_server_key" not in repr(token)


def test_challenge_token_byte_by_byte():
    key = Random(5).randbytes(32)
    challenges = ChallengeTokens(key)
    challenges.seal(1, bytes(256))
    body = challenges.seal(0x1122334455667788, bytes(range(256)))
    assert len(body) == 8 + 300
    assert body[:8] == (1).to_bytes(8, "little")  # the second one
    plain = chacha_open(body[8:], None, bytes(4) + body[:8], key)
    assert plain == bytes.fromhex("8877665544332211") + bytes(range(256)) + bytes(20)
    assert challenges.open(body) == (0x1122334455667788, bytes(range(256)))


def test_a_changed_challenge_is_refused():
    challenges = ChallengeTokens(bytes(32))
    body = challenges.seal(1, bytes(256))
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= 0x80
        assert challenges.open(bytes(changed)) is None
    assert ChallengeTokens(KEY).open(body) is None
