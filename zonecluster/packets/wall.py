"""Compiled: what stands between a stranger's datagram and the core. Nearly every forged one ends here.

A request must have the right size, version, protocol id and expiry; then its network and all strangers
together must be within their rates; then the tag of its token must match. A response must come from an
address whose request got that far, and its network be within a rate of its own: or one hostile player could
use up what all may send in a tick. The core judges the rest, and at most so many of each in a tick.
"""

from typing import NamedTuple

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.packets.counters import index_of
from zonecluster.packets.lookup import hash_of, network_of
from zonecluster.packets.sodium_calls import sodium_open_token
from zonecluster.protocol.netcode import Limits, wire

NETWORKS = 4096
CHALLENGED = 65536
# Comparing a tag costs 1 µs here, against 10 in the core: so many a second are a twentieth of a core.
TAGS_PER_S = 40_000
TAGS_BURST = 2_048
# Requests, and responses, that the core looks at in a tick: 25 and 15 µs each.
TO_CORE_A_TICK = 200

_0 = np.uint64(0)
_HEAD_BYTES = len(wire.VERSION_INFO) + 8
_EXPIRY_AT = 1 + _HEAD_BYTES
_NONCE_AT = _EXPIRY_AT + 8
_SEALED_AT = _NONCE_AT + wire.TOKEN_NONCE_BYTES
_SEALED_BYTES = wire.PRIVATE_TOKEN_BYTES - wire.TAG_BYTES

STRANGE = -2  # the core's business
BAD_REQUEST_SIZE, BAD_VERSION = map(index_of, ("bad_request_size", "bad_version"))
BAD_PROTOCOL, TOKEN_EXPIRED = map(index_of, ("bad_protocol_id", "token_expired"))
RATE_LIMITED, TOKEN_FORGED, UNKNOWN = map(index_of, ("rate_limited", "token_forged", "unknown_address"))
REQUEST, RESPONSE = wire.REQUEST, wire.RESPONSE
# Places in `rates` and in `left`
PER_NETWORK, BURST_PER_NETWORK, IN_ALL, BURST_IN_ALL, CHALLENGE_S = range(5)
REQUESTS_LEFT, RESPONSES_LEFT = range(2)


class Wall(NamedTuple):
    """What is remembered of strangers. Instants in monotonic seconds."""

    network_tokens: np.ndarray  # (NETWORKS,) f8: networks are found by hash, and two may share a place
    network_at: np.ndarray  # (NETWORKS,) f8
    response_tokens: np.ndarray  # (NETWORKS,) f8: the same, for responses
    response_at: np.ndarray  # (NETWORKS,) f8
    all_tokens: np.ndarray  # (1,) f8
    all_at: np.ndarray  # (1,) f8
    rates: np.ndarray  # (5,) f8
    challenged_until: np.ndarray  # (CHALLENGED,) f8, by hash of the address
    left: np.ndarray  # (2,) i8, of this tick
    private_key: np.ndarray  # (32,) u8


def make_wall(limits: Limits, private_key: bytes) -> Wall:
    """Return a wall that has seen nobody."""
    rates = (
        limits.requests_per_s_per_network,
        limits.requests_burst_per_network,
        TAGS_PER_S,
        TAGS_BURST,
        limits.challenge_timeout_s,
    )
    return Wall(
        np.full(NETWORKS, limits.requests_burst_per_network, np.float64),
        np.zeros(NETWORKS),
        np.full(NETWORKS, limits.requests_burst_per_network, np.float64),
        np.zeros(NETWORKS),
        np.full(1, TAGS_BURST, np.float64),
        np.zeros(1),
        np.array(rates, np.float64),
        np.full(CHALLENGED, -np.inf),
        np.full(2, TO_CORE_A_TICK, np.int64),
        np.frombuffer(private_key, np.uint8).copy(),
    )


@compiled
def _take(tokens, taken_at, at, rate, burst, now):
    """Take one from a token bucket; False when there is none."""
    there = min(burst, tokens[at] + max(0.0, now - taken_at[at]) * rate)
    taken_at[at] = now
    if there < 1.0:
        tokens[at] = there
        return False
    tokens[at] = there - 1.0
    return True


@compiled
def _take_of_network(tokens, taken_at, network, rates, now):
    """Take one from the allowance of the network that has this place."""
    return _take(tokens, taken_at, network, rates[PER_NETWORK], rates[BURST_PER_NETWORK], now)


@compiled
def _is_within_rates(wall, network, now):
    """Take one from the network's allowance for requests, then one from that of all."""
    if not _take_of_network(wall.network_tokens, wall.network_at, network, wall.rates, now):
        return False
    return _take(wall.all_tokens, wall.all_at, np.int64(0), wall.rates[IN_ALL], wall.rates[BURST_IN_ALL], now)


@compiled
def _judge_request(data, data_at, size, network, wall, associated, now, unix_now):
    """Return why a request is dropped, in the standard's order; or STRANGE."""
    if size != wire.REQUEST_BYTES:
        return BAD_REQUEST_SIZE
    for at in range(_HEAD_BYTES):
        if data[1 + at] != associated[at]:
            return BAD_VERSION if at < len(wire.VERSION_INFO) else BAD_PROTOCOL
    expire_at = _0
    for at in range(8):
        expire_at |= np.uint64(data[_EXPIRY_AT + at]) << np.uint64(8 * at)
    if np.float64(expire_at) <= unix_now:
        return TOKEN_EXPIRED
    if wall.left[REQUESTS_LEFT] <= 0 or not _is_within_rates(wall, network, now):
        return RATE_LIMITED
    sealed = data_at + np.uint64(_SEALED_AT)
    verdict = sodium_open_token(
        _0,
        _0,
        sealed,
        np.uint64(_SEALED_BYTES),
        sealed + np.uint64(_SEALED_BYTES),
        data_at + np.uint64(1),  # version, protocol id, expiry: as they stand in the request
        np.uint64(_HEAD_BYTES + 8),
        data_at + np.uint64(_NONCE_AT),
        np.uint64(wall.private_key.ctypes.data),
    )
    return STRANGE if verdict == 0 else TOKEN_FORGED


@compiled
def judge_stranger(data, data_at, size, first, words, seeds, wall, associated, now, unix_now):
    """Return the drop of a packet from an address without a slot, or STRANGE: the core's business.

    Args: data_at: where in memory the packet begins; words: of the sender's address.
    """
    place = hash_of(words[0], words[1], words[2], words[3], seeds) & np.uint64(CHALLENGED - 1)
    of_network = hash_of(network_of(words[0], words[1], words[2]), _0, _0, _0, seeds)
    network = np.int64(of_network & np.uint64(NETWORKS - 1))
    if first == REQUEST:
        verdict = _judge_request(data, data_at, size, network, wall, associated, now, unix_now)
        if verdict == STRANGE:
            wall.left[REQUESTS_LEFT] -= 1
            wall.challenged_until[place] = now + wall.rates[CHALLENGE_S]
        return verdict
    if first & 15 != RESPONSE or now >= wall.challenged_until[place]:
        return UNKNOWN
    if wall.left[RESPONSES_LEFT] <= 0 or not _take_of_network(
        wall.response_tokens, wall.response_at, network, wall.rates, now
    ):
        return RATE_LIMITED
    wall.left[RESPONSES_LEFT] -= 1
    return STRANGE
