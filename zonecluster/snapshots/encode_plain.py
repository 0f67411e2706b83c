"""Snapshots encoded by numpy, many viewers at once: the fallback, and the measure of the compiled way."""

from typing import NamedTuple

import numpy as np

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
from zonecluster.snapshots.baselines import EMPTY_PLACE, ROW_BITS, TICK_BITS, TICK_SHIFT, Links
from zonecluster.snapshots.parts import (
    FAR_WEIGHT,
    FOCUS,
    NEVER_SEEN_TICKS,
    RECENT,
    URGENT,
    URGENT_TICKS,
    Focus,
    Outbox,
    Viewers,
)

AT_ONCE = 128  # viewers: their tables of 64 × 64 stay in the processor's cache
WHOLE_BYTES = 1 + ENTITY.itemsize
SLOTS_AT = (SNAPSHOT_HEADER.names or ()).index("slots")  # the fields before it are bytes
MAX_RECORD_AGE = MAX_BASELINE_TICKS - 1  # ticks: older records are gone from the history
PLACES = np.arange(MAX_NEAREST)
STATUS = ("health", "effects", "kind_flags")


class Matched(NamedTuple):
    """Who stands where in the new views; (c, 64) by viewer and place."""

    was_there: np.ndarray  # bool: the baseline has somebody in the place
    is_kept: np.ndarray  # bool: who is still in view
    is_new: np.ndarray  # bool: somebody else comes here
    rank: np.ndarray  # of who stands there now, 0 the nearest
    rows: np.ndarray  # of who stands there now; 0 where nobody does
    words: np.ndarray  # u4, of the baseline
    ages: np.ndarray  # ticks since the record of the baseline was taken

    def taken(self) -> np.ndarray:
        """Return where somebody stands."""
        return self.is_kept | self.is_new


