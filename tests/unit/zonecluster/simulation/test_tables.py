import numpy as np
import pytest

from zonecluster.simulation.tables import CREATURE, LAST_GENERATION, MAX_ROWS, PLAYER, TableFull, Tables


def test_rows_are_given_out_lowest_first_and_again_with_a_new_generation() -> None:
    tables = Tables(3, 0)
    assert [tables.take_row(PLAYER) for _ in range(3)] == [0, 1, 2]
    old = tables.entity_id(1)
    tables.free_row(1)
    assert tables.row_of(old) is None
    assert tables.take_row(CREATURE) == 1
    assert tables.row_of(old) is None
    assert tables.entity_id(1) == 1 | 2 << 16
    assert tables.row_of(tables.entity_id(1)) == 1
    assert tables.entity_ids(np.array([0, 1])).tolist() == [1 << 16, 1 | 2 << 16]


def test_full_tables_say_so() -> None:
    tables = Tables(1, 0)
    tables.take_row(PLAYER)
    with pytest.raises(TableFull, match="all 1 rows are taken"):
        tables.take_row(PLAYER)


def test_freed_row_is_zero_in_every_column_but_its_generation() -> None:
    tables = Tables(2, 2)
    empty = {name: column.copy() for name, column in tables._columns.items()}
    row = tables.take_row(PLAYER)
    for name, column in tables._columns.items():
        if name != "generation":
            column[row] = 1
    tables.free_row(row)
    for name, column in tables._columns.items():
        if name != "generation":
            assert np.array_equal(column, empty[name]), name
    with pytest.raises(ValueError, match="already free"):
        tables.free_row(row)


def test_generation_never_becomes_zero() -> None:
    tables = Tables(1, 0)
    tables.generation[0] = LAST_GENERATION
    tables.take_row(PLAYER)
    assert tables.entity_id(0) == 1 << 16


@pytest.mark.parametrize("entity", [0, 1, -1, 2**32 - 1, 2**40, 5 | 1 << 16])
def test_no_integer_names_somebody_who_is_not_there(entity: int) -> None:
    tables = Tables(2, 0)
    tables.take_row(PLAYER)
    assert tables.row_of(entity) is None


@pytest.mark.parametrize("capacity", [0, MAX_ROWS + 1])
def test_capacity_must_fit_entity_ids(capacity: int) -> None:
    with pytest.raises(ValueError, match="an instance has 1"):
        Tables(capacity, 0)


def test_digest_tells_any_difference() -> None:
    tables, other = Tables(2, 1), Tables(2, 1)
    assert tables.digest() == other.digest()
    other.position[1, 2] = np.float32(1e-30)
    assert tables.digest() != other.digest()
