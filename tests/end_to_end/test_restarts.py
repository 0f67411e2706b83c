"""A full and a rolling restart of a running world: who plays goes on in the same place, with what it had."""

import asyncio

import pytest

from tests.benchmark.restarts import WORLD, documents, ended, open_sessions, plan
from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_outages import reach_other_zone
from waystone_client import Player, WaystoneError
from worlds.restart_steps import steps_of
from zonecluster.protocol.to_client import Notice

pytestmark = pytest.mark.end_to_end
BACK_S = 120.0


async def _plays(player: Player) -> None:
    """Wait until a player's commands are answered: the gateway goes last. Raises: TimeoutError."""
    async with asyncio.timeout(BACK_S):
        while True:
            try:
                await player.look()
            except WaystoneError:
                await asyncio.sleep(0.5)
            else:
                return


@pytest.mark.parametrize("kind", ["full", "rolling"])
async def test_players_go_on_by_themselves(stack: Stack, introduce: Introduce, kind: str) -> None:
    alice, bob = await (await introduce("Alice")).enter(), await (await introduce("Bob")).enter()
    await alice.walk_to(alice.position[0] + 3.0, alice.position[1])
    place, before = alice.place, await asyncio.to_thread(documents, stack)
    sessions = await asyncio.to_thread(open_sessions, stack)
    runs = {
        name: stack.pid_of(name)
        for name in ("zonecluster-east", "zonecluster-west", "worlddaemon", "gateway")
    }
    row = await ended(stack, await asyncio.to_thread(plan, stack, kind))
    assert row["state"] == "done", row
    whats = [step.what for step in steps_of(row["steps"])]
    assert whats.count("cluster_back") == 2 and whats[-3:] == ["processes", "daemon_back", "done"]
    assert all(stack.pid_of(name) not in (None, pid) for name, pid in runs.items())
    for player in (alice, bob):
        await _plays(player)
        assert any(isinstance(one, Notice) and "restarts in" in one.text for one in player.heard)
    assert sessions <= await asyncio.to_thread(open_sessions, stack), f"nobody of {WORLD} was put out"
    assert alice.place[0] == place[0]
    after = await asyncio.to_thread(documents, stack)
    for character, was in before.items():
        for part in ("bags", "money"):  # walking discovers things, and nothing else is done here
            assert after[character].get(part) == was.get(part), f"{character} has the same {part}"
    for player in (alice, bob):
        await reach_other_zone(player)  # whoever does nothing after a daemon's restart is not told "saved"
        assert (await player.log_out()).is_saved
