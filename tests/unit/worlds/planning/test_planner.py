"""The planner: relieves who is too full, pairs busy zones with quiet ones, moves little, and says why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worlds.planning.model import HOURS, Aims, CannotPlan, Item, Machine, Plan, Seat
from worlds.planning.planner import plan

ONE_MACHINE = (Machine("here", 10_000.0),)
EAST, WEST = Seat("east", "here", 1000.0), Seat("west", "here", 1000.0)
HOUR = np.arange(HOURS) % 24
EVENING, MORNING = (HOUR >= 18) * 1.0, ((HOUR >= 6) & (HOUR < 12)) * 1.0


def zone(name: str, cost: object, seat: str | None = "east", **more: object) -> Item:
    """Return a zone instance. Args: cost: CPU ms/s, one number or by hour."""
    week = np.broadcast_to(np.asarray(cost, float), (HOURS,)).copy()
    return Item(name, 1, week, seat=seat, **more)  # type: ignore[arg-type]


def moved(made: Plan) -> dict[str, tuple[str | None, str]]:
    return {move.zone: (move.source, move.target) for move in made.moves}


def test_nothing_is_moved_while_nobody_is_too_full() -> None:
    zones = [zone("hills", 300), zone("shore", 390)]
    made = plan(zones, [EAST, WEST], ONE_MACHINE)
    assert made.moves == ()
    assert made.before == made.after
    assert made.before.busiest == pytest.approx(0.69)


def test_a_full_cluster_is_relieved_by_one_move() -> None:
    zones = [zone("hills", 400), zone("shore", 300), zone("moor", 250)]
    made = plan(zones, [EAST, WEST], ONE_MACHINE)
    assert len(made.moves) == 1
    assert made.after.busiest <= 0.7 < made.before.busiest


def test_busy_zones_come_together_with_those_that_are_quiet_then() -> None:
    zones = [
        zone("tavern", 600 * EVENING),
        zone("arena", 600 * EVENING),
        zone("market", 600 * MORNING, "west"),
    ]
    made = plan(zones, [EAST, WEST], ONE_MACHINE)
    assert len(made.moves) == 1
    assert made.moves[0].target == "west"
    assert made.after.busiest == pytest.approx(0.6)


def test_two_that_are_too_heavy_to_move_alone_change_places() -> None:
    zones = [
        zone("tavern", 500 * EVENING + 100), zone("arena", 500 * EVENING + 100),
        zone("market", 500 * MORNING + 100, "west"), zone("well", 500 * MORNING + 100, "west"),
    ]  # fmt: skip
    made = plan(zones, [EAST, WEST], ONE_MACHINE, Aims(full=0.75))
    assert len(made.moves) == 2
    assert {move.target for move in made.moves} == {"east", "west"}
    assert made.after.busiest < 0.75


def test_what_is_pinned_stays_and_what_is_pinned_elsewhere_goes_there() -> None:
    zones = [zone("hills", 900, pinned_to="east"), zone("shore", 50, pinned_to="west"), zone("moor", 10)]
    made = plan(zones, [EAST, WEST], ONE_MACHINE)
    assert moved(made)["shore"] == ("east", "west")
    assert "pinned to west" in made.moves[0].reason
    assert "hills" not in moved(made)


def test_a_pin_to_a_cluster_that_cannot_be_used_moves_nothing() -> None:
    assert plan([zone("hills", 100, pinned_to="north")], [EAST, WEST], ONE_MACHINE).moves == ()


def test_a_cluster_that_is_gone_leaves_its_zones_to_be_placed() -> None:
    zones = [zone("hills", 400, "north"), zone("shore", 500), zone("moor", 100, None)]
    made = plan(zones, [EAST, WEST], ONE_MACHINE)
    assert moved(made) == {"hills": ("north", "west"), "moor": (None, "west")}
    assert all("ran nowhere" in move.reason for move in made.moves)


def test_no_more_moves_than_are_wanted() -> None:
    zones = [zone(f"zone-{number}", 100) for number in range(20)]
    seats = [Seat(name, "here", 1000.0) for name in "abcd"] + [EAST]
    made = plan(zones, seats, ONE_MACHINE, Aims(most_moves=3))
    assert len(made.moves) == 3
    assert made.after.busiest == pytest.approx(1.7)


def test_no_move_for_a_trifle() -> None:
    zones = [zone("hills", 700), zone("shore", 20)]
    assert plan(zones, [EAST, WEST], ONE_MACHINE, Aims(worth=0.04)).moves == ()
    assert len(plan(zones, [EAST, WEST], ONE_MACHINE, Aims(worth=0.01)).moves) == 1


def test_memory_is_a_limit_of_cluster_and_machine() -> None:
    zones = [zone("hills", 600, memory_mb=300), zone("shore", 300, memory_mb=300)]
    small = Seat("west", "here", 1000.0, memory_mb=200)
    assert plan(zones, [EAST, small], ONE_MACHINE).moves == ()
    machines = [Machine("here", 10_000.0), Machine("there", 10_000.0, memory_mb=200)]
    assert plan(zones, [EAST, Seat("west", "there", 1000.0)], machines).moves == ()
    assert len(plan(zones, [EAST, WEST], ONE_MACHINE).moves) == 1


def test_a_full_machine_is_relieved_although_its_clusters_are_not_full() -> None:
    machines = [Machine("here", 1000.0), Machine("there", 1000.0)]
    seats = [EAST, WEST, Seat("north", "there", 1000.0)]
    zones = [zone("hills", 500), zone("shore", 450, "west")]
    made = plan(zones, seats, machines)
    assert [move.target for move in made.moves] == ["north"]
    assert made.before.busiest == pytest.approx(0.95)


def test_what_fits_nowhere_is_named() -> None:
    made = plan([zone("hills", 10, None, memory_mb=500)], [Seat("east", "here", 1000.0, 100)], ONE_MACHINE)
    assert made.unplaced == ("hills",)
    assert made.moves == ()
    assert plan([zone("hills", 10, None)], [], []).unplaced == ("hills",)


def test_a_reason_says_when_and_how_much() -> None:
    zones = [zone("tavern", 450 * EVENING), zone("arena", 500 * EVENING)]
    (move,) = plan(zones, [EAST, WEST], ONE_MACHINE).moves
    assert "east would be 95% full on Monday 18:00 UTC" in move.reason
    assert "west" in move.reason


@pytest.mark.parametrize(
    ("zones", "seats", "machines", "words"),
    [
        ([zone("hills", -1.0)], [EAST], ONE_MACHINE, "not below 0"),
        ([zone("hills", float("nan"))], [EAST], ONE_MACHINE, "must be a number"),
        ([Item("hills", 1, np.zeros(5))], [EAST], ONE_MACHINE, "168 hours"),
        ([], [EAST, EAST], ONE_MACHINE, "Two of one name"),
        ([], [Seat("east", "mars", 1.0)], ONE_MACHINE, "'mars'"),
        ([], [Seat("east", "here", 0.0)], ONE_MACHINE, "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(zones: list, seats: list, machines: tuple, words: str) -> None:
    with pytest.raises(CannotPlan, match=words):
        plan(zones, seats, machines)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_plan_never_makes_it_worse(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    seats = [Seat(f"c{number}", f"m{number % 2}", 1000.0) for number in range(data.draw(st.integers(2, 8)))]
    machines = [Machine("m0", 2500.0), Machine("m1", 2500.0)]
    zones = [
        zone(f"z{number}", rng.gamma(1.0, 120.0, HOURS), rng.choice([seat.name for seat in seats]))
        for number in range(data.draw(st.integers(0, 40)))
    ]
    most = data.draw(st.integers(0, 12))
    made = plan(zones, seats, machines, Aims(most_moves=most))
    assert len(made.moves) <= most
    assert made.after.busiest <= made.before.busiest + 1e-9
    assert all(move.source != move.target for move in made.moves)
    assert len({move.zone for move in made.moves}) == len(made.moves)
