"""Compiled code of the grid: sort a place's rows into cells, look around each viewer, choose the nearest.

A place is cut into slabs by y and columns by x so that each slab, and each column, holds about as many rows:
where many stand, cells are small, so a hot spot costs what an empty plain does. Arrays in, arrays out; none
is made. Here a `radius` is squared, as distances are, and the viewer is among those found until the end.
"""

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.interest.scene import FARTHEST_M, NOBODY

SMALL = 96  # rows of a place, or found in a window: up to so many, sorting all is cheaper than choosing
ROWS_PER_CELL = 4.0
MAX_LINES = 128  # slabs, or columns, of a place
MAX_CELLS = MAX_LINES * MAX_LINES
DIGIT_BITS = 11
DIGITS = 1 << DIGIT_BITS
SLACK = 8  # rows more than wanted that are sorted rather than looking for a closer limit
MOST_TURNS = 40  # of looking for it
WIDER = np.float32(1.25)  # the next viewer's first radius, from this one's
NARROWER = 1.0 - 1e-5  # for the rounding of float32 distances, many times over
LEAST_RADIUS = np.float32(1e-6)  # of another look: doubling nothing would never end
NO_LIMIT = np.float32(np.inf)

_SIGN, _ALL = np.uint32(0x8000_0000), np.uint32(0xFFFF_FFFF)
_LOW_DIGIT = np.uint32(DIGITS - 1)


# ---------------------------------------------------------------- sorting


@compiled
def _copy(source, target):
    """Copy numbers. (An assignment of slices would allocate.)"""
    for at in range(source.shape[0]):
        target[at] = source[at]


@compiled
def _is_standing(scene, row):
    x, y = scene.position[row, 0], scene.position[row, 1]
    return 0 <= scene.place[row] < scene.sizes.shape[0] and abs(x) <= FARTHEST_M and abs(y) <= FARTHEST_M


@compiled
def _sort_by_place(scene, starts, by_place):
    """Counting sort of all rows by place, ascending; place p is by_place[starts[p] : starts[p + 1]]."""
    places = scene.sizes.shape[0]
    starts[: places + 2] = 0
    for row in range(scene.place.shape[0]):
        if _is_standing(scene, row):
            starts[scene.place[row] + 2] += 1
    for at in range(places):
        starts[at + 2] += starts[at + 1]
    for row in range(scene.place.shape[0]):
        if _is_standing(scene, row):
            at = scene.place[row] + 1
            by_place[starts[at]] = row
            starts[at] += 1


@compiled
def _key(bits):
    """Return a float32's bits as a number that sorts as it does; −0 is 0."""
    if bits == _SIGN:
        return _SIGN
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN


@compiled
def _sort_by_axis(bits, axis, order, spare, keys, spare_keys, counts):
    """Radix sort of rows by one axis of their position, stable. The others: as long, overwritten."""
    counts[:] = 0
    for at in range(order.shape[0]):
        key = _key(bits[order[at], axis])
        keys[at] = key
        counts[0, key & _LOW_DIGIT] += 1
        counts[1, (key >> np.uint32(DIGIT_BITS)) & _LOW_DIGIT] += 1
        counts[2, key >> np.uint32(2 * DIGIT_BITS)] += 1
    _sort_by_digit(order, spare, keys, spare_keys, counts[0], np.uint32(0))
    _sort_by_digit(spare, order, spare_keys, keys, counts[1], np.uint32(DIGIT_BITS))
    _sort_by_digit(order, spare, keys, spare_keys, counts[2], np.uint32(2 * DIGIT_BITS))
    _copy(spare, order)


@compiled
def _sort_by_digit(order, result, keys, result_keys, counts, shift):
    total = 0
    for digit in range(DIGITS):
        here = counts[digit]
        counts[digit] = total
        total += here
    for at in range(order.shape[0]):
        key = keys[at]
        digit = (key >> shift) & _LOW_DIGIT
        to = counts[digit]
        counts[digit] = to + 1
        result[to] = order[at]
        result_keys[to] = key


