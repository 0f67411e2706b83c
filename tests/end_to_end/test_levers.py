"""The staff's levers on real processes: what a limit and a suspension do to somebody in play."""

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from waystone_client import Player
from zonecluster.protocol.to_client import Notice

pytestmark = pytest.mark.end_to_end
EFFECT_S = 10.0  # from the lever to the effect


def lines_of(stack: Stack, player: Player) -> dict[bool, tuple[int, bool]]:
    """Return of main (False) and the fork (True): the version, and whether a world has its lease."""
    rows = stack.query(
        "select l.world_id is not null, l.version, l.holder_id is not null from characters_line l"
        " join characters_character c on c.id = l.character_id where c.name = %s",
        player.name,
    )
    return {is_fork: (version, is_held) for is_fork, version, is_held in rows}


def pull(stack: Stack, lever: str, is_set: bool) -> None:
    """Set or clear a lever of the demo world, as the service does."""
    value = "now()" if is_set else "null"
    stack.query(f"update worlds_world set {lever} = {value} where slug = 'demo' returning id")


async def test_a_limited_world_writes_its_fork_and_its_players_play_on(
    stack: Stack, introduce: Introduce
) -> None:
    alice = await (await introduce("Alice")).enter()
    pull(stack, "limited_at", is_set=True)
    main = lines_of(stack, alice)[False]
    try:
        await alice.walk_through("mossgate")  # a zone change is saved at once
        await alice.wait_until(
            lambda: any(isinstance(one, Notice) and "path of its own" in one.text for one in alice.heard),
            20.0,
            "the notice that the character goes on on a path of its own",
        )
        assert lines_of(stack, alice)[False] == (main[0], False), "main is as it was, and free"
        assert lines_of(stack, alice)[True][1]
        await alice.walk_through("harbour")
        assert (await alice.log_out()).is_saved
        assert lines_of(stack, alice)[True][1] is False, "the lease of the fork was given back"
    finally:
        pull(stack, "limited_at", is_set=False)


def has_heard(player: Player, words: str) -> bool:
    return any(isinstance(one, Notice) and words in one.text for one in player.heard)


async def test_a_verified_world_over_its_budget_writes_its_fork_until_the_staff_decides(
    stack: Stack, introduce: Introduce
) -> None:
    stack.query("update worlds_world set tier = 'verified' where slug = 'demo' returning id")
    stack.query(
        "insert into characters_worldbudget (world_id, xp_hour, money_hour, valuables_hour, items_hour,"
        " xp_day, money_day, valuables_day, items_day)"
        " select id, 15, 9, 9, 9, 15, 9, 9, 9 from worlds_world where slug = 'demo' returning id"
    )
    try:
        alice = await (await introduce("Alice")).enter()
        main = lines_of(stack, alice)
        assert set(main) == {False} and not has_heard(alice, "path of its own"), "within the budget: main"
        await alice.walk_through("mossgate")  # the second zone, and the second reward for a visit
        await alice.wait_until(lambda: has_heard(alice, "gained more here"), 20.0, "the notice of the fall")
        assert lines_of(stack, alice)[True][1], "the fork is held"
        assert not lines_of(stack, alice)[False][1], "main is free"
        assert (await alice.log_out()).is_saved
        undecided = (
            "select l.world_id is not null from characters_line l join characters_character c"
            " on c.id = l.character_id where c.name = %s and l.undecided_since is not null"
        )
        assert stack.query(undecided, alice.name) == [(True,)], "the fork waits for the staff"
    finally:
        stack.query("delete from characters_worldbudget returning id")
        stack.query("update worlds_world set tier = 'official' where slug = 'demo' returning id")
        stack.query("update characters_line set undecided_since = null returning id")


async def test_a_suspended_world_puts_its_players_out_in_ten_seconds(
    stack: Stack, introduce: Introduce
) -> None:
    alice = await (await introduce("Alice")).enter()
    pull(stack, "suspended_at", is_set=True)
    try:
        await alice.wait_until(lambda: alice.is_over, EFFECT_S, "the goodbye")
        assert "suspended" in alice.errors[-1]
    finally:
        pull(stack, "suspended_at", is_set=False)
