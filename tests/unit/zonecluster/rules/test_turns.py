"""Deficit round robin: everybody who has something waiting gets the same CPU time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from zonecluster.rules.turns import MOST_OWED_NS, QUANTUM_NS, Queue, Turns

BUDGET_NS = 15_000_000


def queues_of(turns: Turns[str, int], **work: list[int]) -> dict[str, Queue[str, int]]:
    """Queue pieces of work that take so many ns; by owner."""
    found = {name: Queue[str, int](name) for name in work}
    for name, pieces in work.items():
        for piece in pieces:
            turns.put(found[name], piece)
    return found


class Log:
    """Runs work: it takes what it says."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.spent: dict[str, int] = {}

    def run(self, owner: str, piece: int) -> int:
        self.order.append(owner)
        self.spent[owner] = self.spent.get(owner, 0) + piece
        return piece


def test_a_turn_lasts_for_a_quantum_and_then_the_next_has_one() -> None:
    turns, log = Turns[str, int](), Log()
    queues_of(turns, alice=[QUANTUM_NS // 2] * 6, bob=[QUANTUM_NS] * 2)
    turns.serve(BUDGET_NS, log.run)
    assert log.order == ["alice", "alice", "bob", "alice", "alice", "bob", "alice", "alice"]
    assert len(turns) == 0


def test_who_took_more_than_a_turn_misses_the_next_ones() -> None:
    turns, log = Turns[str, int](), Log()
    queues_of(turns, mallory=[5 * QUANTUM_NS] * 3, bob=[QUANTUM_NS] * 9)
    turns.serve(BUDGET_NS, log.run)
    assert log.order[:9] == ["mallory", "bob", "bob", "bob", "bob", "bob", "mallory", "bob", "bob"]


def test_sending_one_dear_piece_at_a_time_does_not_forgive_the_last() -> None:
    turns, log = Turns[str, int](), Log()
    found = queues_of(turns, mallory=[5 * QUANTUM_NS])
    turns.serve(BUDGET_NS, log.run)
    turns.put(found["mallory"], QUANTUM_NS)
    for _ in range(6):
        turns.put(Queue("bob"), QUANTUM_NS)
    log.order.clear()
    turns.serve(6 * QUANTUM_NS, log.run)
    assert log.order.count("bob") == 6


def test_alone_nobody_waits_for_what_is_owed() -> None:
    turns, log = Turns[str, int](), Log()
    queues_of(turns, mallory=[MOST_OWED_NS * 9, 1])
    turns.serve(2**60, log.run)
    assert log.order == ["mallory", "mallory"]


def test_the_budget_ends_it_and_the_next_call_goes_on_there() -> None:
    turns, log = Turns[str, int](), Log()
    queues_of(turns, alice=[QUANTUM_NS] * 2, bob=[QUANTUM_NS] * 2)
    assert turns.serve(3 * QUANTUM_NS, log.run) == 3 * QUANTUM_NS
    assert log.order == ["alice", "bob", "alice"]
    turns.serve(BUDGET_NS, log.run)
    assert log.order[3:] == ["bob"]


def test_who_is_not_served_keeps_work_and_place() -> None:
    turns, log = Turns[str, int](), Log()
    queues_of(turns, mallory=[1, 1], alice=[1], bob=[1])
    turns.serve(BUDGET_NS, log.run, lambda owner: owner == "bob")
    assert log.order == ["bob"] and [queue.owner for queue in turns] == ["mallory", "alice"]
    turns.serve(BUDGET_NS, log.run)
    assert log.order == ["bob", "mallory", "mallory", "alice"]


def test_work_that_was_taken_away_is_not_waited_for() -> None:
    turns, log = Turns[str, int](), Log()
    found = queues_of(turns, alice=[1], bob=[1])
    found["alice"].work.clear()
    turns.serve(BUDGET_NS, log.run)
    assert log.order == ["bob"] and len(turns) == 0
    turns.put(found["alice"], 1)
    turns.serve(BUDGET_NS, log.run)
    assert log.order == ["bob", "alice"]


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.integers(1, 3 * QUANTUM_NS)] * 4), min_size=2, max_size=6))
def test_while_all_have_something_waiting_nobody_is_ahead_by_more_than_a_piece_and_a_turn(pieces) -> None:
    turns, log = Turns[str, int](), Log()
    queues_of(turns, **{f"p{number}": list(each) * 20 for number, each in enumerate(pieces)})
    for _ in range(40):
        turns.serve(QUANTUM_NS, log.run)
        if len(turns) < len(pieces):
            return
        spent = [log.spent.get(f"p{number}", 0) for number in range(len(pieces))]
        assert max(spent) - min(spent) <= 3 * QUANTUM_NS + QUANTUM_NS


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**40)), max_size=60))
def test_nothing_is_lost_or_run_twice(put) -> None:
    turns, log = Turns[str, int](), Log()
    found = {name: Queue[str, int](name) for name in "abcde"}
    for owner, piece in put:
        turns.put(found["abcde"[owner]], piece)
    while len(turns):
        turns.serve(BUDGET_NS, log.run)
    assert sorted(log.order) == sorted("abcde"[owner] for owner, _ in put)
