"""The first system: what players wish. Decodes INPUT payloads in batches, applies the newest of each player.

Payloads come from the network: every length, kind and count is checked, and what does not fit is counted and
dropped. An input is a wish that holds until the next one, so of several only the newest matters.
"""

from dataclasses import dataclass

import numpy as np

from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, MAX_INPUTS_PER_PACKET
from zonecluster.simulation.tables import PLAYER, Tables

STALE_INPUT_S = 1.0  # a client that says nothing for so long has its walker stopped
FULL_WISH = 127

LENGTHS = {
    INPUT_HEADER.itemsize + INPUT_RECORD.itemsize * count: count
    for count in range(1, MAX_INPUTS_PER_PACKET + 1)
}
MAX_INPUT_BYTES = max(LENGTHS)
PACKETS = {
    count: np.dtype([("header", INPUT_HEADER), ("records", INPUT_RECORD, (count,))])
    for count in range(1, MAX_INPUTS_PER_PACKET + 1)
}


@dataclass(frozen=True)
class Inputs:
    """Decoded inputs: `rows` (m,) of the senders, `records` (m,) INPUT_RECORD; `refused` counts payloads.

    Of the sound payloads: `payloads` (g,) their indices, `acks` (g,) u32 the snapshots that they acknowledge.
    """

    rows: np.ndarray
    records: np.ndarray
    payloads: np.ndarray
    acks: np.ndarray
    refused: int = 0


NO_INPUTS = Inputs(
    np.empty(0, np.int64), np.empty(0, INPUT_RECORD), np.empty(0, np.int64), np.empty(0, np.uint32)
)


def decode_inputs(rows: list[int], payloads: list[bytes]) -> Inputs:
    """Decode INPUT payloads that are single bytes objects, each with the row of its sender."""
    width = max(map(len, payloads), default=0)
    data = b"".join([payload.ljust(width, b"\0") for payload in payloads])
    return decode_input_matrix(
        np.array(rows, np.int64),
        np.frombuffer(data, np.uint8).reshape(len(payloads), width),
        np.array([len(payload) for payload in payloads], np.int64),
    )


def decode_input_matrix(rows: np.ndarray, data: np.ndarray, lengths: np.ndarray) -> Inputs:
    """Decode INPUT payloads. Hostile bytes are counted and left out.

    Args: rows: (m,) int64 of the senders; data: (m, width) u8; lengths: (m,) of the payloads. One that is
        longer than any input need not be whole in data.
    """
    found = [NO_INPUTS]
    for length in np.unique(lengths).tolist():
        count = LENGTHS.get(length)
        if count is not None:
            of_length = np.flatnonzero(lengths == length)
            found.append(_decode_equal(count, rows, of_length, data[of_length, :length]))
    payloads = np.concatenate([part.payloads for part in found])
    return Inputs(
        np.concatenate([part.rows for part in found]),
        np.concatenate([part.records for part in found]),
        payloads,
        np.concatenate([part.acks for part in found]),
        len(rows) - len(payloads),
    )


def _decode_equal(count: int, senders: np.ndarray, payloads: np.ndarray, data: np.ndarray) -> Inputs:
    """Decode the payloads (k,) of one length; data: (k, length) u8."""
    table = np.ascontiguousarray(data).view(PACKETS[count])[:, 0]
    good = (table["header"]["kind"] == INPUT) & (table["header"]["count"] == count)
    table, payloads = table[good], payloads[good]
    rows = np.repeat(senders[payloads], count)
    return Inputs(rows, table["records"].reshape(-1), payloads, table["header"]["snapshot_ack"])


def apply_inputs(tables: Tables, inputs: Inputs, dt: float) -> None:
    """Set what players wish, by the newest input of each that is newer than the last one processed.

    Wishes longer than the top speed are cut to it, and counted as corrections.
    Writes: wish, heading_deg, input_seq, input_tick, corrections.
    """
    rows, records = _newest(tables, inputs)
    move = np.stack([records["move_x"], records["move_y"]], axis=1).astype(np.float32)
    length = np.hypot(move[:, 0], move[:, 1])
    is_cut = length > FULL_WISH
    move /= np.where(is_cut, length, np.float32(FULL_WISH))[:, None]
    tables.wish[rows] = move
    tables.heading_deg[rows] = records["heading"].astype(np.float32) * np.float32(360 / 256)
    tables.corrections[rows] += is_cut.astype(np.uint16)
    tables.input_seq[rows] = records["seq"]
    tables.input_tick[rows] = tables.tick
    is_stale = (tables.kind == PLAYER) & (tables.tick - tables.input_tick > round(STALE_INPUT_S / dt))
    tables.wish[is_stale] = 0


def _newest(tables: Tables, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Return each player's newest input, if newer than the last one processed: rows (k,), records (k,)."""
    records = inputs.records
    is_new = tables.alive[inputs.rows] & (tables.kind[inputs.rows] == PLAYER)
    is_new &= records["seq"] > tables.input_seq[inputs.rows]
    rows, records = inputs.rows[is_new], records[is_new]
    order = np.lexsort((records["seq"], rows))
    rows, records = rows[order], records[order]
    is_last = np.ones(len(rows), bool)
    is_last[:-1] = rows[1:] != rows[:-1]
    return rows[is_last], records[is_last]
