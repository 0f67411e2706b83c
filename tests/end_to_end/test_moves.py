"""A zone goes to another cluster and back with people in it: nobody is disconnected, nothing is lost."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.embedded_servers import wait_until
from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_journey import NEAR_M, distance, see
from waystone_client import Player
from zonecluster.protocol.to_client import Goodbye, Heard

pytestmark = pytest.mark.end_to_end

PLAYERS = 4


def ask_for_move(stack: Stack, zone: str, target: str) -> int:
    """Write the row that staff and planner write; returns its id."""
    ((row,),) = stack.query(
        "insert into worlds_zonemove (world_id, zone, instance, source, target, reason, state, asked_at,"
        " players, error) select z.world_id, z.slug, z.id * 1000 + 1, '', %s, 'a test', 'waiting', %s, 0, ''"
        " from worlds_zone z join worlds_world w on w.id = z.world_id where z.slug = %s and w.slug = 'demo'"
        " returning id",
        target,
        datetime.now(UTC),
        zone,
    )
    return int(row)


async def ended(stack: Stack, row: int) -> tuple[str, int, str]:
    """Wait until a move has ended; returns its state, how many were taken along, and what went wrong."""

    def now() -> tuple[str, int, str]:
        ((state, players, error),) = stack.query(
            "select state, players, error from worlds_zonemove where id = %s", row
        )
        return state, players, error

    def is_over() -> bool:
        return now()[0] not in ("waiting", "moving")

    await asyncio.to_thread(wait_until, is_over, 60.0, f"move {row} to end")
    return now()


async def test_a_zone_moves_and_nobody_notices(stack: Stack, introduce: Introduce) -> None:
    people = [await introduce(name) for name in ("Alice", "Bob", "Carol", "Dave")[:PLAYERS]]
    players: list[Player] = [await person.enter() for person in people]
    alice, bob = players[:2]
    home, places = alice.zone_address, []
    links = [player.link.local_address for player in players]
    for number, player in enumerate(players):
        x, y, _ = player.position
        await player.walk_to(x - 4 + number, y - 5)
        places.append(player.position)

    for target in ("west", "east"):  # there, and home again
        before = alice.zone_address
        row = ask_for_move(stack, "harbour", target)
        state, taken, error = await ended(stack, row)
        assert (state, error) == ("done", "") and taken >= PLAYERS
        for player, stood, link in zip(players, places, links, strict=True):
            await player.wait_until(
                lambda player=player, before=before: player.zone_address != before,
                20.0,
                "the zone link to lead to the other cluster",
            )
            assert player.link.local_address == link and player.link.resumed == 0, "the same TCP connection"
            assert player.place[0] == "harbour" and distance(player.position, stood) < NEAR_M
            assert not any(isinstance(event, Goodbye) for event in player.heard)
        await see(alice, bob.name)
        assert (await bob.say(f"So this is {target}.")).ok
        await alice.wait_until(
            lambda: any(isinstance(e, Heard) and e.speaker == bob.name for e in alice.heard), 20.0, "Bob"
        )
        alice.heard.clear()
    assert alice.zone_address == home
    for player in players:
        assert (await player.log_out()).is_saved
