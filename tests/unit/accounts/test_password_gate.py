"""The gate before password checks: bounded, and never leaking a place."""

import threading

import pytest

from accounts.passwords import PasswordCheckBusy, PasswordGate

LONG = 20.0  # seconds; a deadline, not a wait


def test_a_free_gate_lets_in_and_out():
    gate = PasswordGate(slots=1, queue=0, patience=0.0)
    for _ in range(3):
        with gate.enter():
            assert gate.inside == 1
    assert gate.inside == 0


def test_a_full_queue_is_refused_at_once():
    gate = PasswordGate(slots=1, queue=0, patience=LONG)
    with gate.enter(), pytest.raises(PasswordCheckBusy), gate.enter():
        pytest.fail("nobody else may be inside")
    assert gate.inside == 0


def test_who_waits_too_long_is_refused_and_the_place_is_free_again():
    gate = PasswordGate(slots=1, queue=1, patience=0.01)
    with gate.enter():
        with pytest.raises(PasswordCheckBusy), gate.enter():
            pytest.fail("the slot is taken")
        assert gate.inside == 1
    with gate.enter():
        assert gate.inside == 1


def test_who_waits_gets_in_when_a_slot_comes_free():
    gate = PasswordGate(slots=1, queue=1, patience=LONG)
    came_in = threading.Event()

    def wait() -> None:
        with gate.enter():
            came_in.set()

    with gate.enter():
        waiting = threading.Thread(target=wait)
        waiting.start()
    waiting.join(LONG)
    assert came_in.is_set()
    assert gate.inside == 0


def test_no_more_threads_are_inside_than_there_are_slots():
    gate, lock, seen = PasswordGate(slots=2, queue=20, patience=LONG), threading.Lock(), []
    now_inside = 0

    def check() -> None:
        nonlocal now_inside
        with gate.enter():
            with lock:
                now_inside += 1
                seen.append(now_inside)
            with lock:
                now_inside -= 1

    threads = [threading.Thread(target=check) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(seen) == 20 and max(seen) <= 2


def test_an_error_inside_gives_the_slot_back():
    gate = PasswordGate(slots=1, queue=0, patience=0.0)
    with pytest.raises(ValueError, match="broken hash"), gate.enter():
        raise ValueError("broken hash")
    with gate.enter():
        assert gate.inside == 1
