"""The client's clock follows the server's buffer; the world of test_prediction.py shows that it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.waystone_client.zone_model import Client, Network, World
from waystone_client.prediction import TICK_S
from waystone_client.steering import BEST_LEAD, MOST_LEAD, Steering


def fed(*leads: int, dilation: float = 1.0) -> Steering:
    """Return a clock that has seen these leads, each fresh."""
    steering = Steering()
    for number, lead in enumerate(leads):
        steering.take(number + 1, 100 + 10 * number, lead, dilation)
    return steering


def test_too_little_lead_hurries_and_too_much_takes_its_time() -> None:
    assert fed().interval_s == TICK_S
    assert fed(*[-5] * 40).interval_s == pytest.approx(TICK_S / 1.05)
    assert fed(*[12] * 40).interval_s == pytest.approx(TICK_S / 0.95)


def test_a_lead_that_swings_is_kept_larger() -> None:
    steady, swinging = fed(*[2] * 60), fed(*[0, 4] * 30)
    assert steady.target < BEST_LEAD + 0.1 and swinging.target > BEST_LEAD + 2
    assert fed(*[-100, 100] * 50).target == MOST_LEAD


def test_only_fresh_leads_count() -> None:
    steering = fed(1, 1)
    before = steering.lead
    steering.take(3, 110, 0, 1.0)  # nothing came in since: newest is lower
    steering.take(5, 200, 9, 1.0)  # a snapshot between was lost: when it came is not known
    assert steering.lead == before
    steering.take(6, 210, 9, 1.0)
    assert steering.lead > before


def test_dilated_time_makes_ticks_longer() -> None:
    steering = Steering()
    steering.take(1, 0, 0, 0.5)
    assert steering.interval_s == 2 * TICK_S
    steering.take(2, 0, 0, 0.0)
    assert steering.interval_s == pytest.approx(10 * TICK_S), "never slower than a tenth"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(-128, 127), st.floats(0, 66)
        )
    )
)
def test_whatever_a_server_says_the_clock_stays_within_its_bounds(
    told: list[tuple[int, int, int, float]],
) -> None:
    steering = Steering()
    for each in told:
        steering.take(*each)
    assert TICK_S / 1.0501 <= steering.interval_s <= 10.001 * TICK_S / 0.95


@pytest.mark.parametrize("drift", [0.97, 1.03])
def test_a_client_whose_clock_runs_wrong_by_3_percent_is_kept_in_step(drift: float) -> None:
    class Drifting(Steering):
        @property
        def interval_s(self) -> float:
            return super().interval_s * drift

    world = World(Client(lambda _: (127, 0), steering=Drifting()), Network(0.08, 0.02), Network(0.08, 0.02))
    world.run(60.0)
    tables, row = world.server.tables, world.server.rows[0]
    assert 0 <= tables.newest_seq[row] - tables.cursor[row] <= 4
    assert tables.cursors_moved == 0
