"""Compiled code of the batch path: find, open and seal packets of whole batches. Arrays in, arrays out.

Importing this compiles nothing; the first call does, or loads what an earlier process compiled. libsodium
must have been exposed before (sodium.py). Nothing here allocates, raises, or holds the GIL.
Source: NETCODE 1.02, sections "Packets", "Reading Encrypted Packets", "Replay Protection".
"""

import numpy as np
from numba import njit, types

from zonecluster.packets.arrivals import ARRIVAL_BYTES, MAX_OPENED_A_TICK
from zonecluster.packets.counters import index_of
from zonecluster.packets.mmsg import ADDRESS_WORDS, LENGTH, NAME, NAME_LENGTH
from zonecluster.packets.table import CONNECTED, EMPTY_BUCKET
from zonecluster.protocol.netcode import wire

_POINTER, _LONG = types.uintp, types.uint64
_sodium_open = types.ExternalFunction(
    "crypto_aead_chacha20poly1305_ietf_decrypt_detached",
    # plain, secret nonce (none), sealed, its length, tag, associated data, its length, nonce, key
    types.int32(_POINTER, _POINTER, _POINTER, _LONG, _POINTER, _POINTER, _LONG, _POINTER, _POINTER),
)
_sodium_seal = types.ExternalFunction(
    "crypto_aead_chacha20poly1305_ietf_encrypt",
    # sealed with tag, its length (not asked for), plain, its length, associated data, its length, secret
    # nonce (none), nonce, key
    types.int32(_POINTER, _POINTER, _POINTER, _LONG, _POINTER, _LONG, _POINTER, _POINTER, _POINTER),
)
# _nrt=False: nothing here makes or keeps an array, and counting references to those handed in was half of the
# time. A numba that no longer knows the option refuses it, and the plain path runs.
JIT = {"cache": True, "nogil": True, "boundscheck": False, "_nrt": False}

# Mixing u64 with signed integers would make floats of both: every constant of 64 bits is spelled u64.
_0, _1, _8, _32 = np.uint64(0), np.uint64(1), np.uint64(8), np.uint64(32)
_BYTE = np.uint64(0xFF)
_PLACES = np.uint64(wire.REPLAY_WINDOW - 1)
_WINDOW = np.uint64(wire.REPLAY_WINDOW)
_LOW_32 = np.uint64(0xFFFF_FFFF)
_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
_FAMILY = np.uint64(0xFFFF)
_AF_INET = np.uint64(2)
_MAPPED = np.uint64(0xFFFF_0000)  # bytes 8..11 of ::ffff:a.b.c.d
_24_BITS, _48_BITS = np.uint64(0xFF_FFFF), np.uint64(0xFFFF_FFFF_FFFF)
_NOT_IPV4 = np.uint64(1 << 63)

ASSOCIATED_BYTES = len(wire.VERSION_INFO) + 8 + 1
_PREFIX_AT = ASSOCIATED_BYTES - 1
_HEAD_BYTES = _PREFIX_AT  # version and protocol id: what a request must have after its first byte

EMPTY, TOO_SMALL, TOO_LARGE = map(index_of, ("empty", "too_small", "too_large"))
BAD_TYPE, UNEXPECTED_TYPE, BAD_SEQUENCE = map(index_of, ("bad_type", "unexpected_type", "bad_sequence_bytes"))
REPLAYED, FORGED, BAD_BODY_SIZE = map(index_of, ("replayed", "forged", "bad_body_size"))
UNKNOWN, ADDRESS_CONNECTED = map(index_of, ("unknown_address", "address_connected"))
BAD_REQUEST_SIZE, BAD_VERSION = map(index_of, ("bad_request_size", "bad_version"))
BAD_PROTOCOL, RATE_LIMITED = map(index_of, ("bad_protocol_id", "rate_limited"))
EVENTS_FULL, FLOODING = map(index_of, ("events_full", "flooding"))
DATAGRAMS_IN, BYTES_IN = map(index_of, ("datagrams_received", "bytes_received"))
STRANGER_BYTES, PAYLOADS_IN = map(index_of, ("stranger_bytes_received", "payloads_received"))
DATAGRAMS_OUT, BYTES_OUT, PAYLOADS_OUT = map(index_of, ("datagrams_sent", "bytes_sent", "payloads_sent"))

