"""Links come, go and replace each other in any order: a row has at most one, and a gone one has none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.daemon.link_rows import NOBODY, LinkRows

SLOTS = 4
CLIENTS, ROWS = st.integers(1, 6), st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("add"), CLIENTS, st.integers(0, SLOTS - 1)),
    st.tuples(st.just("assign"), CLIENTS, ROWS),
    st.tuples(st.just("release"), CLIENTS, ROWS),
)


@given(st.lists(STEPS, max_size=40))
def test_slots_and_rows_are_always_one_to_one_and_the_newest_link_of_a_row_counts(
    steps: list[tuple[str, int, int]],
) -> None:
    links = LinkRows(SLOTS)
    slots: dict[int, int] = {}  # what is so: by client id
    rows: dict[int, int] = {}  # client id by row
    for step, client_id, number in steps:
        if step == "add" and client_id not in slots and number not in slots.values():
            links.add(client_id, number)
            slots[client_id] = number
        elif step == "assign" and client_id in slots:
            assert links.assign(client_id, number) == slots[client_id]
            rows = {row: client for row, client in rows.items() if client != client_id}
            rows[number] = client_id
        elif step == "release":
            links.release(client_id)
            slots.pop(client_id, None)
            rows = {row: client for row, client in rows.items() if client != client_id}
        found_rows, found_slots = links.viewers()
        assert dict(zip(found_rows.tolist(), found_slots.tolist(), strict=True)) == {
            row: slots[client] for row, client in rows.items()
        }
        assert all(links.is_up(client) == (client in slots) for client in range(1, 7))


def test_link_that_is_not_up_is_assigned_to_nobody() -> None:
    links = LinkRows(2)
    with pytest.raises(KeyError):
        links.assign(5, 1)
    links.release(5)
    assert links.rows.tolist() == [NOBODY, NOBODY]
