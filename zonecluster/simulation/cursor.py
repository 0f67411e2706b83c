"""The first system: which wish of each player is played now. One client tick is played in each server tick.

Every player has a cursor, the client tick that is being played, and a ring of wishes that wait for theirs.
However many inputs come, however early, late or with whatever numbers: a server tick moves a player by one
tick's step, so nothing that is sent gains a metre. What the cursor decides is which wish that step follows,
and so whether the client could foresee it.
Source: docs/protocol.md, section "Inputs".
"""

import numpy as np

from zonecluster.protocol.zone_payloads import INPUT_RECORD
from zonecluster.simulation.inputs import Inputs
from zonecluster.simulation.tables import MAX_PENDING, PLAYER, Tables

LAST_SEQ = 2**31 - 1  # a client tick above this is none: it could come after no other
BUFFER_TICKS = 2  # a cursor that is set anew stands so far behind the newest input
STALE_INPUT_S = 1.0  # a client that says nothing new for so long has its walker stopped
LATE_S = 0.5  # a client all of whose inputs come late for so long has its cursor set back
FULL_WISH = 127
ROUNDED_WISH = 128  # a wish of up to this is merely rounded: cut, not counted
PENDING_BITS = MAX_PENDING - 1  # of a client tick: where it waits in the ring; cheaper than a remainder
assert MAX_PENDING & PENDING_BITS == 0
HALF = np.uint64(32)  # bits of a key: the client tick above, the rest of the record below


def play_inputs(tables: Tables, inputs: Inputs, dt: float) -> None:
    """Move all cursors on by one client tick, take the inputs that came, and set what players wish now.

    Wishes longer than the top speed are cut to it. Cuts of more than rounding, and cursors that had to be set
    anew while the player walked, are counted as corrections.
    Writes: cursor, newest_seq, pending, playing, late_since_tick, input_tick, wish, heading_deg, corrections,
        wishes_cut, cursors_moved.
    """
    tables.cursor += tables.cursor > 0
    rows, seqs, keys = _usable(tables, inputs)
    is_moved = _set_cursors(tables, rows, seqs, dt)
    is_walking = (tables.wish[:, 0] != 0) | (tables.wish[:, 1] != 0)
    _correct(tables, is_moved & is_walking)
    tables.cursors_moved += int(np.count_nonzero(is_moved & is_walking))
    _play(tables, _due(tables, rows, seqs, keys, is_moved))
    tables.wish[_is_stale(tables, dt)] = 0


def _usable(tables: Tables, inputs: Inputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows (k,), client ticks (k,) and keys (k,) of the inputs of players whose numbers are any."""
    seqs = inputs.records["seq"].astype(np.int64)
    is_usable = tables.alive[inputs.rows] & (tables.kind[inputs.rows] == PLAYER)
    is_usable &= (seqs >= 1) & (seqs <= LAST_SEQ)
    words = np.ascontiguousarray(inputs.records).view("<u8")[is_usable].astype(np.uint64)
    return inputs.rows[is_usable], seqs[is_usable], words << HALF | words >> HALF


def _is_stale(tables: Tables, dt: float) -> np.ndarray:
    """Return (n,) bool: players who have said nothing new for a second."""
    return (tables.kind == PLAYER) & (tables.tick - tables.input_tick > round(STALE_INPUT_S / dt))


def _set_cursors(tables: Tables, rows: np.ndarray, seqs: np.ndarray, dt: float) -> np.ndarray:
    """Note the newest input of each player, and set cursors anew where they have lost their clients.

    Returns: (n,) bool, whose were set anew.
    """
    begins = np.zeros(len(tables), bool)
    begins[rows] = True
    begins &= (tables.cursor == 0) | _is_stale(tables, dt)  # whatever it counts now, it counts from there
    tables.newest_seq[begins] = tables.playing[begins] = tables.pending[begins] = 0
    tables.wish[begins] = 0
    before = tables.newest_seq.copy()
    np.maximum.at(tables.newest_seq, rows, seqs)
    rose = tables.newest_seq > before
    tables.input_tick[rose] = tables.tick
    lead = tables.newest_seq - tables.cursor
    is_late = rose & (lead < 0)
    tables.late_since_tick[rose & ~is_late] = 0
    tables.late_since_tick[is_late & (tables.late_since_tick == 0)] = tables.tick
    lags = is_late & (tables.tick - tables.late_since_tick >= round(LATE_S / dt))
    is_moved = begins | lags | (rose & (lead > MAX_PENDING))
    tables.cursor[is_moved] = np.maximum(tables.newest_seq[is_moved] - BUFFER_TICKS, 1)
    tables.late_since_tick[is_moved] = 0
    return is_moved & ~begins


def _due(
    tables: Tables, rows: np.ndarray, seqs: np.ndarray, keys: np.ndarray, is_moved: np.ndarray
) -> np.ndarray:
    """File what is for later, and return (n,) the key of each player's newest wish that is due; 0: none new.

    Of several records with one number the greatest counts, so that the order of arrival never matters.
    """
    played = (tables.playing >> HALF).astype(np.int64)
    new = np.flatnonzero(seqs > played[rows])
    rows, seqs, keys = rows[new], seqs[new], keys[new]
    is_due = seqs <= tables.cursor[rows]
    waits = ~is_due
    slots = rows[waits] * MAX_PENDING + (seqs[waits] & PENDING_BITS)
    np.maximum.at(tables.pending.reshape(-1), slots, keys[waits])
    due = tables.pending[np.arange(len(tables)), tables.cursor & PENDING_BITS]
    due[due >> HALF != tables.cursor.astype(np.uint64)] = 0
    jumped = np.flatnonzero(is_moved)  # over some that waited
    waiting = tables.pending[jumped]
    is_ripe = waiting >> HALF <= tables.cursor[jumped, None].astype(np.uint64)
    due[jumped] = np.where(is_ripe, waiting, 0).max(axis=1)
    np.maximum.at(due, rows[is_due], keys[is_due])
    due[due >> HALF <= tables.playing >> HALF] = 0
    return due


def _play(tables: Tables, due: np.ndarray) -> None:
    """Let players wish what is due."""
    rows = np.flatnonzero(due)
    keys = tables.playing[rows] = due[rows]
    records = (keys << HALF | keys >> HALF).astype("<u8").view(INPUT_RECORD)
    east, north = records["move_x"].astype(np.float32), records["move_y"].astype(np.float32)
    length = np.sqrt(east * east + north * north)
    full = np.maximum(length, np.float32(FULL_WISH))
    tables.wish[rows, 0], tables.wish[rows, 1] = east / full, north / full
    tables.heading_deg[rows] = records["heading"].astype(np.float32) * np.float32(360 / 256)
    is_wrong = length > ROUNDED_WISH
    _correct(tables, rows[is_wrong])
    tables.wishes_cut += int(np.count_nonzero(is_wrong))


def _correct(tables: Tables, rows: np.ndarray) -> None:
    """Count a correction for each of the rows (or where a mask is True)."""
    tables.corrections[rows] += np.uint16(1)