# Places in `progress`
ARRIVED, CLOSED, STRANGERS, STRANGERS_LEFT = range(4)
TAKEN, STRANGE = -1, -2  # what `_judge` says besides a drop: nothing more to do, or the core's business

REQUEST, RESPONSE, KEEP_ALIVE = wire.REQUEST, wire.RESPONSE, wire.KEEP_ALIVE
PAYLOAD, DISCONNECT = wire.PAYLOAD, wire.DISCONNECT
_TAG = wire.TAG_BYTES
_NAME_BYTES = 8 * ADDRESS_WORDS
_SLOTS_MAX_BODY = wire.MAX_PAYLOAD_RECEIVED_BYTES


# ---------------------------------------------------------------- addresses


@njit(**JIT)
def _hash(word0, word1, word2, word3, seeds):
    mixed = seeds[0]
    for word in (word0, word1, word2, word3):
        mixed = (mixed ^ word) * _MULTIPLIER
        mixed ^= mixed >> _32
    return (mixed ^ seeds[1]) * _MULTIPLIER >> np.uint64(16)


@njit(**JIT)
def _home(table, slot):
    words = table.addresses[slot]
    return _hash(words[0], words[1], words[2], words[3], table.seeds)


@njit(**JIT)
def _find(table, word0, word1, word2, word3):
    """Return the slot of an address, or -1."""
    mask = np.uint64(table.buckets.shape[0] - 1)
    at = _hash(word0, word1, word2, word3, table.seeds) & mask
    while True:
        slot = table.buckets[at]
        if slot == EMPTY_BUCKET:
            return -1
        words = table.addresses[slot]
        if words[0] == word0 and words[1] == word1 and words[2] == word2 and words[3] == word3:
            return slot
        at = (at + _1) & mask


@njit(**JIT)
def insert(table, slot):
    """Make a slot findable by its address, which is in no other slot."""
    mask = np.uint64(table.buckets.shape[0] - 1)
    at = _home(table, slot) & mask
    while table.buckets[at] != EMPTY_BUCKET:
        at = (at + _1) & mask
    table.buckets[at] = slot


@njit(**JIT)
def remove(table, slot):
    """Make a slot unfindable, closing the gap so that no search stops too early."""
    mask = np.uint64(table.buckets.shape[0] - 1)
    hole = _home(table, slot) & mask
    while table.buckets[hole] != slot:
        if table.buckets[hole] == EMPTY_BUCKET:
            return
        hole = (hole + _1) & mask
    at = (hole + _1) & mask
    while table.buckets[at] != EMPTY_BUCKET:
        home = _home(table, table.buckets[at]) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            table.buckets[hole] = table.buckets[at]
            hole = at
        at = (at + _1) & mask
    table.buckets[hole] = EMPTY_BUCKET


@njit(**JIT)
def _network(word0, word1, word2):
    """Return IPv4's /24 or IPv6's /48 as one number."""
    if word0 & _FAMILY == _AF_INET:
        return (word0 >> _32) & _24_BITS
    if word1 == _0 and word2 & _LOW_32 == _MAPPED:
        return (word2 >> _32) & _24_BITS
    return (word1 & _48_BITS) | _NOT_IPV4


@njit(**JIT)
def _allow(limiter, network, seeds, now):
    """Take one from the network's token bucket. Networks that share a bucket share its allowance."""
    mask = np.uint64(limiter.tokens.shape[0] - 1)
    at = _hash(network, _0, _0, _0, seeds) & mask
    passed = max(0.0, now - limiter.at[at])
    tokens = min(limiter.burst[0], limiter.tokens[at] + passed * limiter.rate[0])
    limiter.at[at] = now
    if tokens < 1.0:
        limiter.tokens[at] = tokens
        return False
    limiter.tokens[at] = tokens - 1.0
    return True


