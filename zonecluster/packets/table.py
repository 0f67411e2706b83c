"""The table of connected links as a struct of arrays, one row for each slot, found by address."""

from typing import NamedTuple

import numpy as np

from zonecluster.packets.arrivals import ALLOWED_BURST
from zonecluster.packets.mmsg import ADDRESS_WORDS, address_words
from zonecluster.protocol.netcode import Handover
from zonecluster.protocol.netcode.wire import KEY_BYTES, REPLAY_WINDOW

FREE, CONNECTED = 0, 1  # state
EMPTY_BUCKET = -1


class LinkTable(NamedTuple):
    """Columns of all slots; instants in monotonic seconds. Compiled code takes it as it is."""

    state: np.ndarray  # (n,) u8: FREE or CONNECTED
    is_confirmed: np.ndarray  # (n,) u8: has sent something from its slot
    addresses: np.ndarray  # (n, 4) u64: sockaddr, see mmsg.py
    name_lengths: np.ndarray  # (n,) u64: bytes of the sockaddr
    receive_keys: np.ndarray  # (n, 32) u8, client to server
    send_keys: np.ndarray  # (n, 32) u8, server to client
    next_sequence: np.ndarray  # (n,) u64: of the next packet sent
    has_received: np.ndarray  # (n,) u8: newest_sequence means something
    newest_sequence: np.ndarray  # (n,) u64: of what was received
    replay_window: np.ndarray  # (n, 256) u64: the sequence number last received at its place, modulo 256
    heard_at: np.ndarray  # (n,) f8
    sent_at: np.ndarray  # (n,) f8
    timeout: np.ndarray  # (n,) f8 seconds, infinite: never
    opened: np.ndarray  # (n,) i8: packets of this tick
    allowance: np.ndarray  # (n,) f8: packets that it may still send; below zero it is flooding
    buckets: np.ndarray  # (4n or more, a power of two) i4: slot or EMPTY_BUCKET; open addressing
    seeds: np.ndarray  # (2,) u64: so that nobody can choose addresses that fall into one bucket


def make_table(capacity: int, seeds: tuple[int, int]) -> LinkTable:
    """Return a table of that many free slots."""
    return LinkTable(
        state=np.zeros(capacity, np.uint8),
        is_confirmed=np.zeros(capacity, np.uint8),
        addresses=np.zeros((capacity, ADDRESS_WORDS), np.uint64),
        name_lengths=np.zeros(capacity, np.uint64),
        receive_keys=np.zeros((capacity, KEY_BYTES), np.uint8),
        send_keys=np.zeros((capacity, KEY_BYTES), np.uint8),
        next_sequence=np.zeros(capacity, np.uint64),
        has_received=np.zeros(capacity, np.uint8),
        newest_sequence=np.zeros(capacity, np.uint64),
        replay_window=np.zeros((capacity, REPLAY_WINDOW), np.uint64),
        heard_at=np.zeros(capacity, np.float64),
        sent_at=np.zeros(capacity, np.float64),
        timeout=np.zeros(capacity, np.float64),
        opened=np.zeros(capacity, np.int64),
        allowance=np.zeros(capacity, np.float64),
        buckets=np.full(1 << (4 * capacity - 1).bit_length(), EMPTY_BUCKET, np.int32),
        seeds=np.array(seeds, np.uint64),
    )


def fill_slot(table: LinkTable, link: Handover) -> None:
    """Write what the core hands over into its slot. The caller enters the slot into the buckets."""
    slot = link.slot
    table.addresses[slot], table.name_lengths[slot] = address_words(link.address)
    table.receive_keys[slot] = np.frombuffer(link.receive_key, np.uint8)
    table.send_keys[slot] = np.frombuffer(link.send_key, np.uint8)
    table.next_sequence[slot] = link.next_sequence
    # A place that holds a number of another place matches nothing.
    table.replay_window[slot] = np.arange(REPLAY_WINDOW, dtype=np.uint64) ^ np.uint64(1)
    for sequence in link.received:
        table.replay_window[slot, sequence % REPLAY_WINDOW] = sequence
    table.has_received[slot] = bool(link.received)
    table.newest_sequence[slot] = link.received[0] if link.received else 0
    table.is_confirmed[slot] = link.is_confirmed
    table.heard_at[slot], table.sent_at[slot] = link.heard_at, link.sent_at
    table.timeout[slot] = link.timeout_s
    table.opened[slot] = 0
    table.allowance[slot] = ALLOWED_BURST
    table.state[slot] = CONNECTED


def clear_slot(table: LinkTable, slot: int) -> None:
    """Forget a link's keys and free its row. The caller has taken it out of the buckets."""
    table.state[slot] = FREE
    table.receive_keys[slot] = table.send_keys[slot] = 0
