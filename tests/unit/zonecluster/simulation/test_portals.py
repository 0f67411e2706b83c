import numpy as np

from zonecluster.simulation.content import LinkContent, Triggers
from zonecluster.simulation.portals import REPEAT_S, enter_portals, mark_pending, rearm
from zonecluster.simulation.tables import CREATURE, PLAYER, Tables

DT = 0.05
LINKS = (LinkContent("a", "A", "x", 10, 10, 2), LinkContent("b", "B", "y", 13, 10, 2))
QUIET_TICKS = 20


def one_player(kind: int = PLAYER) -> Tables:
    tables = Tables()
    place = tables.open_place(1, 1, 20.0, Triggers.of(LINKS))
    tables.take_row(place, kind)
    return tables


def walk(tables: Tables, *xs: float) -> list[list[int]]:
    """Stand at (x, 10) for a tick each; return the links entered in each tick."""
    entered = []
    for x in xs:
        tables.tick += 1
        tables.position[0] = x, 10, 0
        entered.append(enter_portals(tables, DT).links.tolist())
    return entered


def test_trigger_fires_once_on_coming_in_edge_included() -> None:
    assert walk(one_player(), 7.9, 8.0, 9, 10) == [[], [0], [], []]


def test_who_arrives_inside_must_leave_first() -> None:
    tables = one_player()
    tables.was_inside[0, 0] = tables.was_near_trigger[0] = True
    assert walk(tables, 10, 10, 7, 10) == [[], [], [], [0]]


def test_entry_is_told_once_until_rearmed_and_left() -> None:
    tables = one_player()
    assert walk(tables, 10, 5, 10) == [[0], [], []]
    assert tables.is_portal_pending[0]
    rearm(tables, np.array([0]), DT)
    assert walk(tables, *[10] * (QUIET_TICKS - 1)) == [[]] * (QUIET_TICKS - 1)
    assert walk(tables, 10) == [[0]]  # it had left and come in again meanwhile


def test_rearmed_player_that_never_left_does_not_fire_again() -> None:
    tables = one_player()
    assert walk(tables, 10) == [[0]]
    rearm(tables, np.array([0]), DT)
    assert walk(tables, *[10] * 40, 5, 10)[-3:] == [[], [], [0]]


def test_unanswered_entry_is_told_again_for_as_long_as_the_player_stays() -> None:
    tables = one_player()
    waiting = round(REPEAT_S / DT)
    told = walk(tables, *[11.2] * (3 * waiting + 1))
    assert [tick for tick, links in enumerate(told) if links] == [0, waiting, 2 * waiting, 3 * waiting]
    assert all(links == [0] for links in told if links), "b is as near, but a was gone into"
    tables.is_frozen[0] = True
    assert walk(tables, *[11.2] * 2 * waiting) == [[]] * 2 * waiting
    tables.is_frozen[0] = False
    rearm(tables, np.array([0]), DT)  # sent back
    assert walk(tables, *[11.2] * 2 * waiting) == [[]] * 2 * waiting


def test_unanswered_entry_of_who_has_left_is_forgotten() -> None:
    tables = one_player()
    walk(tables, 10)
    waiting = round(REPEAT_S / DT)
    told = walk(tables, *[5] * (waiting + QUIET_TICKS + 2), 10)
    assert [links for links in told if links] == [[0]] and told[-1] == [0]


def test_pending_is_kept_while_frozen() -> None:
    tables = one_player()
    mark_pending(tables, np.array([0]), np.array([1]))
    tables.is_frozen[0] = True
    walk(tables, *[5] * 500)
    assert tables.is_portal_pending[0]


def test_overlapping_triggers_fire_one_and_creatures_none() -> None:
    assert walk(one_player(), 5, 11.5) == [[], [0]]
    assert walk(one_player(CREATURE), 5, 10) == [[], []]


def test_zone_without_portals_is_fine() -> None:
    tables = Tables()
    tables.take_row(tables.open_place(1, 1, 20.0, Triggers.of(())), PLAYER)
    assert len(enter_portals(tables, DT).rows) == 0