@compiled
def _draw_lines(scene, axis, order, wanted, lines, lot_of):
    """Cut rows that are sorted by an axis into about `wanted` lots of equal size, equal values in one.

    Writes: lines: where each lot begins, metres; lot_of: by row.
    Returns: how many lots, 1..wanted.
    """
    size = max(1.0, order.shape[0] / wanted)
    lot, end = 0, size
    value = lines[0] = scene.position[order[0], axis]
    for at in range(order.shape[0]):
        row = order[at]
        if scene.position[row, axis] != value:
            value = scene.position[row, axis]
            if at >= end:
                lot += 1
                lines[lot] = value
                while end <= at:
                    end += size
        lot_of[row] = lot
    return lot + 1


@compiled
def _lot_at(lines, count, value):
    """Return the lot that a value falls in: the last that begins at or before it, or the first."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) >> 1
        if lines[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@compiled
def _sort_into_cells(scene, bits, rows, work):
    """Sort a place's rows by slab, column, x, y, row into work.by_cell; returns (slabs, columns)."""
    count = rows.shape[0]
    by_cell, order = work.by_cell[:count], work.order[:count]
    if count <= SMALL:
        _copy(rows, by_cell)
        for row in rows:
            work.cell_of[row] = 0
        return 1, 1
    keys, spare_keys = work.keys[:count], work.spare_keys[:count]
    wanted = min(MAX_LINES, max(1, int(np.sqrt(count / ROWS_PER_CELL))))
    _copy(rows, order)
    _sort_by_axis(bits, 1, order, by_cell, keys, spare_keys, work.digits)
    slabs = _draw_lines(scene, 1, order, wanted, work.slab_lines, work.slab_of)
    _sort_by_axis(bits, 0, order, by_cell, keys, spare_keys, work.digits)
    columns = _draw_lines(scene, 0, order, wanted, work.column_lines, work.cell_of)
    starts = work.cell_starts[: slabs * columns + 1]
    starts[:] = 0
    for row in order:
        cell = work.slab_of[row] * columns + work.cell_of[row]
        work.cell_of[row] = cell
        starts[cell + 1] += 1
    for cell in range(slabs * columns):
        starts[cell + 1] += starts[cell]
    for row in order:
        cell = work.cell_of[row]
        by_cell[starts[cell]] = row
        starts[cell] += 1
    return slabs, columns


@compiled
def _take_candidates(scene, by_cell, cells, most, work):
    """List those who can be seen, cell by cell, and apart from them those who always are.

    Of those on one and the same spot only the first most + 1 can be among the `most` nearest of anybody (with
    the viewer itself one of them): the others are left out, or a crowd on one spot would cost its square.
    Returns: how many candidates, how many always visible.
    """
    candidates = always = on_spot = next_cell = 0
    for row in by_cell:
        cell = work.cell_of[row]
        while next_cell <= cell:
            work.cell_starts[next_cell] = candidates
            next_cell += 1
        if scene.is_hidden[row]:
            continue
        x, y = scene.position[row, 0], scene.position[row, 1]
        if scene.is_always_visible[row]:
            work.always_x[always], work.always_y[always], work.always_rows[always] = x, y, row
            always += 1
            continue
        is_same = candidates > 0 and work.xs[candidates - 1] == x and work.ys[candidates - 1] == y
        on_spot = on_spot + 1 if is_same else 1
        if on_spot > most + 1:
            continue
        work.xs[candidates], work.ys[candidates], work.rows[candidates] = x, y, row
        candidates += 1
    while next_cell <= cells:
        work.cell_starts[next_cell] = candidates
        next_cell += 1
    return candidates, always


# ---------------------------------------------------------------- choosing


@compiled
def _measure(xs, ys, rows, x, y, squares, found):
    """Write squared distances, and rows beside them."""
    for at in range(xs.shape[0]):
        dx = xs[at] - x
        dy = ys[at] - y
        squares[at] = dx * dx + dy * dy
        found[at] = rows[at]


@compiled
def _count_within(squares, limit):
    total = np.int32(0)
    for at in range(squares.shape[0]):
        total = np.int32(total + (squares[at] <= limit))
    return np.int64(total)