# ---------------------------------------------------------------- receiving


@njit(**JIT)
def _is_replayed(table, slot, sequence):
    if not table.has_received[slot]:
        return False
    newest = table.newest_sequence[slot]
    if sequence > newest:
        return False
    return newest - sequence >= _WINDOW or table.replay_window[slot, sequence & _PLACES] == sequence


@njit(**JIT)
def _mark(table, slot, sequence):
    if not table.has_received[slot] or sequence > table.newest_sequence[slot]:
        table.newest_sequence[slot] = sequence
        table.has_received[slot] = 1
    table.replay_window[slot, sequence & _PLACES] = sequence


@njit(**JIT)
def _judge_stranger(data, size, first, network, table, crypto, limiters, progress, now):
    """Return the drop of a request, or of another packet from an address without a slot; or STRANGE."""
    if first == REQUEST:
        if size != wire.REQUEST_BYTES:
            return BAD_REQUEST_SIZE
        for at in range(_HEAD_BYTES):
            if data[1 + at] != crypto.associated[at]:
                return BAD_VERSION if at < 13 else BAD_PROTOCOL
        is_allowed = progress[STRANGERS_LEFT] > 0 and _allow(limiters[0], network, table.seeds, now)
    elif first & 15 == RESPONSE:
        is_allowed = progress[STRANGERS_LEFT] > 0 and _allow(limiters[1], network, table.seeds, now)
    else:
        return UNKNOWN
    return STRANGE if is_allowed else RATE_LIMITED


@njit(**JIT)
def _judge_header(size, first):
    """Return why a packet is dropped before anything of it is opened, in the standard's order; or TAKEN."""
    if size < wire.MIN_PACKET_BYTES:
        return TOO_SMALL
    if size > wire.MAX_PACKET_BYTES:
        return TOO_LARGE
    kind = first & 15
    if kind > DISCONNECT:
        return BAD_TYPE
    if kind < RESPONSE:
        return UNEXPECTED_TYPE
    sequence_bytes = first >> 4
    if not 0 < sequence_bytes <= wire.MAX_SEQUENCE_BYTES:
        return BAD_SEQUENCE
    if size < 1 + sequence_bytes + _TAG:
        return TOO_SMALL
    return TAKEN


@njit(**JIT)
def _open(body, length, first, key, sequence, plain, crypto):
    """Open a packet's sealed body into `plain`; True when the tag matches. body, key, plain: in memory."""
    crypto.associated[_PREFIX_AT] = first
    for at in range(8):
        crypto.nonce[4 + at] = (sequence >> np.uint64(8 * at)) & _BYTE
    verdict = _sodium_open(
        plain,
        _0,
        body,
        length,
        body + length,
        np.uint64(crypto.associated.ctypes.data),
        np.uint64(ASSOCIATED_BYTES),
        np.uint64(crypto.nonce.ctypes.data),
        key,
    )
    return verdict == 0


@njit(**JIT)
def _judge_client(
    data, data_at, size, first, slot, table, keys_at, arrivals, plain_at, progress, closed, crypto, now
):
    """Open a connected client's packet and do what it says. Returns what to count, or TAKEN.

    Args: data_at, keys_at, plain_at: where in memory the packet, all keys, and all rows to open into begin.
    """
    kind = first & 15
    if kind == RESPONSE:
        return ADDRESS_CONNECTED
    if kind != DISCONNECT and table.opened[slot] >= MAX_OPENED_A_TICK:
        return FLOODING
    start = 1 + (first >> 4)
    sequence = _0
    for at in range(1, start):
        sequence |= np.uint64(data[at]) << np.uint64(8 * (at - 1))
    if _is_replayed(table, slot, sequence):
        return REPLAYED
    row = progress[ARRIVED]
    length = size - start - _TAG
    body, key = data_at + np.uint64(start), keys_at + np.uint64(slot * wire.KEY_BYTES)
    plain = plain_at + np.uint64(row * ARRIVAL_BYTES)
    if not _open(body, np.uint64(length), first, key, sequence, plain, crypto):
        return FORGED
    _mark(table, slot, sequence)
    table.opened[slot] += 1
    if kind == DISCONNECT:
        if length != 0:
            return BAD_BODY_SIZE
        table.state[slot] = 0
        closed[progress[CLOSED]] = slot
        progress[CLOSED] += 1
        return TAKEN
    if length != 8 if kind == KEEP_ALIVE else not 0 < length <= _SLOTS_MAX_BODY:
        return BAD_BODY_SIZE
    table.heard_at[slot] = now
    table.is_confirmed[slot] = 1
    if kind == KEEP_ALIVE:
        return TAKEN
    if row >= arrivals.slots.shape[0]:  # `data` has one row more, to open into
        return EVENTS_FULL
    arrivals.slots[row] = slot
    arrivals.lengths[row] = length
    progress[ARRIVED] += 1
    return PAYLOADS_IN


