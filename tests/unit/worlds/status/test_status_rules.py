"""What counted minutes mean, how they are drawn, and the badge."""

from xml.etree import ElementTree

import pytest

from worlds.status.badge import badge, badge_words
from worlds.status.rules import (
    BAR_HEIGHT,
    Minutes,
    Verdict,
    bars_of,
    bars_width,
    curve_of,
    percent,
    together,
    verdict_of,
    with_gaps,
)


@pytest.mark.parametrize(
    ("minutes", "verdict"),
    [
        (Minutes(), Verdict.NONE),
        (Minutes(1440, 1440), Verdict.UP),
        (Minutes(1000, 995), Verdict.UP),
        (Minutes(1000, 994), Verdict.SOME),
        (Minutes(1000, 900), Verdict.SOME),
        (Minutes(1000, 899), Verdict.DOWN),
        (Minutes(60, 0), Verdict.DOWN),
        (Minutes(60, 0, 60), Verdict.PLANNED),
        (Minutes(60, 50, 10), Verdict.UP),
    ],
)
def test_a_span_is_judged_by_the_minutes_that_were_not_announced(minutes, verdict):
    assert verdict_of(minutes) == verdict


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, ""), (1.0, "100 %"), (0.99999, "99.99 %"), (0.9, "90.00 %"), (0.5, "50 %"), (0.0, "0 %")],
)
def test_shares_are_rounded_down(share, words):
    assert percent(share) == words


def test_what_counts_the_minutes_was_away_when_none_were_counted():
    assert with_gaps(Minutes(50, 50), 60) == Minutes(60, 50)
    assert with_gaps(Minutes(61, 61), 60) == Minutes(61, 61), "a minute more than passed is no fault"


def test_spans_are_added_up():
    both = together([Minutes(60, 60, 0, 120, 5), Minutes(60, 30, 30, 0, 9)])
    assert both == Minutes(120, 90, 30, 120, 9)
    assert both.share == 1.0
    assert both.mean == 1.0


def test_each_bar_is_drawn_once_beside_the_other():
    verdicts = [Verdict.UP, Verdict.DOWN, Verdict.UP]
    paths = bars_of(verdicts)
    assert paths[Verdict.UP].count("M") == 2
    assert paths[Verdict.DOWN] == f"M7 0h5v{BAR_HEIGHT}h-5z"
    assert bars_width(3) == 19
    assert bars_width(0) == 0


def test_a_curve_stays_in_its_box():
    assert curve_of([0, 5, 10], 100, 40) == "M0 40L50 20L100 0"
    assert curve_of([0, 0], 100, 40) == "M0 40L100 40", (
        "nobody there is a line at the foot, no division by zero"
    )
    assert curve_of([3], 100, 40) == ""


@pytest.mark.parametrize("name", ["Lanternrest", '<script>"&', "灯台の世界", "W" * 60])
def test_a_badge_is_sound_xml_whatever_the_name(name):
    root = ElementTree.fromstring(badge(name, "up", "1,204 players"))  # noqa: S314  (our own text)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [name, "1,204 players"]
    assert "style" not in badge(name, "up", "x").replace(name, "")


@pytest.mark.parametrize(
    ("world", "said"),
    [
        ({}, ("up", "0 players")),
        ({"players": 1}, ("up", "1 player")),
        ({"players": 1204}, ("up", "1,204 players")),
        ({"is_online": False}, ("asleep", "asleep")),
        ({"maintenance": True}, ("planned", "under maintenance")),
        ({"is_suspended": True, "maintenance": True}, ("suspended", "suspended")),
    ],
)
def test_a_badge_says_how_the_world_is(world, said):
    usual = {"is_online": True, "is_suspended": False, "maintenance": False, "players": 0}
    assert badge_words(**{**usual, **world}) == said
