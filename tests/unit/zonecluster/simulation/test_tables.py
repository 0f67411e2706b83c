import numpy as np
import pytest

from zonecluster.simulation.content import LinkContent, Triggers
from zonecluster.simulation.tables import (
    COLUMNS,
    CREATURE,
    LAST_GENERATION,
    MAX_ROWS,
    NOBODY,
    PAGE_ROWS,
    PLAYER,
    TableFull,
    Tables,
)

NO_TRIGGERS = Triggers.of(())


def opened(capacity: int = 3, number: int = 7) -> tuple[Tables, int]:
    tables = Tables()
    return tables, tables.open_place(number, capacity, 100.0, NO_TRIGGERS)


def test_rows_are_given_out_lowest_first_and_again_with_a_new_generation() -> None:
    tables, place = opened()
    assert [tables.take_row(place, PLAYER) for _ in range(3)] == [0, 1, 2]
    old = int(tables.entity[1])
    tables.free_row(1)
    assert tables.row_of(place, old) is None
    assert tables.take_row(place, CREATURE) == 1
    assert tables.row_of(place, old) is None
    assert int(tables.entity[1]) == 1 | 2 << 16
    assert tables.row_of(place, int(tables.entity[1])) == 1
    assert tables.entity[:4].tolist() == [1 << 16, 1 | 2 << 16, 2 | 1 << 16, 0]


def test_full_place_says_so_however_much_room_the_tables_have() -> None:
    tables, place = opened(capacity=1)
    tables.take_row(place, PLAYER)
    with pytest.raises(TableFull, match="all 1 rows are taken"):
        tables.take_row(place, PLAYER)


def test_freed_row_is_nobodys_in_every_column_but_its_generation() -> None:
    tables = Tables()
    place = tables.open_place(1, 2, 100.0, Triggers.of((LinkContent("a", "A", "x", 1, 1, 1),)))
    row = tables.take_row(place, PLAYER)
    for name in COLUMNS:
        if name not in ("generation", "place", "entity", "alive"):
            getattr(tables, name)[row] = 1
    tables.free_row(row)
    for name, column in COLUMNS.items():
        if name != "generation":
            assert (getattr(tables, name)[row] == column.nobody).all(), name
    assert tables.generation[row] == 1
    with pytest.raises(ValueError, match="already free"):
        tables.free_row(row)


def test_generation_never_becomes_zero() -> None:
    tables, place = opened(capacity=1)
    row = tables.take_row(place, PLAYER)
    tables.free_row(row)
    tables.generation[row] = LAST_GENERATION
    tables.take_row(place, PLAYER)
    assert int(tables.entity[row]) == 1 << 16


@pytest.mark.parametrize("entity", [0, 1, -1, 2**32 - 1, 2**40, 5 | 1 << 16, 1 << 16 | 1 << 40])
def test_no_integer_names_somebody_who_is_not_there(entity: int) -> None:
    tables, place = opened(capacity=2)
    tables.take_row(place, PLAYER)
    assert tables.row_of(place, entity) is None


@pytest.mark.parametrize("capacity", [0, MAX_ROWS + 1])
def test_capacity_must_fit_entity_ids(capacity: int) -> None:
    with pytest.raises(ValueError, match="an instance has 1"):
        opened(capacity)


def test_digest_tells_any_difference() -> None:
    (tables, place), (other, _) = opened(), opened()
    assert tables.digest() == other.digest()
    for each in (tables, other):
        each.take_row(place, PLAYER)
    assert tables.digest() == other.digest()
    other.position[0, 2] = np.float32(1e-30)
    assert tables.digest() != other.digest()


def test_places_share_the_tables_page_by_page_and_ids_are_local() -> None:
    tables, first = opened(capacity=100)
    second = tables.open_place(8, 100, 50.0, NO_TRIGGERS)
    in_first = [tables.take_row(first, PLAYER) for _ in range(PAGE_ROWS)]
    in_second = [tables.take_row(second, PLAYER) for _ in range(PAGE_ROWS + 1)]
    in_first.append(tables.take_row(first, PLAYER))
    assert len({*in_first, *in_second}) == 2 * PAGE_ROWS + 2
    assert (tables.entity[in_second] & 0xFFFF).tolist() == list(range(PAGE_ROWS + 1))
    assert [tables.row_of(second, int(tables.entity[row])) for row in in_second] == in_second
    assert tables.rows_of_place(first).tolist() == sorted(in_first)
    assert set(tables.extent[in_second].tolist()) == {50.0}
    assert tables.places.numbers[tables.place[in_second]].tolist() == [8] * (PAGE_ROWS + 1)


def test_closed_place_leaves_nothing_and_its_rows_serve_others() -> None:
    tables, first = opened(capacity=40)
    empty = tables.digest()
    rows = [tables.take_row(first, CREATURE) for _ in range(40)]
    tables.position[rows] = 9
    tables.free_row(rows[3])
    tables.close_place(first)
    assert not tables.alive.any() and not tables.position.any() and not tables.generation.any()
    assert (tables.place == NOBODY).all()
    with pytest.raises(KeyError):
        tables.close_place(first)
    size = len(tables)
    again = tables.open_place(7, 40, 100.0, NO_TRIGGERS)
    assert again == first
    assert [tables.take_row(again, CREATURE) for _ in range(40)] == rows and len(tables) == size
    assert tables.digest() != empty


def test_small_zones_with_room_for_many_take_few_rows() -> None:
    tables = Tables()
    for number in range(1, 65):
        place = tables.open_place(number, 5000, 100.0, NO_TRIGGERS)
        for _ in range(30):
            tables.take_row(place, PLAYER)
    assert len(tables) <= 64 * PAGE_ROWS * 1.25
