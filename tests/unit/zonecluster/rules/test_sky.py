"""Game time and weather: the same for whoever asks, never a jump, and what each climate has."""

from collections import Counter
from itertools import pairwise

import pytest

from zonecluster.protocol.sky import time_of_day
from zonecluster.rules.sky import CLIMATES, NEIGHBOURS, GameClock, hour_of, weather_at

HOURS = range(3000)


def skies(climate: str, zone: str = "hill", seed: str = "demo") -> list[str]:
    return [weather_at(seed, zone, climate, hour) for hour in HOURS]


def test_an_hour_of_clock_time_is_a_day_at_the_usual_rate() -> None:
    clock = GameClock(epoch_s=1_000_000.0, rate=24.0)
    assert clock.game_s(1_000_000.0 + 3600) == 86_400.0
    now = time_of_day(clock.game_s(1_000_000.0 + 3600 + 1200))
    assert (now.day, now.hour, now.minute, now.daylight) == (2, 8, 0, "day")
    assert str(now) == "day 2, 08:00"


def test_there_is_no_time_before_the_epoch() -> None:
    assert GameClock(1000.0, 24.0).game_s(10.0) == 0.0


def test_another_rate_makes_no_jump() -> None:
    clock = GameClock(1000.0, 24.0)
    faster = clock.at_rate(60.0, 5000.0)
    assert faster.game_s(5000.0) == pytest.approx(clock.game_s(5000.0))
    assert faster.game_s(5010.0) - faster.game_s(5000.0) == pytest.approx(600.0)
    with pytest.raises(ValueError, match="rate 0"):
        clock.at_rate(0, 5000.0)


@pytest.mark.parametrize(
    ("hour", "part"), [(0, "night"), (5, "dawn"), (7, "day"), (18, "day"), (19, "dusk"), (21, "night")]
)
def test_parts_of_a_day(hour: int, part: str) -> None:
    assert time_of_day(hour * 3600.0).daylight == part


def test_whoever_asks_gets_the_same_weather_in_whatever_order() -> None:
    forwards = skies("coastal")
    backwards = [weather_at("demo", "hill", "coastal", hour) for hour in reversed(HOURS)]
    assert forwards == backwards[::-1]
    assert forwards[:5] == ["fog", "clear", "clear", "clear", "fog"], "other processes, other machines: these"


def test_zones_and_worlds_have_weather_of_their_own() -> None:
    assert skies("coastal") != skies("coastal", zone="shore") != skies("coastal", zone="shore", seed="other")


@pytest.mark.parametrize("climate", CLIMATES)
def test_climate_has_only_its_own_weather_about_as_often_as_it_says(climate: str) -> None:
    counts, weights = Counter(skies(climate)), CLIMATES[climate]
    assert set(counts) <= set(weights)
    rarest, usual = min(weights, key=weights.__getitem__), max(weights, key=weights.__getitem__)
    assert counts[usual] >= counts[rarest]


def test_weather_lasts_and_turns_into_what_is_near_it() -> None:
    steps = [(before, after) for before, after in pairwise(skies("temperate")) if before != after]
    near = sum(after in NEIGHBOURS[before] for before, after in steps)  # type: ignore[index]
    assert len(steps) < 0.6 * len(HOURS) and near > 0.7 * len(steps)


def test_unknown_climate_is_temperate_and_indoors_has_no_weather() -> None:
    assert skies("of the moon") == skies("temperate")
    assert set(skies("indoors")) == {"clear"}


def test_hours_before_the_first_can_be_asked_for() -> None:
    assert weather_at("demo", "hill", "temperate", -5) in CLIMATES["temperate"]
    assert hour_of(7200.5) == 2
