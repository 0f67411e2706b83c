"""Every slug has its own horizon, always the same one, and it can be drawn."""

import re

from hypothesis import given
from hypothesis import strategies as st

from waystone.horizon import HEIGHT, TONES, WIDTH, horizon_of

SLUGS = st.from_regex(r"[a-z][a-z0-9]{0,12}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(SLUGS)
def test_a_horizon_stays_within_its_drawing(slug):
    found = horizon_of(slug)
    assert 0 <= found.tone < TONES
    assert 0 < found.sun_x < WIDTH and 0 < found.sun_y < HEIGHT
    assert len(found.ridges) == 3 and 1 <= len(found.stones) <= 3
    for ridge in found.ridges:
        assert re.fullmatch(r"M-24 96L-24 [\d.]+(Q-?\d+ [\d.]+ [\d.]+ [\d.]+)+V96Z", ridge)
    for stone in found.stones:
        assert 0 < stone.x < WIDTH and 0 < stone.y < HEIGHT


def test_a_slug_always_has_the_same_horizon_and_others_have_others():
    assert horizon_of("lanternrest") == horizon_of("lanternrest")
    assert len({tuple(horizon_of(f"world-{number}").ridges) for number in range(200)}) == 200
