"""Compiled code that writes snapshots: arrays in, arrays out. encode_plain.py writes the same bytes.

Records are two words of 64 bits here: id, x, y; and z, heading, speed, animation, health, effects,
kind_flags. Nothing here allocates, raises, or holds the GIL; importing it compiles nothing.
"""

import numpy as np

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
_LOW_32 = np.uint64(0xFFFF_FFFF)
_16_BITS = np.uint64(0xFFFF)
_BYTE = np.uint64(0xFF)
_0, _8, _16, _24, _32, _40, _48, _56 = (np.uint64(8 * each) for each in range(8))
_STATUS = np.uint64(0xFFFF_FF00_0000_0000)


@compiled
def _match(links, history, tick, viewers, index, room):
    """Find who of the baseline's view is still seen, and places for those who come.

    Returns: how many places the view has. Writes: room.occupants of them, and of those that the baseline had.
    """
    stamps, occupants = room.stamps, room.occupants
    count, baseline = viewers.counts[index], viewers.baselines[index]
    stamp = index + 1 << 6
    for rank in range(count):
        stamps[viewers.seen[index, rank]] = stamp | rank
    slot, at = viewers.slots[index], baseline & _AT
    before = np.int64(links.places[slot, at]) if baseline else 0
    places = kept = 0
    for place in range(before):
        word = np.int64(links.words[slot, at, place])
        occupants[place] = _NOBODY
        if word == EMPTY_PLACE:
            continue
        row, age = word & ROW_BITS, (tick - (word >> TICK_SHIFT)) & TICK_BITS
        found = stamps[row]
        if found >> 6 != index + 1 or age > _AT:
            continue
        if (history[(tick - age) & _AT, row, 0] ^ history[tick & _AT, row, 0]) & _LOW_32 == _0:
            occupants[place] = found & _RANK
            stamps[row] = 0
            places = place + 1
            kept += 1
    if kept < count:
        free = 0
        for rank in range(count):
            if stamps[viewers.seen[index, rank]] >> 6 != index + 1:
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
        payload[at + octet] = (first >> np.uint64(8 * octet)) & _BYTE
        payload[at + 8 + octet] = (second >> np.uint64(8 * octet)) & _BYTE


@compiled
def _put_change(payload, at, was_first, was_second, first, second):
    """Write what makes one record of another; returns where it ends."""
    fields, end = 0, at + 1
    if was_first != first:
        x, y = np.int64((first >> _32) & _16_BITS), np.int64(first >> _48)
        dx, dy = x - np.int64((was_first >> _32) & _16_BITS), y - np.int64(was_first >> _48)
        if -128 <= dx <= 127 and -128 <= dy <= 127:
            fields = MOVED_BYTES
            payload[end], payload[end + 1] = dx & 255, dy & 255
            end += 2
        elif -2048 <= dx <= 2047 and -2048 <= dy <= 2047:
            fields = MOVED_12_BITS
            packed = dx & 0xFFF | (dy & 0xFFF) << 12
            payload[end], payload[end + 1], payload[end + 2] = packed & 255, packed >> 8 & 255, packed >> 16
            end += 3
        else:
            fields = MOVED_TO
            payload[end], payload[end + 1] = x & 255, x >> 8
            payload[end + 2], payload[end + 3] = y & 255, y >> 8
            end += 4
    changed = was_second ^ second
    if changed != _0:
        if changed & _16_BITS != _0:
            fields |= Z_CHANGED
            payload[end], payload[end + 1] = second & _BYTE, (second >> _8) & _BYTE
            end += 2
        if (changed >> _16) & _BYTE != _0:
            fields |= HEADING_CHANGED
            payload[end] = (second >> _16) & _BYTE
            end += 1
        if (changed >> _24) & _BYTE != _0:
            fields |= SPEED_CHANGED
            payload[end] = (second >> _24) & _BYTE
            end += 1
        if (changed >> _32) & _BYTE != _0:
            fields |= ANIMATION_CHANGED
            payload[end] = (second >> _32) & _BYTE
            end += 1
        if changed & _STATUS != _0:
            fields |= STATUS_CHANGED
            payload[end], payload[end + 1] = (second >> _40) & _BYTE, (second >> _48) & _BYTE
            payload[end + 2] = second >> _56
            end += 3
    payload[at] = fields
    return end


@compiled
def _write_all(links, history, tick, viewers, index, places, payload, room):
    """Write all changes, however many bytes they are, and the view they make; returns where they end.

    Writes: room.ends: where the change of each place ends.
    """
    slot, at, here = viewers.slots[index], viewers.baselines[index] & _AT, tick & _AT
    before = np.int64(links.places[slot, at]) if viewers.baselines[index] else 0
    end = LEAST_SNAPSHOT_BYTES + (places + 7 >> 3)
    for octet in range(LEAST_SNAPSHOT_BYTES, end):
        payload[octet] = 0
    stamp = (tick & TICK_BITS) << TICK_SHIFT
    for place in range(places):
        occupant = np.int64(room.occupants[place])
        start = end
        if occupant == _NOBODY:
            # Was it taken in the baseline? Then its holder has left.
            if place < before and links.words[slot, at, place] != EMPTY_PLACE:
                payload[end] = LEFT
                end += 1
            links.words[slot, here, place] = EMPTY_PLACE
        else:
            row = np.int64(viewers.seen[index, occupant & _RANK])
            first, second = history[here, row, 0], history[here, row, 1]
            if occupant & _NEW:
                payload[end] = WHOLE
                _put_record(payload, end + 1, first, second)
                end += _WHOLE_BYTES
            else:
                age = (tick - (np.int64(links.words[slot, at, place]) >> TICK_SHIFT)) & TICK_BITS
                then = (tick - age) & _AT
                was_first, was_second = history[then, row, 0], history[then, row, 1]
                if was_first != first or was_second != second:
                    end = _put_change(payload, end, was_first, was_second, first, second)
            links.words[slot, here, place] = row | stamp
        room.ends[place] = end
        if end != start:
            payload[LEAST_SNAPSHOT_BYTES + (place >> 3)] |= 1 << (place & 7)
    return end


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
    """Leave out of a payload what is more than its budget; returns (places of the view, where it ends)."""
    slot, at, here = viewers.slots[index], viewers.baselines[index] & _AT, tick & _AT
    before = np.int64(links.places[slot, at]) if viewers.baselines[index] else 0
    first = LEAST_SNAPSHOT_BYTES + (places + 7 >> 3)
    listed, fixed = _rank_changes(links, history, tick, viewers, index, places, first, focus, room)
    left = viewers.budgets[index] - first - fixed
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
    for index in range(viewers.rows.shape[0]):
        payload = outbox.payloads[index]
        for octet in range(LEAST_SNAPSHOT_BYTES):
            payload[octet] = outbox.heads[index, octet]
        places = _match(links, history, tick, viewers, index, room)
        end = _write_all(links, history, tick, viewers, index, places, payload, room)
        if end > viewers.budgets[index]:
            places, end = _cut(links, history, tick, viewers, index, places, payload, focus, room)
        payload[_SLOTS_AT] = places
        links.places[viewers.slots[index], tick & _AT] = places
        outbox.lengths[index] = end
