"""Compiled: packets for whole batches of links, sealed and addressed, ready for sendmmsg.

libsodium must have been exposed before the first call (sodium.py). Nothing here allocates, raises, or holds
the GIL.
Source: NETCODE 1.02, section "Packets".
"""

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.packets.counters import index_of
from zonecluster.packets.mmsg import ADDRESS_WORDS, NAME, NAME_LENGTH
from zonecluster.packets.opening import ASSOCIATED_BYTES, PREFIX_AT
from zonecluster.packets.sodium_calls import sodium_seal
from zonecluster.packets.table import CONNECTED
from zonecluster.protocol.netcode import wire

_0, _1 = np.uint64(0), np.uint64(1)
_BYTE = np.uint64(0xFF)
_NAME_BYTES = 8 * ADDRESS_WORDS
_PREFIX_AND_TAG = 1 + wire.TAG_BYTES
# As one type of number: each further one would have all below it compiled once more.
KEEP_ALIVE, PAYLOAD = np.int64(wire.KEEP_ALIVE), np.int64(wire.PAYLOAD)
DATAGRAMS_OUT, BYTES_OUT, PAYLOADS_OUT = map(index_of, ("datagrams_sent", "bytes_sent", "payloads_sent"))


@compiled
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
    crypto.associated[PREFIX_AT] = prefix
    sodium_seal(
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
    size = sequence_bytes + length + _PREFIX_AND_TAG
    messages.headers[place, NAME] = np.uint64(table.addresses.ctypes.data) + np.uint64(slot * _NAME_BYTES)
    messages.headers[place, NAME_LENGTH] = table.name_lengths[slot]
    messages.iovecs[place, 1] = np.uint64(size)
    table.sent_at[slot] = now
    counts[DATAGRAMS_OUT] += 1
    counts[BYTES_OUT] += size


@compiled
def _write_keep_alive(body, slot, slots):
    for at in range(4):
        body[at] = (slot >> (8 * at)) & 255
        body[4 + at] = (slots >> (8 * at)) & 255


@compiled
def seal_batch(messages, table, slots, payloads, lengths, start, crypto, counts, now):
    """Seal payloads from `start` on into the batch until it is full. Slots without a link are left out.

    Returns: (packets in the batch, index of the first payload not taken).
    """
    place = np.int64(0)
    index = np.int64(start)
    is_preceded = False  # the keep-alive that goes before an unconfirmed link's payload is in the batch
    body_at = np.uint64(crypto.keep_alive.ctypes.data)
    payloads_at, stride = np.uint64(payloads.ctypes.data), np.uint64(payloads.shape[1])
    room = messages.headers.shape[0]
    while index < slots.shape[0] and (is_preceded or place + 2 <= room):
        slot = slots[index]
        if slot < 0 or slot >= table.state.shape[0] or table.state[slot] != CONNECTED:
            index += 1
            continue
        # One call of `_seal` for both, as each call is a copy of all of it.
        is_payload = is_preceded or table.is_confirmed[slot] != 0
        if is_payload:
            kind, plain, length = PAYLOAD, payloads_at + np.uint64(index) * stride, lengths[index]
            counts[PAYLOADS_OUT] += 1
            index += 1
        else:
            _write_keep_alive(crypto.keep_alive, slot, table.state.shape[0])
            kind, plain, length = KEEP_ALIVE, body_at, np.int64(8)
        is_preceded = not is_payload
        _seal(messages, place, table, slot, kind, plain, length, crypto, counts, now)
        place += 1
    return place, index


@compiled
def seal_control(messages, table, slots, start, kind, crypto, counts, now):
    """Seal a KEEP_ALIVE or DISCONNECT for each of the slots, which are all taken; returns as seal_batch."""
    place = np.int64(0)
    index = np.int64(start)
    body_at = np.uint64(crypto.keep_alive.ctypes.data)
    length = np.int64(8) if kind == KEEP_ALIVE else np.int64(0)
    while index < slots.shape[0] and place < messages.headers.shape[0]:
        slot = slots[index]
        _write_keep_alive(crypto.keep_alive, slot, table.state.shape[0])
        _seal(messages, place, table, slot, kind, body_at, length, crypto, counts, now)
        place += 1
        index += 1
    return place, index
