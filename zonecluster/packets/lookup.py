"""Compiled: which slot has an address. A hash table in an array, open addressing, with a secret seed.

An address is the four words of its sockaddr (mmsg.py), with what is no part of it set to zero.
"""

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.packets.table import EMPTY_BUCKET

# Mixing u64 with signed integers would make floats of both: every constant of 64 bits is spelled u64.
_0, _1, _32 = np.uint64(0), np.uint64(1), np.uint64(32)
_LOW_32 = np.uint64(0xFFFF_FFFF)
_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
_FAMILY = np.uint64(0xFFFF)
_AF_INET = np.uint64(2)
_MAPPED = np.uint64(0xFFFF_0000)  # bytes 8..11 of ::ffff:a.b.c.d
_24_BITS, _48_BITS = np.uint64(0xFF_FFFF), np.uint64(0xFFFF_FFFF_FFFF)
_NOT_IPV4 = np.uint64(1 << 63)


@compiled
def hash_of(word0, word1, word2, word3, seeds):
    """Return 48 bits that nobody can foretell without the seeds."""
    mixed = seeds[0]
    for word in (word0, word1, word2, word3):
        mixed = (mixed ^ word) * _MULTIPLIER
        mixed ^= mixed >> _32
    return (mixed ^ seeds[1]) * _MULTIPLIER >> np.uint64(16)


@compiled
def clean_words(words):
    """Return the sockaddr that the kernel gave, without the bytes that are no part of an address."""
    if words[0] & _FAMILY == _AF_INET:
        return words[0], _0, _0, _0
    return words[0] & _LOW_32, words[1], words[2], words[3] & _LOW_32


@compiled
def _home(table, slot):
    words = table.addresses[slot]
    return hash_of(words[0], words[1], words[2], words[3], table.seeds)


@compiled
def find(table, word0, word1, word2, word3):
    """Return the slot of an address, or -1."""
    mask = np.uint64(table.buckets.shape[0] - 1)
    at = hash_of(word0, word1, word2, word3, table.seeds) & mask
    while True:
        slot = table.buckets[at]
        if slot == EMPTY_BUCKET:
            return -1
        words = table.addresses[slot]
        if words[0] == word0 and words[1] == word1 and words[2] == word2 and words[3] == word3:
            return slot
        at = (at + _1) & mask


@compiled
def insert(table, slot):
    """Make a slot findable by its address, which is in no other slot."""
    mask = np.uint64(table.buckets.shape[0] - 1)
    at = _home(table, slot) & mask
    while table.buckets[at] != EMPTY_BUCKET:
        at = (at + _1) & mask
    table.buckets[at] = slot


@compiled
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
        home = _home(table, np.int64(table.buckets[at])) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            table.buckets[hole] = table.buckets[at]
            hole = at
        at = (at + _1) & mask
    table.buckets[hole] = EMPTY_BUCKET


@compiled
def network_of(word0, word1, word2):
    """Return IPv4's /24 or IPv6's /48 as one number."""
    if word0 & _FAMILY == _AF_INET:
        return (word0 >> _32) & _24_BITS
    if word1 == _0 and word2 & _LOW_32 == _MAPPED:
        return (word2 >> _32) & _24_BITS
    return (word1 & _48_BITS) | _NOT_IPV4
