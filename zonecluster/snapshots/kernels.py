"""Compiled code that writes snapshots: arrays in, arrays out. encode_plain.py writes the same bytes.

Records are two words of 64 bits here: id, x, y; and z, heading, speed, animation, health, effects,
kind_flags. Nothing here allocates, raises, or holds the GIL; importing it compiles nothing.
Places in payloads are u64: with signed numbers each access would first look whether it counts from the end.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from zonecluster.compiled import compiled
from zonecluster.protocol.zone_payloads import (
    ANIMATION_CHANGED,
    ENTITY,
    HEADING_CHANGED,
    LEAST_SNAPSHOT_BYTES,
    LEFT,
    MAX_BASELINE_TICKS,
    MAX_NEAREST,
    MOVED_12_BITS,
    MOVED_BYTES,
    MOVED_TO,
    SNAPSHOT_HEADER,
    SPEED_CHANGED,
    STATUS_CHANGED,
    WHOLE,
    Z_CHANGED,
)
from zonecluster.snapshots.baselines import EMPTY_PLACE, ROW_BITS, TICK_BITS, TICK_SHIFT
from zonecluster.snapshots.parts import FAR_WEIGHT, FOCUS, NEVER_SEEN_TICKS, RECENT, URGENT, URGENT_TICKS

_SLOTS_AT = (SNAPSHOT_HEADER.names or ()).index("slots")
_WHOLE_BYTES = 1 + ENTITY.itemsize
_AT = MAX_BASELINE_TICKS - 1  # tick & _AT is its place in a ring
_NOBODY, _NEW = -1, 64  # of `occupants`: rank of who stands in a place, with _NEW for one who was not there
_RANK = MAX_NEAREST - 1
_VIEW_BYTES, _LINE_BYTES = np.uint64(4 * MAX_NEAREST), np.uint64(64)
_LINK_BYTES, _VIEW_LINES = np.uint64(4 * MAX_NEAREST * MAX_BASELINE_TICKS), 4 * MAX_NEAREST // 64
_LOW_32 = np.uint64(0xFFFF_FFFF)
_16_BITS = np.uint64(0xFFFF)
_BYTE = np.uint64(0xFF)
_1, _2, _3, _4 = (np.uint64(each) for each in range(1, 5))
_0, _8, _16, _24, _32, _40, _48, _56 = (np.uint64(8 * each) for each in range(8))
_STATUS = np.uint64(0xFFFF_FF00_0000_0000)


@intrinsic
def _prefetch(typing_context, address):
    """Ask the processor to have a line of memory at hand soon; any address is safe."""

    def generate(context, builder, signature, arguments):
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        at = builder.inttoptr(arguments[0], pointer)
        builder.call(function, [at, number(0), number(3), number(1)])  # to read, to be kept, data
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@compiled
def _prefetch_link(links, viewers, index, here):
    """Ask for the next viewer's words: they are far away, and waiting for them was a fourth of all time."""
    if index >= viewers.slots.shape[0]:
        return
    at = np.uint64(links.words.ctypes.data) + np.uint64(viewers.slots[index]) * _LINK_BYTES
    was = at + np.uint64(viewers.baselines[index] & _AT) * _VIEW_BYTES
    view = at + np.uint64(here) * _VIEW_BYTES
    for line in range(_VIEW_LINES):
        _prefetch(was + np.uint64(line) * _LINE_BYTES)
        _prefetch(view + np.uint64(line) * _LINE_BYTES)