def write_plain(
    links: Links, history: np.ndarray, tick: int, viewers: Viewers, focus: Focus, outbox: Outbox
) -> None:
    """Write the snapshots of a tick and keep the views they make.

    Args: history: (32, n) ENTITY by tick modulo 32.
    Writes: outbox.payloads, outbox.lengths; links.words and links.places of the tick.
    """
    for start in range(0, len(viewers.rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        _write_some(
            links,
            history,
            tick,
            Viewers(*(column[part] for column in viewers)),
            focus,
            Outbox(*(column[part] for column in outbox)),
        )


def _write_some(
    links: Links, history: np.ndarray, tick: int, viewers: Viewers, focus: Focus, outbox: Outbox
) -> None:
    matched = match(links, history, tick, viewers)
    changes, is_part = changes_of(matched, history, tick)
    lengths = is_part.sum(axis=2)
    is_sent = choose(matched, lengths, links, history, tick, viewers, focus)
    is_taken = matched.is_kept | (matched.is_new & is_sent)
    places = places_of(is_taken)
    is_inside = places[:, None] > PLACES
    has_left = matched.was_there & ~is_taken & is_inside
    changes[has_left, 0] = LEFT
    is_part[~is_sent] = False
    is_part[has_left, 0] = True
    _keep(links, tick, viewers.slots, matched, is_taken, is_sent, places)
    _lay_out(outbox, changes, is_part, places)


def match(links: Links, history: np.ndarray, tick: int, viewers: Viewers) -> Matched:
    """Find who of the baseline's view is still seen, and places for those who come."""
    at = viewers.baselines % MAX_BASELINE_TICKS
    words = links.words[viewers.slots, at]
    base_places = np.where(viewers.baselines > 0, links.places[viewers.slots, at], 0)
    was_there = (base_places[:, None] > PLACES) & (words != EMPTY_PLACE)
    ages = (tick - (words >> TICK_SHIFT).astype(np.int64)) & TICK_BITS
    is_known = was_there & (ages <= MAX_RECORD_AGE)
    base_rows = np.where(is_known, words & ROW_BITS, 0).astype(np.int64)
    is_seen = viewers.counts[:, None] > PLACES
    seen = np.where(is_seen, viewers.seen, -1)
    is_same = base_rows[:, :, None] == seen[:, None, :]
    before, now = history["id"][(tick - ages) % MAX_BASELINE_TICKS, base_rows], _now(history, tick)["id"]
    is_kept = is_known & is_same.any(axis=2) & (before == now[base_rows])
    rank = is_same.argmax(axis=2)
    is_placed = np.zeros(seen.shape, bool)
    viewer, _ = np.nonzero(is_kept)
    is_placed[viewer, rank[is_kept]] = True
    is_coming = is_seen & ~is_placed
    free = np.argsort(is_kept, axis=1, kind="stable")  # places: the free ones first, ascending
    viewer, coming = np.nonzero(is_coming)
    place = free[viewer, (is_coming.cumsum(axis=1) - 1)[is_coming]]
    is_new = np.zeros(seen.shape, bool)
    is_new[viewer, place] = True
    rank[viewer, place] = coming
    rows = np.where(is_kept | is_new, np.take_along_axis(seen, rank, axis=1), 0)
    return Matched(was_there, is_kept, is_new, rank, rows, words, ages)


def places_of(is_taken: np.ndarray) -> np.ndarray:
    """Return (c,): how many places views (c, 64) have, up to the last that is taken."""
    return ((PLACES + 1) * is_taken).max(axis=1)


def _now(history: np.ndarray, tick: int) -> np.ndarray:
    return history[tick % MAX_BASELINE_TICKS]


def changes_of(matched: Matched, history: np.ndarray, tick: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all changes, (c, 64, 17) u8, and which of them belong to it, bool.

    Those of entities kept are laid out in the order of protocol.md with room for every part; the second array
    leaves out the parts that a change does not have.
    """
    shape = (*matched.rows.shape, WHOLE_BYTES)
    changes, is_part = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    now = _now(history, tick)
    arriving = now[matched.rows[matched.is_new]]
    changes[matched.is_new, 0] = WHOLE
    changes[matched.is_new, 1:] = arriving.view(np.uint8).reshape(-1, ENTITY.itemsize)
    is_part[matched.is_new] = True
    rows = matched.rows[matched.is_kept]
    before = history[(tick - matched.ages[matched.is_kept]) % MAX_BASELINE_TICKS, rows]
    deltas, of_delta = deltas_between(before, now[rows])
    changes[matched.is_kept, : deltas.shape[1]] = deltas
    is_part[matched.is_kept, : deltas.shape[1]] = of_delta
    return changes, is_part


def deltas_between(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes (k, 13) u8 of changes between records, and which of them belong to it, bool."""
    dx, dy = (now[axis].astype(np.int64) - before[axis] for axis in "xy")
    least, most = np.minimum(dx, dy), np.maximum(dx, dy)
    has_moved = (dx != 0) | (dy != 0)
    is_little = has_moved & (least >= -128) & (most <= 127)
    is_some = has_moved & ~is_little & (least >= -2048) & (most <= 2047)
    is_far = has_moved & ~is_little & ~is_some
    packed = dx & 0xFFF | (dy & 0xFFF) << 12
    first = np.select([is_little, is_some], [dx & 0xFF, packed & 0xFF], now["x"] & 0xFF)
    second = np.select([is_little, is_some], [dy & 0xFF, packed >> 8 & 0xFF], now["x"] >> 8)
    third = np.where(is_some, packed >> 16, now["y"] & 0xFF)
    has_z = now["z"] != before["z"]
    z = now["z"].astype(np.int64) & 0xFFFF
    has = {name: now[name] != before[name] for name in ("heading", "speed", "animation", *STATUS)}
    has_status = has["health"] | has["effects"] | has["kind_flags"]
    fields = is_little * MOVED_BYTES + is_some * MOVED_12_BITS + is_far * MOVED_TO
    fields += has_z * Z_CHANGED + has["heading"] * HEADING_CHANGED + has["speed"] * SPEED_CHANGED
    fields += has["animation"] * ANIMATION_CHANGED + has_status * STATUS_CHANGED
    parts = [
        (fields, fields != 0),
        *((first, has_moved), (second, has_moved), (third, is_some | is_far), (now["y"] >> 8, is_far)),
        *((z & 0xFF, has_z), (z >> 8, has_z)),
        *((now[name], has[name]) for name in ("heading", "speed", "animation")),
        *((now[name], has_status) for name in STATUS),
    ]
    octets = np.stack([part.astype(np.uint8) for part, _ in parts], axis=1)
    return octets, np.stack([is_there for _, is_there in parts], axis=1)


def choose(
    matched: Matched,
    lengths: np.ndarray,
    links: Links,
    history: np.ndarray,
    tick: int,
    viewers: Viewers,
    focus: Focus,
) -> np.ndarray:
    """Return (c, 64) bool: which changes are sent. All of them, but where they would be more than the budget.

    Args: lengths: (c, 64) bytes of the changes.
    """
    is_taken = matched.taken()
    places = places_of(is_taken)
    is_vacated = matched.was_there & ~matched.is_kept & (places[:, None] > PLACES)
    # To leave a place costs 1 byte; who comes into it costs only what is more than that.
    fixed = LEAST_SNAPSHOT_BYTES + (places + 7) // 8 + is_vacated.sum(axis=1)
    costs = lengths - (is_vacated & matched.is_new)
    is_sent = np.ones(lengths.shape, bool)
    short = np.flatnonzero(costs.sum(axis=1) + fixed > viewers.budgets)
    if len(short):
        some = Matched(*(column[short] for column in matched))
        keys = urgency(some, links, history, tick, Viewers(*(column[short] for column in viewers)), focus)
        is_sent[short] = chosen(keys, costs[short], (viewers.rations - fixed)[short]) | (lengths[short] == 0)
    return is_sent


def chosen(keys: np.ndarray, costs: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Return (k, 64) bool: of those that cost anything, by descending key, each that still fits.

    Among equal keys the lowest place is first. Args: room: (k,) bytes in all.
    """
    order = np.argsort(-keys, axis=1, kind="stable")
    viewers, left = np.arange(len(room)), room.copy()
    is_chosen = np.zeros(costs.shape, bool)
    for place in order.T:
        cost = costs[viewers, place]
        does_fit = (cost > 0) & (cost <= left)
        is_chosen[viewers, place] = does_fit
        left -= cost * does_fit
    return is_chosen


def urgency(
    matched: Matched, links: Links, history: np.ndarray, tick: int, viewers: Viewers, focus: Focus
) -> np.ndarray:
    """Return (k, 64), by viewer and place: the greatest number is told of first."""
    rows, ages = matched.rows, np.where(matched.is_new, NEVER_SEEN_TICKS, matched.ages)
    own_group, selected = focus.group[viewers.rows][:, None], focus.selected[viewers.rows][:, None]
    is_focus = (selected != 0) & (_now(history, tick)["id"][rows] == selected)
    is_focus |= (own_group != 0) & (focus.group[rows] == own_group)
    since = rows_since_baseline(links, tick, viewers)
    is_recent = (rows[:, :, None] == since[:, None, :]).any(axis=2)
    kind = np.select([is_focus, is_recent, ages >= URGENT_TICKS], [FOCUS, RECENT, URGENT], 0)
    return kind + ages * (FAR_WEIGHT - matched.rank)


def rows_since_baseline(links: Links, tick: int, viewers: Viewers) -> np.ndarray:
    """Return (k, 64): rows that the newest view shows as they were after the baseline, and -1."""
    latest = links.latest[viewers.slots].astype(np.int64)
    at = latest % MAX_BASELINE_TICKS
    words, places = links.words[viewers.slots, at], links.places[viewers.slots, at]
    is_between = (viewers.baselines > 0) & (latest > viewers.baselines) & (tick - latest < MAX_BASELINE_TICKS)
    ages = (tick - (words >> TICK_SHIFT).astype(np.int64)) & TICK_BITS
    is_since = (ages < (tick - viewers.baselines)[:, None]) & (words != EMPTY_PLACE)
    is_since &= is_between[:, None] & (places[:, None] > PLACES)
    return np.where(is_since, (words & ROW_BITS).astype(np.int64), -1)


def _keep(
    links: Links,
    tick: int,
    slots: np.ndarray,
    matched: Matched,
    is_taken: np.ndarray,
    is_sent: np.ndarray,
    places: np.ndarray,
) -> None:
    """Keep the views as they are at the client once it has read the snapshots."""
    at = tick % MAX_BASELINE_TICKS
    fresh = matched.rows.astype(np.uint32) | np.uint32((tick & TICK_BITS) << TICK_SHIFT)
    words = np.where(is_taken, np.where(is_sent, fresh, matched.words), np.uint32(EMPTY_PLACE))
    links.words[slots, at] = words
    links.places[slots, at] = places


def _lay_out(outbox: Outbox, changes: np.ndarray, is_part: np.ndarray, places: np.ndarray) -> None:
    """Write payloads and their lengths: head, mask, changes."""
    outbox.payloads[:, :LEAST_SNAPSHOT_BYTES] = outbox.heads
    outbox.payloads[:, SLOTS_AT] = places
    masks = np.packbits(is_part.any(axis=2), axis=1, bitorder="little")
    starts = LEAST_SNAPSHOT_BYTES + (places + 7) // 8
    columns = np.arange(outbox.payloads.shape[1])
    of_mask = (columns >= LEAST_SNAPSHOT_BYTES) & (columns < starts[:, None])
    outbox.payloads[of_mask] = masks[np.arange(masks.shape[1]) < (starts - LEAST_SNAPSHOT_BYTES)[:, None]]
    outbox.lengths[:] = starts + is_part.sum(axis=(1, 2))
    of_changes = (columns >= starts[:, None]) & (columns < outbox.lengths[:, None])
    outbox.payloads[of_changes] = changes[is_part]
