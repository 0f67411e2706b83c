"""One master, two worlds with databases of their own: characters and letters go between them, whole."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import ROOT, Stack
from tests.end_to_end.test_trade import BREAD, CROWN, a_crown, goods_of, inventory, stock_up
from waystone_client import Player
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import MailIs, Notice

pytestmark = pytest.mark.end_to_end

NORTH = "northlight"
REGISTER = """
from django.utils import timezone
from worlds.models import World
from worlds.services import register_world, register_world_key
about = {{"slug": {slug!r}, "name": "Northlight", "gateway_url": {gateway!r}, "tier": World.Tier.VERIFIED}}
world = register_world(owner=None, by=None, now=timezone.now(), **about)
register_world_key(world=world, public_key=bytes.fromhex({key!r}), by=None, now=timezone.now())
"""


@pytest.fixture(scope="module")
def north(stack: Stack) -> Iterator[Stack]:
    """A second world, verified, that dials the master of the first."""
    world = Stack()
    world.environment |= {
        "WAYSTONE_ROLE": "world",
        "WAYSTONE_WORLD": NORTH,
        "WAYSTONE_MASTER_URL": stack.url,
    }
    world.start()
    try:
        said = re.search(r"World key, to register at the master: ([0-9a-f]{64})", world.said())
        assert said, world.said()
        code = REGISTER.format(slug=NORTH, gateway=world.gateway_url, key=said[1])
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        subprocess.run(command, cwd=ROOT, env=stack.environment, check=True, capture_output=True, timeout=120)
        yield world
    finally:
        code = world.stop()
    assert code == 0, f"manage.py up of the second world ended with {code}"


async def test_a_letter_and_its_sender_go_to_another_world(
    stack: Stack, north: Stack, introduce: Introduce
) -> None:
    """Bob takes in the north what Alice has posted in the harbour; then she plays there herself."""
    alice_there, bob_there = await introduce("Alice"), await introduce("Bob")
    await asyncio.to_thread(stock_up, stack, {alice_there.character: "harbour"})
    alice = await alice_there.enter()
    bob = await Player.enter(bob_there.master, NORTH, bob_there.character)
    bob_there.players.append(bob)
    crown = await a_crown(alice)
    before = await goods_of(alice)
    nobody = await alice.trade.invite(bob.name)
    assert (nobody.ok, nobody.code) == (False, "unknown_player"), "a trade is with players of one world"
    sent = await alice.mail.send(bob.name, "From the harbour", "Keep it.", [crown, OfferedItem(BREAD, 2)], 7)
    assert sent.ok, sent
    await bob.wait_until(
        lambda: any(isinstance(one, Notice) and "letter" in one.text for one in bob.heard), 60, "a notice"
    )
    found = await bob.mail.letters()
    assert isinstance(found, MailIs)
    (letter,) = found.letters
    assert (letter.sender, letter.world, letter.money) == (alice.name, "Lanternrest", 7)
    assert (await bob.mail.take(letter.id)).ok
    money, counts = await goods_of(bob)
    assert (money, dict(counts)) == (7, {CROWN: 1, BREAD: 2})
    assert [each.id for each in inventory(await bob.goods.inventory()) if each.kind == CROWN] == [crown.id]
    assert (await alice.log_out()).is_saved
    alice = await Player.enter(alice_there.master, NORTH, alice_there.character)
    alice_there.players.append(alice)
    money, counts = await goods_of(alice)
    assert (money, counts[CROWN], counts[BREAD]) == (
        before[0] - 7,
        before[1][CROWN] - 1,
        before[1][BREAD] - 2,
    )
    for player in (alice, bob):
        assert (await player.log_out()).is_saved
        worlds = stack.query(
            "select w.slug from characters_version v join characters_line l on l.id = v.line_id"
            " join characters_character c on c.id = l.character_id join worlds_world w on w.id = v.world_id"
            " where c.name = %s and l.world_id is null order by v.version desc limit 1",
            player.name,
        )
        assert worlds == [(NORTH,)], "on the main line, which is the same everywhere"
