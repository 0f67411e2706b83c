"""The replay window against a model that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.netcode.replay import ReplayWindow

WINDOW = 256
near = st.integers(0, 600)
far = st.integers(0, 2**64 - 1)


@given(st.lists(near | far, max_size=200))
def test_accepts_each_number_once_and_nothing_older_than_the_window(sequences):
    window, seen, newest = ReplayWindow(), set(), -1
    for sequence in sequences:
        expected = sequence in seen or sequence <= newest - WINDOW
        assert window.is_replayed(sequence) == expected
        if not expected:
            window.mark(sequence)
            seen.add(sequence)
            newest = max(newest, sequence)


def test_asking_does_not_move_the_window():
    window = ReplayWindow()
    assert not window.is_replayed(2**63)
    window.mark(0)
    assert window.is_replayed(0)
    assert not window.is_replayed(1)


def test_top_of_the_number_space():
    window = ReplayWindow()
    window.mark(2**64 - 2)
    assert not window.is_replayed(2**64 - 1)
    assert not window.is_replayed(2**64 - 3)
    assert not window.is_replayed(2**64 - 257)
    assert window.is_replayed(2**64 - 258)
