"""Which provider a zone has: an operator's entry point before the content's walls."""

from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from zonecluster.interest import providers
from zonecluster.interest.providers import GROUP, SightUnusable, sight_of
from zonecluster.interest.walls import WallSight
from zonecluster.simulation.content import WallContent, ZoneContent

HERE = "tests.unit.zonecluster.interest.test_providers"


def zone(*walls):
    return ZoneContent("hall", "Hall", "", 50, 1, 1, walls=walls)


def fog(content):
    return lambda viewers, candidates: np.full(candidates.shape[:2], len(content.walls) > 0)


def broken(content):
    raise OSError("no such map")


def nothing(content):
    return None


@pytest.fixture
def installed(monkeypatch):
    """Let an operator's package be installed for the zone."""

    def install(value, name="hall"):
        points = EntryPoints([EntryPoint(name, value, GROUP)])
        monkeypatch.setattr(providers, "entry_points", lambda **wanted: points.select(**wanted))

    return install


def test_a_plain_zone_has_none():
    assert sight_of(zone()) is None


def test_a_zone_with_walls_has_theirs():
    sight = sight_of(zone(WallContent(10, 0, 10, 20)))
    assert isinstance(sight, WallSight)
    assert not sight(np.array([[5, 5, 0]]), np.array([[[15, 5, 0]]])).any()


def test_an_operators_provider_goes_before_walls_and_knows_the_content(installed):
    installed(f"{HERE}:fog")
    sight = sight_of(zone(WallContent(10, 0, 10, 20)))
    assert sight is not None
    assert sight(np.zeros((1, 3)), np.zeros((1, 2, 3))).all()


def test_a_provider_of_another_zone_is_not_taken(installed):
    installed(f"{HERE}:fog", name="cellar")
    assert sight_of(zone()) is None


@pytest.mark.parametrize(
    "value", ["no.such.module:f", f"{HERE}:missing", f"{HERE}:broken", f"{HERE}:nothing"]
)
def test_what_cannot_be_used_is_named(installed, value):
    installed(value)
    with pytest.raises(SightUnusable, match="hall"):
        sight_of(zone())