@compiled
def _match(was, before, seen, count, history, tick, stamp, room):
    """Find who of the baseline's view is still seen, and places for those who come.

    Args: was: (64,) words of the baseline's view, which has `before` places; seen: (64,), `count` of them.
    Returns: how many places the view has. Writes: room.occupants of them, and of those that the baseline had.
    """
    stamps, occupants, now = room.stamps, room.occupants, history[tick & _AT]
    for rank in range(count):
        stamps[np.uint64(seen[rank])] = stamp | rank
    places = kept = 0
    for place in range(before):
        word = np.int64(was[place])
        occupants[place] = _NOBODY
        row, age = np.uint64(word & ROW_BITS), (tick - (word >> TICK_SHIFT)) & TICK_BITS
        if word == EMPTY_PLACE or age > _AT:
            continue
        found = np.int64(stamps[row]) - stamp
        if found < 0 or found > _RANK:
            continue
        if (history[(tick - age) & _AT, row, 0] ^ now[row, 0]) & _LOW_32 == _0:
            occupants[place] = found
            stamps[row] = 0
            places = place + 1
            kept += 1
    if kept < count:
        free = 0
        for rank in range(count):
            if np.int64(stamps[np.uint64(seen[rank])]) != stamp | rank:
                continue
            while free < before and occupants[free] != _NOBODY:
                free += 1
            occupants[free] = rank | _NEW
            free += 1
        places = max(places, free)
    return places


@compiled
def _put_record(payload, at, first, second):
    """Write a whole ENTITY."""
    for octet in range(8):
        payload[at + np.uint64(octet)] = (first >> np.uint64(8 * octet)) & _BYTE
        payload[at + np.uint64(8 + octet)] = (second >> np.uint64(8 * octet)) & _BYTE


@compiled
def _put_change(payload, at, was_first, was_second, first, second):
    """Write what makes one record of another; returns where it ends."""
    fields, end = 0, at + _1
    if was_first != first:
        x, y = np.int64((first >> _32) & _16_BITS), np.int64(first >> _48)
        dx, dy = x - np.int64((was_first >> _32) & _16_BITS), y - np.int64(was_first >> _48)
        if -128 <= dx <= 127 and -128 <= dy <= 127:
            fields = MOVED_BYTES
            payload[end] = dx & 255
            payload[end + _1] = dy & 255
            end += _2
        elif -2048 <= dx <= 2047 and -2048 <= dy <= 2047:
            fields = MOVED_12_BITS
            packed = dx & 0xFFF | (dy & 0xFFF) << 12
            payload[end] = packed & 255
            payload[end + _1] = packed >> 8 & 255
            payload[end + _2] = packed >> 16
            end += _3
        else:
            fields = MOVED_TO
            payload[end], payload[end + _1] = x & 255, x >> 8
            payload[end + _2], payload[end + _3] = y & 255, y >> 8
            end += _4
    changed = was_second ^ second
    if changed != _0:
        if changed & _16_BITS != _0:
            fields |= Z_CHANGED
            payload[end], payload[end + _1] = second & _BYTE, (second >> _8) & _BYTE
            end += _2
        if (changed >> _16) & _BYTE != _0:
            fields |= HEADING_CHANGED
            payload[end] = (second >> _16) & _BYTE
            end += _1
        if (changed >> _24) & _BYTE != _0:
            fields |= SPEED_CHANGED
            payload[end] = (second >> _24) & _BYTE
            end += _1
        if (changed >> _32) & _BYTE != _0:
            fields |= ANIMATION_CHANGED
            payload[end] = (second >> _32) & _BYTE
            end += _1
        if changed & _STATUS != _0:
            fields |= STATUS_CHANGED
            payload[end], payload[end + _1] = (second >> _40) & _BYTE, (second >> _48) & _BYTE
            payload[end + _2] = second >> _56
            end += _3
    payload[at] = fields
    return end