@compiled
def _find_limit(squares, wanted, limit, within):
    """Narrow a limit that `within` ≥ wanted are within until hardly more than those wanted are."""
    low, below = np.float32(0), np.int64(0)
    for turn in range(MOST_TURNS):
        if within <= wanted + SLACK:
            break
        part = np.float32(0.5)
        if turn & 1 == 0:
            part = np.float32(wanted + SLACK // 2 - below) / np.float32(within - below)
        middle = low + (limit - low) * part
        if not low <= middle < limit:
            break
        here = _count_within(squares, middle)
        if here >= wanted:
            limit, within = middle, here
        else:
            low, below = middle, here
    return limit


@compiled
def _take_within(squares, found, limit, work):
    """Copy those within a limit to work.near, in the order they have; returns how many."""
    count = 0
    for at in range(squares.shape[0]):
        work.near[count] = squares[at]
        work.near_rows[count] = found[at]
        count += squares[at] <= limit
    return count


@compiled
def _sort_near(near, near_rows, taken, squares, rows):
    """Sort by distance, among equals by row, into `squares` and `rows`. All of one length.

    For each, those nearer are counted: work of n², but without a branch and 16 at a time. A bucket sort was
    as fast in an even crowd and slower in others.
    """
    taken[:] = 0
    for at in range(near.shape[0]):
        square, nearer = near[at], np.int32(0)
        for other in range(near.shape[0]):
            nearer = np.int32(nearer + (near[other] < square))
        to = nearer + taken[nearer]
        taken[nearer] += 1
        squares[to], rows[to] = square, near_rows[at]
    for at in range(1, near.shape[0]):
        row, to = rows[at], at
        while to > 0 and squares[to - 1] == squares[at] and rows[to - 1] > row:
            rows[to] = rows[to - 1]
            to -= 1
        rows[to] = row


@compiled
def _choose(count, wanted, limit, within, work):
    """Sort the nearest `wanted`, and perhaps some more, of work.squares[:count]; returns how many."""
    squares, found = work.squares[:count], work.found[:count]
    if within > wanted + SLACK:
        if not limit < NO_LIMIT:
            limit = np.float32(0)
            for square in squares:
                limit = max(limit, square)
        limit = _find_limit(squares, wanted, limit, within)
    chosen = _take_within(squares, found, limit, work)
    _sort_near(
        work.near[:chosen],
        work.near_rows[:chosen],
        work.taken[:chosen],
        work.chosen[:chosen],
        work.chosen_rows[:chosen],
    )
    return chosen


@compiled
def _write(viewer, chosen_rows, into, filled):
    """Append rows that are not the viewer until `into` is full; returns how many are in it."""
    own = 0
    while own < chosen_rows.shape[0] and chosen_rows[own] != viewer:
        own += 1
    end = filled + min(own, into.shape[0] - filled)
    _copy(chosen_rows[: end - filled], into[filled:end])
    last = end + max(0, min(chosen_rows.shape[0] - own - 1, into.shape[0] - end))
    _copy(chosen_rows[own + 1 : own + 1 + last - end], into[end:last])
    return last


# ---------------------------------------------------------------- looking


@compiled
def _gather(x, y, slabs, columns, radius, work):
    """Measure everybody in the cells that a square around a point touches.

    Returns: how many were found; the squared radius within which they are all there are.
    """
    side = np.sqrt(radius) / NARROWER + 1e-15
    column_lines, slab_lines, starts = work.column_lines, work.slab_lines, work.cell_starts
    left, right = _lot_at(column_lines, columns, x - side), _lot_at(column_lines, columns, x + side)
    bottom, top = _lot_at(slab_lines, slabs, y - side), _lot_at(slab_lines, slabs, y + side)
    edge = np.inf
    if left > 0:
        edge = min(edge, x - column_lines[left])
    if right < columns - 1:
        edge = min(edge, column_lines[right + 1] - x)
    if bottom > 0:
        edge = min(edge, y - slab_lines[bottom])
    if top < slabs - 1:
        edge = min(edge, slab_lines[top + 1] - y)
    count = 0
    for slab in range(bottom, top + 1):
        start, stop = starts[slab * columns + left], starts[slab * columns + right + 1]
        end = count + stop - start
        _measure(
            work.xs[start:stop],
            work.ys[start:stop],
            work.rows[start:stop],
            np.float32(x),
            np.float32(y),
            work.squares[count:end],
            work.found[count:end],
        )
        count = end
    return count, np.float32(edge * edge * NARROWER * NARROWER)


@compiled
def _look_around(x, y, slabs, columns, wanted, radius, work):
    """Sort the nearest `wanted` of all candidates, or all there are.

    Args: radius: squared, a guess; too small costs another look, too large a longer one.
    Returns: how many are in work.chosen; the radius that was needed.
    """
    while True:
        count, limit = _gather(np.float64(x), np.float64(y), slabs, columns, np.float64(radius), work)
        is_all = not limit < NO_LIMIT
        within = count if is_all else _count_within(work.squares[:count], limit)
        if is_all or within >= wanted:
            break
        radius = max(LEAST_RADIUS, limit, np.float32(2) * radius)  # at the least the next line
    chosen = _choose(count, min(wanted, within), limit, within, work)
    return chosen, work.chosen[min(wanted, chosen) - 1] if chosen > 0 else np.float32(0)


@compiled
def _first_radius(count, slabs, columns, wanted, work):
    """Return a guess for the first viewer: as if everybody stood evenly."""
    width = work.column_lines[columns - 1] - work.column_lines[0]
    height = work.slab_lines[slabs - 1] - work.slab_lines[0]
    return np.float32(width * height * wanted / (3 * count))


@compiled
def _see_place(scene, bits, rows, most, work, seen, counts):
    """Write whom the viewers of one place see. Args: rows: who stands there, ascending."""
    slabs, columns = _sort_into_cells(scene, bits, rows, work)
    by_cell = work.by_cell[: rows.shape[0]]
    candidates, always = _take_candidates(scene, by_cell, slabs * columns, most, work)
    radius = _first_radius(rows.shape[0], slabs, columns, most, work) if columns * slabs > 1 else NO_LIMIT
    for row in by_cell:  # cell by cell: so the last one's radius is a good guess for the next
        viewer = work.viewer_of[row]
        if viewer == NOBODY:
            continue
        x, y, filled = scene.position[row, 0], scene.position[row, 1], 0
        into = seen[viewer]
        if always > 0:
            _measure(
                work.always_x[:always],
                work.always_y[:always],
                work.always_rows[:always],
                x,
                y,
                work.squares[:always],
                work.found[:always],
            )
            chosen = _choose(always, min(most + 1, always), NO_LIMIT, always, work)
            filled = _write(row, work.chosen_rows[:chosen], into, 0)
        if filled < most and candidates > 0:
            chosen, needed = _look_around(x, y, slabs, columns, most - filled + 1, radius, work)
            filled = _write(row, work.chosen_rows[:chosen], into, filled)
            radius = needed * WIDER
        counts[viewer] = filled


@compiled
def see(scene, bits, viewers, most, work, seen, counts):
    """Write whom each viewer sees. See scene.py: Interest.nearest.

    Args: bits: the positions as u4; work: scratch; seen: (m, most) i4; counts: (m,) i4, zeros.
    Returns: False if a viewer is listed twice; then the answer is none.
    """
    is_fair = True
    for viewer in range(viewers.shape[0]):
        is_fair = is_fair and work.viewer_of[viewers[viewer]] == NOBODY
        work.viewer_of[viewers[viewer]] = viewer
    _sort_by_place(scene, work.place_starts, work.by_place)
    for place in range(scene.sizes.shape[0]):
        rows = work.by_place[work.place_starts[place] : work.place_starts[place + 1]]
        has_viewers = False
        for row in rows:
            has_viewers = has_viewers or work.viewer_of[row] != NOBODY
        if has_viewers:
            _see_place(scene, bits, rows, most, work, seen, counts)
    for viewer in range(viewers.shape[0]):
        work.viewer_of[viewers[viewer]] = NOBODY
        for at in range(counts[viewer], most):
            seen[viewer, at] = NOBODY
    return is_fair
