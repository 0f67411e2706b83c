"""Decodes INPUT payloads in batches. What is done with the inputs is cursor.py's.

Payloads come from the network: every length, kind and count is checked, and what does not fit is counted and
dropped.
"""

from dataclasses import dataclass

import numpy as np

from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, MAX_INPUTS_PER_PACKET

LENGTHS = {
    INPUT_HEADER.itemsize + INPUT_RECORD.itemsize * count: count
    for count in range(1, MAX_INPUTS_PER_PACKET + 1)
}
MAX_INPUT_BYTES = max(LENGTHS)
KIND_AT, COUNT_AT, ACK_AT = 0, 1, 2  # in INPUT_HEADER
WORD = np.dtype("<u8")  # one INPUT_RECORD
assert INPUT_RECORD.itemsize == WORD.itemsize


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

    Args: rows: (m,) int64 of the senders; -1: nobody's, left out and not counted. data: (m, width) u8;
        lengths: (m,) of the payloads; one that is longer than any input need not be whole in data.
    """
    of_somebody = rows >= 0
    kinds = np.where(of_somebody, np.minimum(lengths, MAX_INPUT_BYTES + 1), 0)
    found = [NO_INPUTS]
    for length in np.flatnonzero(np.bincount(kinds)).tolist():
        count = LENGTHS.get(length)
        if count is not None:
            of_length = np.flatnonzero(kinds == length)
            found.append(_decode_equal(count, rows, of_length, data[of_length, :length]))
    payloads = np.concatenate([part.payloads for part in found])
    return Inputs(
        np.concatenate([part.rows for part in found]),
        np.concatenate([part.records.view(WORD) for part in found]).view(INPUT_RECORD),
        payloads,
        np.concatenate([part.acks for part in found]),
        int(np.count_nonzero(of_somebody)) - len(payloads),
    )


def _decode_equal(count: int, senders: np.ndarray, payloads: np.ndarray, data: np.ndarray) -> Inputs:
    """Decode the payloads (k,) of one length; data: (k, length) u8.

    Records are handled as words of their size: gathering a machine type is several times faster than structs.
    """
    good = np.flatnonzero((data[:, KIND_AT] == INPUT) & (data[:, COUNT_AT] == count))
    payloads = payloads[good]
    acks = np.ascontiguousarray(data[good, ACK_AT : ACK_AT + 4]).view("<u4")[:, 0]
    words = np.ascontiguousarray(data[good, INPUT_HEADER.itemsize :]).view(WORD)
    return Inputs(np.repeat(senders[payloads], count), words.reshape(-1).view(INPUT_RECORD), payloads, acks)
