"""What a client knows of its edition: which ways are worth walking to."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.waystone_client.test_story import HostileWorld
from waystone_client.player import Player
from waystone_client.terminal.story import Story
from zonecluster.protocol.to_client import EditionIs, Exit, Surroundings, Welcome

WAYS = [
    Exit("gate", "The gate", "moor", 10.0, 0.0, 2.0),
    Exit("track", "Up", "fell", 0.0, 20.0, 2.0, "premium"),
]


@pytest.mark.parametrize(("edition", "may"), [("free", False), ("premium", True)])
def test_the_welcome_says_it_until_something_newer_does(edition: str, may: bool) -> None:
    link = SimpleNamespace(welcome=Welcome("demo", [], edition, "", "token"))
    player = Player(cast("Any", link))
    assert player.may_enter_premium_zones is may
    player.edition = EditionIs("free" if may else "premium", None, not may)
    assert player.may_enter_premium_zones is not may


def test_the_terminal_says_which_way_asks_for_premium() -> None:
    world = HostileWorld()
    world.place, world.position = ("a", 1), (0.0, 0.0, 0.0)  # type: ignore[attr-defined]
    story = Story(cast("Any", world), lambda line: None)
    story.surroundings = Surroundings(1, "a", "A", "", 0.0, 0.0, 0.0, [], WAYS)
    near, far = story._exit_lines()
    assert "Premium" not in near and far.endswith("(Premium)")
