"""Compiled: what becomes of a received batch, datagram by datagram, in the order of the standard.

libsodium must have been exposed before the first call (sodium.py). Nothing here allocates, raises, or holds
the GIL.
Source: NETCODE 1.02, sections "Reading Encrypted Packets", "Replay Protection".
"""

from typing import NamedTuple

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.packets.arrivals import ARRIVAL_BYTES, MAX_OPENED_A_TICK
from zonecluster.packets.counters import index_of
from zonecluster.packets.lookup import clean_words, find
from zonecluster.packets.mmsg import LENGTH
from zonecluster.packets.sodium_calls import sodium_open
from zonecluster.packets.table import CONNECTED, FREE
from zonecluster.packets.wall import STRANGE, judge_stranger
from zonecluster.protocol.netcode import wire

_0 = np.uint64(0)
_LOW_32 = np.uint64(0xFFFF_FFFF)
_BYTE = np.uint64(0xFF)
_PLACES = np.uint64(wire.REPLAY_WINDOW - 1)
_WINDOW = np.uint64(wire.REPLAY_WINDOW)

ASSOCIATED_BYTES = len(wire.VERSION_INFO) + 8 + 1
PREFIX_AT = ASSOCIATED_BYTES - 1
_TAG = wire.TAG_BYTES
_MAX_BODY = wire.MAX_PAYLOAD_RECEIVED_BYTES
REQUEST, RESPONSE, KEEP_ALIVE, DISCONNECT = wire.REQUEST, wire.RESPONSE, wire.KEEP_ALIVE, wire.DISCONNECT

TAKEN = -1  # nothing to count but the datagram
EMPTY, TOO_SMALL, TOO_LARGE = map(index_of, ("empty", "too_small", "too_large"))
BAD_TYPE, UNEXPECTED_TYPE, BAD_SEQUENCE = map(index_of, ("bad_type", "unexpected_type", "bad_sequence_bytes"))
REPLAYED, FORGED, BAD_BODY_SIZE = map(index_of, ("replayed", "forged", "bad_body_size"))
ADDRESS_CONNECTED = index_of("address_connected")
EVENTS_FULL, FLOODING = map(index_of, ("events_full", "flooding"))
DATAGRAMS_IN, BYTES_IN = map(index_of, ("datagrams_received", "bytes_received"))
STRANGER_BYTES, PAYLOADS_IN = map(index_of, ("stranger_bytes_received", "payloads_received"))

# Places in `progress`
ARRIVED, CLOSED = range(2)


class Crypto(NamedTuple):
    """Scratch of compiled code."""

    associated: np.ndarray  # (22,) u8: version ‖ protocol id ‖ prefix
    nonce: np.ndarray  # (12,) u8
    keep_alive: np.ndarray  # (8,) u8: body of a keep-alive


class ArrivalRoom(NamedTuple):
    """Arrivals being filled. `data` has one row more than the others, to open into when they are full."""

    slots: np.ndarray
    lengths: np.ndarray
    data: np.ndarray


def make_crypto(protocol_id: int) -> Crypto:
    """Return scratch for links of one protocol id."""
    head = wire.VERSION_INFO + protocol_id.to_bytes(8, "little") + b"\0"
    return Crypto(np.frombuffer(head, np.uint8).copy(), np.zeros(12, np.uint8), np.zeros(8, np.uint8))


def make_room(payloads: int) -> ArrivalRoom:
    """Return empty room for so many payloads."""
    data = np.zeros((payloads + 1, ARRIVAL_BYTES), np.uint8)
    return ArrivalRoom(np.zeros(payloads, np.int64), np.zeros(payloads, np.int64), data)


@compiled
def _is_replayed(table, slot, sequence):
    if not table.has_received[slot]:
        return False
    newest = table.newest_sequence[slot]
    if sequence > newest:
        return False
    return newest - sequence >= _WINDOW or table.replay_window[slot, sequence & _PLACES] == sequence


@compiled
def _mark(table, slot, sequence):
    if not table.has_received[slot] or sequence > table.newest_sequence[slot]:
        table.newest_sequence[slot] = sequence
        table.has_received[slot] = 1
    table.replay_window[slot, sequence & _PLACES] = sequence


@compiled
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


@compiled
def _open(body, length, first, key, sequence, plain, crypto):
    """Open a packet's sealed body into `plain`; True when the tag matches. body, key, plain: in memory."""
    crypto.associated[PREFIX_AT] = first
    for at in range(8):
        crypto.nonce[4 + at] = (sequence >> np.uint64(8 * at)) & _BYTE
    verdict = sodium_open(
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


@compiled
def _take_opened(kind, length, slot, row, table, arrivals, progress, closed, now):
    """Do what an authentic packet says. Returns what to count, or TAKEN."""
    if kind == DISCONNECT:
        if length != 0:
            return BAD_BODY_SIZE
        table.state[slot] = FREE
        closed[progress[CLOSED]] = slot
        progress[CLOSED] += 1
        return TAKEN
    if length != 8 if kind == KEEP_ALIVE else not 0 < length <= _MAX_BODY:
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


@compiled
def _judge_client(
    data, data_at, size, first, slot, table, keys_at, arrivals, plain_at, progress, closed, crypto, now
):
    """Open a connected client's packet and do what it says. Returns what to count, or TAKEN.

    Nothing of the link changes before the tag has matched: a stranger who forges the client's address cannot
    use up what the client may send, nor move its window.
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
    return _take_opened(kind, length, slot, row, table, arrivals, progress, closed, now)


@compiled
def open_batch(
    messages, count, table, arrivals, progress, closed, strange, crypto, wall, counts, now, unix_now
):
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
        data_at = buffers_at + np.uint64(row) * stride
        words = clean_words(messages.names[row])
        slot = np.int64(find(table, words[0], words[1], words[2], words[3]))
        is_connected = slot >= 0 and table.state[slot] == CONNECTED
        first = np.int64(data[0])
        if size == 0:
            verdict = EMPTY
        elif first == REQUEST and is_connected:
            verdict = ADDRESS_CONNECTED
        else:
            verdict = TAKEN if first == REQUEST else _judge_header(size, first)
            if verdict == TAKEN and is_connected:
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
                verdict = judge_stranger(
                    data, data_at, size, first, words, table.seeds, wall, crypto.associated, now, unix_now
                )
        if verdict == STRANGE:  # counted by the core
            strange[strangers] = row
            strangers += 1
            continue
        counts[DATAGRAMS_IN] += 1
        counts[BYTES_IN] += size
        if not is_connected:
            counts[STRANGER_BYTES] += size
        if verdict != TAKEN:
            counts[verdict] += 1
    return strangers