@compiled
def _write_all(was, before, view, seen, history, tick, places, payload, room):
    """Write all changes, however many bytes they are, and the view they make; returns where they end.

    Args: was, before: words and number of places of the baseline's view. Writes: view: (64,) words;
        room.ends: where the change of each place ends.
    """
    end, mask = np.uint64(LEAST_SNAPSHOT_BYTES + (places + 7 >> 3)), _0
    now, stamp = history[tick & _AT], (tick & TICK_BITS) << TICK_SHIFT
    occupants, ends = room.occupants, room.ends
    for place in range(places):
        occupant = occupants[place]
        start = end
        if occupant == _NOBODY:
            # Was it taken in the baseline? Then its holder has left.
            if place < before and was[place] != EMPTY_PLACE:
                payload[end] = LEFT
                end += _1
            view[place] = EMPTY_PLACE
        elif occupant & _NEW:
            row = np.uint64(seen[occupant & _RANK])
            payload[end] = WHOLE
            _put_record(payload, end + _1, now[row, 0], now[row, 1])
            end += np.uint64(_WHOLE_BYTES)
            view[place] = np.int64(row) | stamp
        else:
            word = np.int64(was[place])
            row, age = np.uint64(word & ROW_BITS), (tick - (word >> TICK_SHIFT)) & TICK_BITS
            then = (tick - age) & _AT
            was_first, was_second = history[then, row, 0], history[then, row, 1]
            first, second = now[row, 0], now[row, 1]
            if was_first != first or was_second != second:
                end = _put_change(payload, end, was_first, was_second, first, second)
            view[place] = (word & ROW_BITS) | stamp
        ends[place] = end
        if end != start:
            mask |= _1 << np.uint64(place)
    _put_mask(payload, places, mask)
    return np.int64(end)


@compiled
def _put_mask(payload, places, mask):
    """Write which places change."""
    for octet in range(places + 7 >> 3):
        payload[LEAST_SNAPSHOT_BYTES + octet] = (mask >> np.uint64(8 * octet)) & _BYTE


@compiled
def _note_recent(links, tick, viewers, index, room):
    """Find whom the newest view shows as they were after the baseline: bit 0 of room.notes, by rank."""
    count, baseline, slot = viewers.counts[index], viewers.baselines[index], viewers.slots[index]
    stamp = index + 1 << 6
    for rank in range(count):
        room.notes[rank] = 0
        room.stamps[viewers.seen[index, rank]] = stamp | rank
    latest = np.int64(links.latest[slot])
    if baseline == 0 or latest <= baseline or tick - latest > _AT:
        return
    for place in range(np.int64(links.places[slot, latest & _AT])):
        word = np.int64(links.words[slot, latest & _AT, place])
        if word == EMPTY_PLACE or ((tick - (word >> TICK_SHIFT)) & TICK_BITS) >= tick - baseline:
            continue
        found = room.stamps[word & ROW_BITS]
        if found >> 6 == index + 1:
            room.notes[found & _RANK] = 1


@compiled
def _urgency(history, tick, viewer, row, rank, age, is_recent, focus):
    """Return a number that is greater for who is told of first."""
    entity = np.uint32(history[tick & _AT, row, 0] & _LOW_32)
    group, selected = focus.group[viewer], focus.selected[viewer]
    score = age * (FAR_WEIGHT - rank)
    if (selected != 0 and selected == entity) or (group != 0 and focus.group[row] == group):
        return FOCUS + score
    if is_recent:
        return RECENT + score
    return URGENT + score if age >= URGENT_TICKS else score


@compiled
def _rank_changes(links, history, tick, viewers, index, places, start, focus, room):
    """List the places that cost bytes by choice, most urgent first; returns (how many, bytes of all others).

    Args: start: where the changes begin. Writes: room.order; room.costs.
    """
    slot, at = viewers.slots[index], viewers.baselines[index] & _AT
    before = np.int64(links.places[slot, at]) if viewers.baselines[index] else 0
    _note_recent(links, tick, viewers, index, room)
    listed = fixed = 0
    for place in range(places):
        length = room.ends[place] - start
        start = room.ends[place]
        occupant = np.int64(room.occupants[place])
        was_there = place < before and links.words[slot, at, place] != EMPTY_PLACE
        if was_there and (occupant == _NOBODY or occupant & _NEW):
            fixed += 1
            length -= 1
        room.costs[place] = length
        if length == 0:
            continue
        rank = occupant & _RANK
        age = NEVER_SEEN_TICKS
        if not occupant & _NEW:
            age = (tick - (np.int64(links.words[slot, at, place]) >> TICK_SHIFT)) & TICK_BITS
        row = np.int64(viewers.seen[index, rank])
        urgency = _urgency(history, tick, viewers.rows[index], row, rank, age, room.notes[rank] != 0, focus)
        key = urgency << 6 | (_RANK - place)
        where = listed
        while where > 0 and room.order[where - 1] < key:
            room.order[where] = room.order[where - 1]
            where -= 1
        room.order[where] = key
        listed += 1
    return listed, fixed


