"""Whatever happens, the compiled and the plain encoder write the same bytes, and keep the same views."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zonecluster.snapshots.crowd import Crowd
from zonecluster.interest.scene import Seen
from zonecluster.snapshots import encoder as door
from zonecluster.snapshots import kernels
from zonecluster.snapshots.encode_compiled import CompiledWriter
from zonecluster.snapshots.encoder import Encoder, open_encoder
from zonecluster.snapshots.parts import Clock, Focus, OwnState

SLOTS = 8


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([4_000, 5_000, 9_000, 16_000, 200_000]),
    st.tuples(st.floats(0, 1), st.sampled_from([3, 90, 150, 3000, 40_000])),
    st.integers(0, 3),
)
def test_both_ways_write_the_same_bytes(
    seed: int, bytes_per_s: int, moves: tuple[float, int], churn: int
) -> None:
    rng = np.random.default_rng(seed)
    crowd = Crowd(int(rng.integers(2, 110)), rng)
    plain, compiled = Encoder(SLOTS, bytes_per_s), Encoder(SLOTS, bytes_per_s, CompiledWriter(), "batch")
    tick = int(rng.integers(1, 1000))
    for _ in range(50):
        tick += 1 if rng.random() < 0.97 else int(rng.integers(1, 50))
        crowd.move(*moves)
        for _ in range(churn):
            row = int(rng.integers(len(crowd)))
            if rng.random() < 0.4 and row > 1:
                crowd.take(row)
            else:
                crowd.put(row)
        if rng.random() < 0.1:
            crowd.group[rng.integers(0, len(crowd), 5)] = rng.integers(0, 3)
            crowd.selected[0] = crowd.records["id"][int(rng.integers(len(crowd)))]
        if rng.random() < 0.05:
            crowd.grow(3)
        viewers = np.sort(rng.choice(min(len(crowd), SLOTS), min(2, len(crowd)), replace=False))
        viewers = viewers[crowd.records["id"][viewers] != 0]
        slots = SLOTS - 1 - viewers
        acknowledged = rng.integers(-2, SLOTS + 2, 4), tick - rng.integers(0, 40, 4)
        forgotten = int(rng.integers(SLOTS)) if rng.random() < 0.03 else None
        most = int(rng.integers(0, 65)) if rng.random() < 0.1 else 64
        payloads = []
        for each in (plain, compiled):
            each.acknowledge(acknowledged[0], acknowledged[1].astype(np.uint32))
            if forgotten is not None:
                each.forget(forgotten)
            payloads.append(crowd.encode(each, viewers, slots, tick, most))
        assert payloads[0] == payloads[1]
        for name in ("places", "ticks", "latest", "acknowledged", "bucket"):
            ours, theirs = (getattr(each.baselines.links, name) for each in (plain, compiled))
            assert np.array_equal(ours, theirs), name
        for slot in slots.tolist():
            ours, theirs = (each.baselines.view(slot, tick) for each in (plain, compiled))
            assert ours is not None and theirs is not None and ours.tolist() == theirs.tolist()


def signatures_of(function: Any) -> list:
    """Return what types a function is compiled for."""
    return list(function.signatures)


def test_nothing_is_compiled_in_the_middle_of_a_tick() -> None:
    """Arrays of other types, orders and owners than usual must not be another signature to numba."""
    open_encoder("batch", 4)
    before = len(signatures_of(kernels.write_snapshots))
    encoder = open_encoder("batch", 4)
    crowd = Crowd(6, np.random.default_rng(1))
    crowd.records.flags.writeable = False
    viewers = np.array([0, 1, 2], np.int32)
    viewers.flags.writeable = False
    slots = np.array([3, 1, 2])[::-1]
    rows, counts = crowd.seen(viewers)
    seen = Seen(np.asfortranarray(rows.astype(np.int64)), counts.astype(np.int64))
    own = OwnState(*(np.zeros(3, np.uint16) for _ in range(6)))
    focus = Focus(np.zeros(12, np.uint32)[::2], np.broadcast_to(np.uint32(0), 6))
    encoder.encode(viewers, slots, seen, crowd.records, own, focus, Clock(5, 1))
    nobody = OwnState(*(column[:0] for column in own))
    empty = Seen(rows[:0], counts[:0])
    encoder.encode(viewers[:0], slots[:0], empty, crowd.records, nobody, focus, Clock(6, 1))
    assert len(signatures_of(kernels.write_snapshots)) == before == 1


def test_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_encoder("plain", 1).name == "plain"
    assert open_encoder("auto", 1).name == open_encoder("batch", 1).name == "batch"
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "zonecluster.compiled", raising=False)
    assert open_encoder("auto", 1).name == "plain"
    with pytest.raises(ImportError):
        open_encoder("batch", 1)
    assert door.COMPILED in sys.modules  # of the tests above: what was not imported again was not broken


def test_bandwidth_that_is_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4000"):
        Encoder(1, 3_999)
