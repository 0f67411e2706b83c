"""Editions on real processes: an upgrade reaches a character in play, with no new log-in."""

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_world_life import hears, make_premium
from waystone_client import WaystoneError

pytestmark = pytest.mark.end_to_end
EFFECT_S = 15.0  # from a row of the ledger to the player: a report every 5 s, on a busy machine
GRANTS = (
    "select l.grants from characters_line l join characters_character c on c.id = l.character_id"
    " where c.name = %s"
)
LIMITS = (
    "select limits->>'may_enter_premium_zones' from worlds_playsession"
    " where ended_at is null and character_name = %s"
)


def ask_for(stack: Stack, edition: str, zone: str) -> None:
    """Have a zone of the demo world ask for an edition."""
    stack.query(
        "update worlds_zone set edition = %s where slug = %s and world_id in"
        " (select id from worlds_world where slug = 'demo') returning id",
        edition,
        zone,
    )


def announce(stack: Stack, text: str) -> None:
    stack.query(
        "insert into worlds_announcement (world_id, text, at, heard)"
        " select id, %s, now(), 0 from worlds_world where slug = 'demo' returning id",
        text,
    )


async def test_an_upgrade_opens_the_way_and_changes_the_limits_in_play(
    stack: Stack, introduce: Introduce
) -> None:
    himself = await introduce("Bob")
    try:
        bob = await himself.enter()
        assert bob.zone is not None and bob.zone.zone == "harbour"
        ask_for(stack, "premium", "mossgate")
        stack.kill("worlddaemon")  # the next one reads the zones before it says anything
        announce(stack, "The moss is for Premium now.")
        await hears(bob, "The moss is for Premium now.", within_s=60.0)
        with pytest.raises(WaystoneError):
            await bob.walk_through("mossgate", deadline_s=20.0)
        await hears(bob, "Mossgate is for Premium")
        assert bob.zone.zone == "harbour" and bob.edition is None
        before = stack.query(GRANTS, himself.character)
        make_premium(stack, himself)
        await bob.wait_until(lambda: bob.edition is not None, EFFECT_S, "news of the edition")
        assert bob.edition is not None
        assert (bob.edition.edition, bob.edition.level_cap) == ("premium", None)
        assert bob.edition.may_enter_premium_zones
        await hears(bob, "Your account is now Premium")
        assert (await bob.walk_through("mossgate")).zone == "mossgate"
        assert stack.query(GRANTS, himself.character) == before, "one lease all the time"
        assert (await bob.walk_through("harbour")).zone == "harbour"
        stack.kill("worlddaemon")
        announce(stack, "The keeper is back.")
        await hears(bob, "The keeper is back.", within_s=60.0)
        assert stack.query(LIMITS, himself.character) == [("true",)], "the limits outlast the daemon"
        goodbye = await bob.log_out()
        assert goodbye.is_saved, "nothing was done here before the restart, so nothing is missing"
    finally:
        ask_for(stack, "free", "mossgate")