@compiled
def _cut(links, history, tick, viewers, index, places, payload, focus, room):
    """Leave out of a payload what is more than its ration; returns (places of the view, where it ends)."""
    slot, at, here = viewers.slots[index], viewers.baselines[index] & _AT, tick & _AT
    before = np.int64(links.places[slot, at]) if viewers.baselines[index] else 0
    first = LEAST_SNAPSHOT_BYTES + (places + 7 >> 3)
    listed, fixed = _rank_changes(links, history, tick, viewers, index, places, first, focus, room)
    left = viewers.rations[index] - first - fixed
    for place in range(places):
        room.notes[place] = room.costs[place] == 0
    for each in range(listed):
        place = _RANK - (room.order[each] & _RANK)
        if room.costs[place] <= left:
            left -= room.costs[place]
            room.notes[place] = 1
    taken = 0
    for place in range(places):
        occupant = room.occupants[place]
        if occupant != _NOBODY and (room.notes[place] or not occupant & _NEW):
            taken = place + 1
    # Everything moves towards the front, so that nothing is overwritten before it is read.
    end, start = LEAST_SNAPSHOT_BYTES + (taken + 7 >> 3), first
    for octet in range(LEAST_SNAPSHOT_BYTES, end):
        payload[octet] = 0
    for place in range(taken):
        stop, is_sent, occupant = room.ends[place], room.notes[place], room.occupants[place]
        was_there = place < before and links.words[slot, at, place] != EMPTY_PLACE
        begin = end
        if is_sent:
            for octet in range(start, stop):
                payload[end] = payload[octet]
                end += 1
        elif occupant & _NEW:
            links.words[slot, here, place] = EMPTY_PLACE
            if was_there:
                payload[end] = LEFT
                end += 1
        else:
            links.words[slot, here, place] = links.words[slot, at, place]
        if end != begin:
            payload[LEAST_SNAPSHOT_BYTES + (place >> 3)] |= 1 << (place & 7)
        start = stop
    return taken, end


@compiled
def write_snapshots(links, history, tick, viewers, focus, outbox, room):
    """Write the snapshots of a tick and keep the views they make.

    Args: history: (32, n, 2) u64 by tick modulo 32; room: scratch, see Room.
    Writes: outbox.payloads, outbox.lengths; links.words and links.places of the tick.
    """
    for row in range(room.stamps.shape[0]):
        room.stamps[row] = 0
    here = tick & _AT
    for index in range(viewers.rows.shape[0]):
        _prefetch_link(links, viewers, index + 1, here)
        payload, head = outbox.payloads[index], outbox.heads[index]
        for octet in range(LEAST_SNAPSHOT_BYTES):
            payload[octet] = head[octet]
        slot, baseline, seen = viewers.slots[index], viewers.baselines[index], viewers.seen[index]
        was, view = links.words[slot, baseline & _AT], links.words[slot, here]
        before = np.int64(links.places[slot, baseline & _AT]) if baseline else 0
        stamp = index + 1 << 6
        places = _match(was, before, seen, np.int64(viewers.counts[index]), history, tick, stamp, room)
        end = _write_all(was, before, view, seen, history, tick, places, payload, room)
        if end > viewers.budgets[index]:
            places, end = _cut(links, history, tick, viewers, index, places, payload, focus, room)
        payload[_SLOTS_AT] = places
        links.places[slot, here] = places
        outbox.lengths[index] = end