@njit(**JIT)
def open_batch(messages, count, table, arrivals, progress, closed, strange, crypto, limiters, counts, now):
    """Take a received batch: open what connected clients sent, drop what is nothing, list the rest.

    Args:
        messages: of recvmmsg, `count` of them filled.
        arrivals: slots, lengths, data; filled from progress[ARRIVED] on.
        closed: filled with slots whose client said goodbye, from progress[CLOSED] on.
        strange: filled with the rows of requests and responses, the core's business, from 0.
    Returns: how many rows `strange` has.
    """
    strangers = 0
    # Addresses once for the batch: asking a slice for its own costs a third of the whole work.
    buffers_at, keys_at = np.uint64(messages.buffers.ctypes.data), np.uint64(table.receive_keys.ctypes.data)
    plain_at, stride = np.uint64(arrivals.data.ctypes.data), np.uint64(messages.buffers.shape[1])
    for row in range(count):
        size = np.int64(messages.headers[row, LENGTH] & _LOW_32)
        data = messages.buffers[row]
        words = messages.names[row]
        word0, word1, word2, word3 = words[0], _0, _0, _0
        if word0 & _FAMILY != _AF_INET:
            word0, word1, word2, word3 = words[0] & _LOW_32, words[1], words[2], words[3] & _LOW_32
        slot = _find(table, word0, word1, word2, word3)
        is_connected = slot >= 0 and table.state[slot] == CONNECTED
        first = np.int64(data[0])
        if size == 0:
            verdict = EMPTY
        elif first == REQUEST and is_connected:
            verdict = ADDRESS_CONNECTED
        else:
            verdict = TAKEN if first == REQUEST else _judge_header(size, first)
            if verdict == TAKEN and is_connected:
                data_at = buffers_at + np.uint64(row) * stride
                verdict = _judge_client(
                    data,
                    data_at,
                    size,
                    first,
                    slot,
                    table,
                    keys_at,
                    arrivals,
                    plain_at,
                    progress,
                    closed,
                    crypto,
                    now,
                )
            elif verdict == TAKEN:
                network = _network(word0, word1, word2)
                verdict = _judge_stranger(data, size, first, network, table, crypto, limiters, progress, now)
        if verdict == STRANGE:  # counted by the core
            strange[strangers] = row
            strangers += 1
            progress[STRANGERS_LEFT] -= 1
            continue
        counts[DATAGRAMS_IN] += 1
        counts[BYTES_IN] += size
        if not is_connected:
            counts[STRANGER_BYTES] += size
        if verdict != TAKEN:
            counts[verdict] += 1
    return strangers


# ---------------------------------------------------------------- sending


