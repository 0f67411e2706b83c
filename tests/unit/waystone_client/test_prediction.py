"""What a client foresees of itself, against the server's systems, over good and bad networks."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.waystone_client.zone_model import SIZE_M, TOP_SPEED, Client, Network, World
from waystone_client.prediction import SNAP_M, OwnState, Prediction, Wish, step_of
from zonecluster.simulation.effects import add_effect

STEADY = Network(0.05)
# Positions travel as 65,535ths of the zone's size: half of that off at most, twice where two are compared.
QUANTUM_M = SIZE_M / 65535
EXACT_M = math.sqrt(2) * QUANTUM_M + 1e-3  # 1 cm; a float32 of some hundred metres is off by 0.1 mm


def wandering(seed: int) -> Callable[[int], Wish]:
    """Return wishes by client tick that change at random, every 5 ticks on average."""
    rng = random.Random(seed)
    wishes: dict[int, Wish] = {}
    wish = (0, 0)
    for tick in range(4000):
        if rng.random() < 0.2:
            wish = rng.choice([(0, 0), (127, 0), (-127, 0), (0, 127), (0, -127), (60, -80), (127, 127)])
        wishes[tick] = wish
    return wishes.__getitem__


def errors_after(world: World, when: float) -> list[float]:
    return [error for at, error in world.client.errors if at > when]


@pytest.mark.parametrize("latency", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_while_the_network_is_steadier_than_the_buffer_the_client_is_right(
    latency: float, jitter: float
) -> None:
    world = World(Client(wandering(3)), Network(latency, jitter), Network(latency, jitter))
    world.run(12.0)
    errors = errors_after(world, 3 * latency + 0.2)
    assert len(errors) > 150 and max(errors) < EXACT_M < 0.02
    assert world.server.tables.cursors_moved == 0 and world.client.prediction.corrections == 0


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.02, 0.3),
    st.floats(0.0, 0.05),
    st.floats(0.02, 0.3),
    st.integers(0, 10**6),
)
def test_the_way_down_may_lose_double_and_reorder_as_it_likes(
    up: float, jitter: float, down: float, seed: int
) -> None:
    world = World(
        Client(wandering(seed)), Network(up, jitter), Network(down, 0.25, loss=0.3, doubled=0.2), seed=seed
    )
    world.run(8.0)
    assert max(errors_after(world, 1.0)) < EXACT_M


@settings(max_examples=25, deadline=None)
@given(st.floats(0.02, 0.3), st.floats(0.0, 0.2), st.floats(0.0, 0.3), st.integers(0, 10**6))
def test_after_any_disturbance_it_is_right_again_within_a_second(
    latency: float, jitter: float, loss: float, seed: int
) -> None:
    bad = Network(latency, jitter, loss, doubled=0.1)
    client = Client(wandering(seed))
    world = World(client, bad, bad, seed=seed)
    world.run(6.0)
    assert len(client.errors) > 20, "snapshots came"
    world.up = world.down = Network(latency)
    world.run(latency * 2 + jitter)  # what was sent in bad times is still on its way
    calm = world.now
    world.run(4.0)
    assert max(errors_after(world, calm + 1.0)) < EXACT_M
    where = world.server.position(world.server.rows[0])
    reach = (2 * latency + 1.0) * TOP_SPEED
    assert math.dist(client.prediction.position[:2], where) < reach, (
        "ahead of the server by the way there and back"
    )


@pytest.mark.parametrize("seconds", [0.4, 1.2, 5.0])
def test_a_client_that_slept_is_right_again_within_a_second(seconds: float) -> None:
    world = World(Client(lambda tick: (127, 0) if tick // 10 % 2 else (0, -127)), STEADY, STEADY)
    world.run(3.0)
    world.client_sleeps_until = world.now + seconds
    world.run(seconds)
    woke = world.now
    world.run(3.0)
    assert max(errors_after(world, woke + 1.0)) < EXACT_M


def test_a_link_that_gets_slower_and_faster_again() -> None:
    world = World(Client(wandering(9)), STEADY, STEADY)
    for latency in (0.3, 0.02, 0.15, 0.05):
        world.up = world.down = Network(latency)
        world.run(4.0)
        assert max(errors_after(world, world.now - 2.0)) < EXACT_M


def test_the_stop_is_where_the_client_saw_it() -> None:
    client = Client(lambda tick: (127, 0) if tick < 100 else (0, 0))
    world = World(client, Network(0.15), Network(0.15))
    world.run(5.0)
    stopped = [where for tick, where in enumerate(client.shown, 17) if tick == 100]
    world.run(2.0)
    assert math.dist(stopped[0][:2], world.server.position(world.server.rows[0])) < EXACT_M


def test_what_is_shown_never_jumps_and_error_is_blended_over_100_ms() -> None:
    world = World(Client(wandering(4)), Network(0.1, 0.2, 0.3, 0.1), Network(0.1, 0.2, 0.3, 0.1))
    world.run(15.0)
    shown = world.client.shown[40:]
    largest = max(math.dist(a[:2], b[:2]) for a, b in zip(shown, shown[1:], strict=False))
    assert world.client.prediction.snaps == 0
    assert largest < TOP_SPEED * 0.05 + SNAP_M * 0.65, "one step, and a part of an error that is blended"


def state(ack: int, x: float, y: float = 0.0, **changes: float | bool) -> OwnState:
    return OwnState(ack, x, y, 0.0, **{"top_speed": 4.0, **changes})  # type: ignore[arg-type]


def walking(ticks: int, prediction: Prediction | None = None) -> Prediction:
    """Return a prediction that begins at x = 10 and walks east so many ticks, 0.2 m each."""
    prediction = prediction or Prediction(100.0, tick=0)
    prediction.reconcile(state(0, 10.0))
    for _ in range(ticks):
        prediction.step((127, 0))
    return prediction


def test_wishes_after_the_acknowledged_one_are_replayed() -> None:
    prediction = walking(10)
    assert prediction.position[0] == pytest.approx(12.0)
    prediction.reconcile(state(4, 10.8))
    assert prediction.error_m == pytest.approx(0.0) and prediction.position[0] == pytest.approx(12.0)


def test_an_error_fades_and_is_12_percent_after_100_ms() -> None:
    prediction = walking(10)
    prediction.reconcile(state(10, 11.0))
    assert (prediction.error_m, prediction.corrections) == (pytest.approx(1.0), 1)
    offsets = []
    for _ in range(3):
        offsets.append(prediction.position[0] - 11.0)
        prediction.step((0, 0))
    assert offsets == [pytest.approx(1.0), pytest.approx(0.35), pytest.approx(0.1225)]
    for _ in range(8):
        prediction.step((0, 0))
    assert prediction.position[0] == 11.0


def test_a_large_error_is_snapped() -> None:
    prediction = walking(10)
    prediction.reconcile(state(10, 9.9))
    assert prediction.position[0] == 9.9 and prediction.snaps == 1
    assert prediction.between(0.0)[0] == 9.9


def test_the_held_are_not_moved_by_wishes() -> None:
    prediction = walking(10)
    prediction.reconcile(state(5, 11.0, is_held=True))
    for _ in range(20):
        prediction.step((127, 0))
    assert prediction.position[0] == pytest.approx(11.0, abs=1e-4)


def test_it_stays_in_the_zone_as_the_server_keeps_it_there() -> None:
    prediction = Prediction(10.5, tick=0)
    walking(10, prediction)
    assert prediction.position[0] == 10.5


def test_drawing_between_two_ticks() -> None:
    prediction = walking(2)
    assert [prediction.between(part)[0] for part in (-1.0, 0.0, 0.5, 1.0, 7.0)] == [
        pytest.approx(x) for x in (10.2, 10.2, 10.3, 10.4, 10.4)
    ]


@given(st.integers(0, 2**32 - 1), st.floats(0, 100), st.floats(0, 255))
def test_any_acknowledgement_of_a_hostile_server_is_survived(ack: int, x: float, speed: float) -> None:
    prediction = walking(30)
    prediction.reconcile(state(ack, x, top_speed=speed))
    assert 0.0 <= prediction.position[0] <= 100.0


def test_a_step_is_as_the_server_reckons_it() -> None:
    assert step_of((127, 0), 5.0) == (0.25, 0.0)
    assert math.hypot(*step_of((-128, 127), 5.0)) == pytest.approx(0.25)
    assert step_of((0, -64), 4.0) == (0.0, pytest.approx(-0.2 * 64 / 127))


def test_effects_on_the_speed_are_foreseen_after_they_are_told() -> None:
    world = World(Client(lambda _: (127, 0)), STEADY, STEADY)
    world.run(2.0)
    add_effect(world.server.tables, world.server.rows[0], "slow", 2.0, 0.05)
    told = world.now + 0.2
    world.run(1.8)
    assert max(errors_after(world, told)) < EXACT_M
    world.run(0.4)
    ended = world.now
    world.run(1.0)
    assert max(errors_after(world, ended)) < EXACT_M
