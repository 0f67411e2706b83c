"""Others as they are shown: between snapshots, a little in the past."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waystone_client.interpolation import DELAY_MS, EXTRAPOLATED_MS, Interpolation, ServerClock, Shown
from zonecluster.protocol.snapshot_view import Snapshot
from zonecluster.protocol.zone_payloads import ENTITY

SIZE_M = 65.535  # so that a metre is a thousand steps
BLANK = Snapshot(1, 0, 0, 0, 0, 1.0, False, 1, 5.0, np.zeros(0, ENTITY))


def snapshot(time_ms: int, *others: tuple[int, float, float, int, int], dilation: float = 1.0) -> Snapshot:
    """Return a snapshot of (id, x, y, heading, speed in 1/8 m/s), the player itself before them."""
    entities = np.zeros(1 + len(others), ENTITY)
    entities["id"][0] = 1
    for record, (number, x, y, heading, speed) in zip(entities[1:], others, strict=True):
        record["id"], record["x"], record["y"] = number, round(x * 1000), round(y * 1000)
        record["heading"], record["speed"] = heading, speed
    return replace(BLANK, tick=time_ms // 50 + 1, time_ms=time_ms, dilation=dilation, entities=entities)


def fed(*snapshots: Snapshot) -> Interpolation:
    interpolation = Interpolation(SIZE_M)
    for each in snapshots:
        interpolation.take(each)
    return interpolation


def places(shown: Shown) -> dict[int, tuple[float, float]]:
    points = shown.positions[:, :2].round(6).tolist()
    return {int(number): (x, y) for number, (x, y) in zip(shown.entities["id"], points, strict=True)}


def test_nothing_is_shown_before_the_first_snapshot() -> None:
    assert places(Interpolation(SIZE_M).at(1000.0)) == {}
    assert places(fed(snapshot(0)).at(100.0)) == {}


def test_between_two_snapshots_it_is_between_two_places() -> None:
    walk = fed(snapshot(1000, (7, 10, 10, 64, 40)), snapshot(1050, (7, 10.25, 10, 64, 40)))
    for part in (0.0, 0.2, 1.0):
        assert places(walk.at(1000 + 50 * part + DELAY_MS)) == {7: (pytest.approx(10 + 0.25 * part), 10.0)}


def test_headings_turn_the_shorter_way() -> None:
    turning = fed(snapshot(0, (7, 1, 1, 250, 0)), snapshot(50, (7, 1, 1, 6, 0)))
    shown = [float(turning.at(ms + DELAY_MS).headings_deg[0]) for ms in (0, 12.5, 25, 37.5)]
    assert shown == [pytest.approx(h) for h in (351.5625, 355.78125, 0.0, 4.21875)]


def test_without_a_newer_snapshot_it_goes_on_for_250_ms_and_stands() -> None:
    walk = fed(snapshot(0, (7, 10, 10, 64, 40)))
    assert places(walk.at(DELAY_MS + 100)) == {7: (10.5, 10.0)}
    assert (
        places(walk.at(DELAY_MS + EXTRAPOLATED_MS)) == places(walk.at(DELAY_MS + 9999)) == {7: (11.25, 10.0)}
    )


def test_nobody_is_carried_out_of_the_zone() -> None:
    walk = fed(snapshot(0, (7, 65.5, 10, 64, 255)))
    assert places(walk.at(DELAY_MS + 250)) == {7: (SIZE_M, 10.0)}


def test_who_comes_is_shown_when_its_time_has_come_and_who_goes_until_then() -> None:
    change = fed(snapshot(0, (7, 10, 10, 0, 0)), snapshot(50, (8, 20, 20, 0, 0)))
    assert places(change.at(DELAY_MS + 49)) == {7: (10, 10)}
    assert places(change.at(DELAY_MS + 50)) == {8: (20, 20)}


def test_who_was_moved_does_not_glide_through_the_zone() -> None:
    moved = fed(snapshot(0, (7, 10, 10, 0, 0)), snapshot(50, (7, 40, 10, 0, 0)))
    assert places(moved.at(DELAY_MS + 49)) == {7: (10, 10)}
    assert places(moved.at(DELAY_MS + 50)) == {7: (40, 10)}


def test_an_id_that_is_given_out_again_is_somebody_else() -> None:
    """The generation is in the id: another id at the same row never glides from its forerunner."""
    reused = fed(snapshot(0, (7 | 1 << 16, 10, 10, 0, 0)), snapshot(50, (7 | 2 << 16, 10.5, 10, 0, 0)))
    assert places(reused.at(DELAY_MS + 25)) == {7 | 1 << 16: (10, 10)}


def test_a_lost_snapshot_is_bridged() -> None:
    walk = fed(snapshot(0, (7, 10, 10, 64, 40)), snapshot(150, (7, 10.75, 10, 64, 40)))
    assert places(walk.at(DELAY_MS + 75)) == {7: (10.375, 10)}


def test_snapshots_that_come_late_are_left_out() -> None:
    walk = fed(snapshot(50, (7, 10, 10, 0, 0)), snapshot(0, (7, 30, 10, 0, 0)), snapshot(50, (9, 3, 1, 0, 0)))
    assert places(walk.at(DELAY_MS + 50)) == {7: (10, 10)}


def test_in_dilated_time_the_past_is_longer_ago_and_the_way_on_shorter() -> None:
    slow = fed(
        snapshot(0, (7, 10, 10, 64, 40), dilation=0.5), snapshot(100, (7, 10.25, 10, 64, 40), dilation=0.5)
    )
    assert places(slow.at(2 * DELAY_MS + 50)) == {7: (10.125, 10)}
    assert places(slow.at(2 * DELAY_MS + 200)) == {7: (10.5, 10)}


def test_the_servers_clock_is_told_by_what_came_fastest() -> None:
    clock = ServerClock()
    assert clock.at(5.0) == 0.0
    for number, delay in enumerate((0.09, 0.05, 0.3, 0.07)):
        clock.take(100.0 + number * 0.05 + delay, 7000 + number * 50)
    assert clock.at(100.0 + 0.05) == pytest.approx(7000.0)
    for number in range(4, 104):  # the way has become longer for good
        clock.take(100.0 + number * 0.05 + 0.2, 7000 + number * 50)
    assert clock.at(100.0 + 0.2) == pytest.approx(7000.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**63), st.lists(st.integers(2, 9), unique=True, max_size=6), st.floats(0, 66)
        ),
        max_size=20,
    ),
    st.floats(0, 2**63),
)
def test_whatever_a_server_sends_others_are_within_the_zone(
    told: list[tuple[int, list[int], float]], server_ms: float
) -> None:
    interpolation = Interpolation(SIZE_M)
    for time_ms, ids, dilation in told:
        others = [(number, 65.0 * number / 9, 65.0, number * 28, 255) for number in ids]
        interpolation.take(snapshot(time_ms, *others, dilation=dilation))
    shown = interpolation.at(server_ms)
    assert np.isfinite(shown.positions).all() and len(shown.entities) == len(shown.positions)
    assert ((shown.positions[:, :2] >= 0) & (shown.positions[:, :2] <= SIZE_M)).all()


def test_a_walker_is_shown_walking_evenly_over_an_uneven_link() -> None:
    """5 m/s, snapshots that come 0 to 60 ms late: each frame of 16 ms moves it by about 8 cm."""
    rng = np.random.default_rng(3)
    late = rng.uniform(0.0, 60.0, 100)
    interpolation, clock, shown, taken = Interpolation(SIZE_M), ServerClock(), [], 0
    for frame in range(250):
        now_ms = 400.0 + frame * 16
        while taken < 100 and taken * 50 + late[taken] <= now_ms:
            clock.take((taken * 50 + late[taken]) / 1000, taken * 50)
            interpolation.take(snapshot(taken * 50, (7, 5 + taken * 0.25, 10, 64, 40)))
            taken += 1
        shown.append(places(interpolation.at(clock.at(now_ms / 1000)))[7][0])
    steps = np.diff(shown[50:])
    assert steps.min() > 0.05 and steps.max() < 0.11