@njit(**JIT)
def _seal(messages, place, table, slot, kind, plain, length, crypto, counts, now):
    """Write a link's next packet into a place of the batch. `plain`: address of its data in memory."""
    sequence = table.next_sequence[slot]
    table.next_sequence[slot] = sequence + _1
    sequence_bytes = 1
    while sequence_bytes < 8 and sequence >> np.uint64(8 * sequence_bytes) != _0:
        sequence_bytes += 1
    buffer = messages.buffers[place]
    prefix = kind | sequence_bytes << 4
    buffer[0] = prefix
    for at in range(8):
        octet = (sequence >> np.uint64(8 * at)) & _BYTE
        crypto.nonce[4 + at] = octet
        if at < sequence_bytes:
            buffer[1 + at] = octet
    crypto.associated[_PREFIX_AT] = prefix
    _sodium_seal(
        np.uint64(messages.buffers.ctypes.data)
        + np.uint64(place * messages.buffers.shape[1] + 1 + sequence_bytes),
        _0,
        plain,
        np.uint64(length),
        np.uint64(crypto.associated.ctypes.data),
        np.uint64(ASSOCIATED_BYTES),
        _0,
        np.uint64(crypto.nonce.ctypes.data),
        np.uint64(table.send_keys.ctypes.data) + np.uint64(slot * wire.KEY_BYTES),
    )
    size = 1 + sequence_bytes + length + _TAG
    messages.headers[place, NAME] = np.uint64(table.addresses.ctypes.data) + np.uint64(slot * _NAME_BYTES)
    messages.headers[place, NAME_LENGTH] = table.name_lengths[slot]
    messages.iovecs[place, 1] = np.uint64(size)
    table.sent_at[slot] = now
    counts[DATAGRAMS_OUT] += 1
    counts[BYTES_OUT] += size


@njit(**JIT)
def _seal_keep_alive(messages, place, table, slot, crypto, counts, now):
    body = crypto.keep_alive
    for at in range(4):
        body[at] = (slot >> (8 * at)) & 255
        body[4 + at] = (table.state.shape[0] >> (8 * at)) & 255
    _seal(messages, place, table, slot, KEEP_ALIVE, np.uint64(body.ctypes.data), 8, crypto, counts, now)


@njit(**JIT)
def seal_batch(messages, table, slots, payloads, lengths, start, crypto, counts, now):
    """Seal payloads from `start` on into the batch until it is full. Slots without a link are left out.

    Returns: (packets in the batch, index of the first payload not taken).
    """
    place = 0
    for index in range(start, slots.shape[0]):
        if place + 2 > messages.headers.shape[0]:
            return place, index
        slot = slots[index]
        if slot < 0 or slot >= table.state.shape[0] or table.state[slot] != CONNECTED:
            continue
        if not table.is_confirmed[slot]:
            _seal_keep_alive(messages, place, table, slot, crypto, counts, now)
            place += 1
        plain = np.uint64(payloads.ctypes.data) + np.uint64(index * payloads.shape[1])
        _seal(messages, place, table, slot, PAYLOAD, plain, lengths[index], crypto, counts, now)
        place += 1
        counts[PAYLOADS_OUT] += 1
    return place, slots.shape[0]


@njit(**JIT)
def seal_control(messages, table, slots, start, kind, crypto, counts, now):
    """Seal a KEEP_ALIVE or DISCONNECT for each of the slots, which are all taken; returns as seal_batch."""
    place = 0
    for index in range(start, slots.shape[0]):
        if place == messages.headers.shape[0]:
            return place, index
        slot = slots[index]
        if kind == KEEP_ALIVE:
            _seal_keep_alive(messages, place, table, slot, crypto, counts, now)
        else:
            _seal(messages, place, table, slot, kind, _0, 0, crypto, counts, now)
        place += 1
    return place, slots.shape[0]


@njit(**JIT)
def look_over(table, silent, due, now):
    """List links that were silent too long, and those that are due a keep-alive; returns how many of each."""
    silent_count = due_count = 0
    for slot in range(table.state.shape[0]):
        if table.state[slot] != CONNECTED:
            continue
        if now >= table.heard_at[slot] + table.timeout[slot]:
            silent[silent_count] = slot
            silent_count += 1
        elif now >= table.sent_at[slot] + wire.SEND_INTERVAL_S:
            due[due_count] = slot
            due_count += 1
    return silent_count, due_count
