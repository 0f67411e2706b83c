import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, MAX_INPUTS_PER_PACKET
from zonecluster.simulation.inputs import Inputs, decode_inputs


def packet(*records: tuple[int, int, int, int], kind: int = INPUT, count: int | None = None) -> bytes:
    """Return an INPUT payload of (seq, move_x, move_y, heading) records."""
    header = np.array((kind, len(records) if count is None else count, 9), INPUT_HEADER)
    return header.tobytes() + np.array([(*record, 0) for record in records], INPUT_RECORD).tobytes()


def test_batch_of_several_lengths_keeps_who_sent_what() -> None:
    inputs = decode_inputs(
        [4, 5, 6], [packet((1, 2, 3, 4)), packet((5, 0, 0, 0), (6, 0, 0, 0)), packet((7, -1, -2, 255))]
    )
    found = sorted(zip(inputs.rows.tolist(), inputs.records.tolist(), strict=True))
    assert found == [
        (4, (1, 2, 3, 4, 0)),
        (5, (5, 0, 0, 0, 0)),
        (5, (6, 0, 0, 0, 0)),
        (6, (7, -1, -2, 255, 0)),
    ]
    assert inputs.refused == 0


def test_wrong_lengths_kinds_and_counts_are_refused() -> None:
    good = packet((1, 0, 0, 0))
    bad = [
        b"",
        good[:-1],
        good + b"\0",
        packet((1, 0, 0, 0), kind=1),
        packet((1, 0, 0, 0), count=2),
        packet((1, 0, 0, 0), count=0),
        packet(*[(1, 0, 0, 0)] * (MAX_INPUTS_PER_PACKET + 1)),
        packet(),
    ]
    inputs = decode_inputs([0] * 9, [*bad, good])
    assert inputs.refused == 8
    assert len(inputs.records) == 1


@given(st.lists(st.binary(max_size=160), max_size=12))
def test_no_bytes_raise_and_every_payload_is_either_decoded_or_refused(payloads: list[bytes]) -> None:
    inputs = decode_inputs(list(range(len(payloads))), payloads)
    assert isinstance(inputs, Inputs)
    assert len(set(inputs.rows.tolist())) + inputs.refused == len(payloads)
    assert len(inputs.rows) == len(inputs.records)
