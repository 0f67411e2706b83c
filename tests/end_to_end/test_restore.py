"""The master goes back to a backup by docs/restore.md, while people play: what they were told stays true."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from characters.invariants import INVARIANTS, check_invariants
from characters.invariants.checking import begin_snapshot
from tests.end_to_end.conftest import PASSWORD, patiently
from tests.end_to_end.stack import ROOT, Stack
from tests.end_to_end.test_outages import BACK_S, settled
from tests.end_to_end.test_trade import BREAD, GLASS, a_crown, agree, confirm, goods_of, stock_up
from waystone.embedded.unprivileged import place_servers
from waystone_client import Master, Player
from worlds.uplink.keys import load_or_create_world_key
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import MailIs, Result

pytestmark = pytest.mark.end_to_end

WORLD = "northlight"
IN_SERVICE_S = 120.0
REGISTER = """
from django.utils import timezone
from worlds.models import World
from worlds.services import register_world, register_world_key
about = {{"slug": {slug!r}, "name": "Northlight", "gateway_url": {gateway!r}, "tier": World.Tier.OFFICIAL}}
world = register_world(owner=None, by=None, now=timezone.now(), **about)
register_world_key(world=world, public_key=bytes.fromhex({key!r}), by=None, now=timezone.now())
"""


def manage(stack: Stack, *command: str) -> str:
    """Run a command of manage.py in a deployment; return what it says."""
    argv = [sys.executable, "manage.py", *command]
    environment = stack.environment | {"WAYSTONE_NO_BOOTSTRAP": "1"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def master() -> Iterator[Stack]:
    """A master without a world: what is restored must not bring the world's own rows back."""
    running = Stack()
    running.environment |= {"WAYSTONE_ROLE": "master"}
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def world(master: Stack) -> Iterator[Stack]:
    """An official world on another database that dials it."""
    running = Stack()
    running.environment |= {
        "WAYSTONE_ROLE": "world",
        "WAYSTONE_WORLD": WORLD,
        "WAYSTONE_MASTER_URL": master.url,
    }
    key = load_or_create_world_key(running.state_dir / "keys" / f"world-{WORLD}.pem").public_bytes.hex()
    code = REGISTER.format(slug=WORLD, gateway=running.gateway_url, key=key)
    manage(master, "shell", "--no-imports", "-c", code)
    running.start()
    yield running
    running.stop()


async def enter(master: Stack, name: str) -> Player:
    """Register, make a character, give it a stock, and play in the world."""
    people = Master(master.url)
    email = f"{name.lower()}@waystone.example"
    await patiently(lambda: people.register(email, PASSWORD))
    await patiently(lambda: people.log_in(email, PASSWORD))
    character = await people.create_character(name)
    await asyncio.to_thread(stock_up, master, {character.name: "harbour"})
    return await Player.enter(people, WORLD, character.name)


async def at_last(ask: Callable[[], Awaitable[Result | MailIs]]) -> Result | MailIs:
    """Ask until it is done: an earlier exchange may still be written down, the master just be back."""
    deadline = asyncio.get_running_loop().time() + BACK_S
    while isinstance(told := await ask(), Result) and not told.ok:
        assert told.code in ("untouchable", "master_away"), told
        assert asyncio.get_running_loop().time() < deadline, told
        await asyncio.sleep(0.2)
    return told


async def mailbox(player: Player) -> MailIs:
    letters = await at_last(player.mail.letters)
    assert isinstance(letters, MailIs)
    return letters


async def trade(alice: Player, bob: Player, coins: int) -> None:
    """Alice gives a valuable and some bread for coins and glass."""

    async def confirmed() -> Result:
        hers = [await a_crown(alice), OfferedItem(BREAD, 2)], 0
        revision = await agree(alice, bob, hers, ([OfferedItem(GLASS, 3)], coins))
        first, second = await confirm(alice, bob, revision)
        assert first.ok == second.ok
        return first

    await at_last(confirmed)


def back_up(master: Stack, file: Path) -> None:
    """As docs/operating.md says."""
    binary = place_servers(master.state_dir).postgres_bin / "pg_dump"
    subprocess.run([binary, "-Fc", "-f", file, master.setting("DATABASE_URL")], check=True, timeout=120)


def go_back_to(master: Stack, file: Path) -> None:
    """Steps 2 and 3 of docs/restore.md, with the embedded servers."""
    master.start("--servers")
    url = master.setting("DATABASE_URL")
    with psycopg.connect(url.replace("/waystone?", "/postgres?"), autocommit=True) as connection:
        connection.execute("DROP DATABASE waystone WITH (FORCE)")
        connection.execute("CREATE DATABASE waystone")
    binary = place_servers(master.state_dir).postgres_bin / "pg_restore"
    subprocess.run([binary, "-d", url, file], check=True, timeout=120)
    manage(master, "checkinvariants")
    manage(master, "migrate")
    manage(master, "restoremaster", "--raise-incarnation", "--reason", "a test")
    assert master.stop(is_kept=True) == 0


def is_in_service(master: Stack) -> bool:
    return master.query("select closed_at is not null from characters_incarnation") == [(True,)]


def broken(master: Stack) -> list[str]:
    with psycopg.connect(master.setting("DATABASE_URL")) as connection, connection.cursor() as cursor:
        begin_snapshot(cursor)
        return [str(finding) for finding in check_invariants(cursor, INVARIANTS)]


async def test_everything_that_was_acknowledged_after_the_backup_is_there(
    master: Stack, world: Stack, tmp_path: Path
) -> None:
    alice, bob = await enter(master, "Alice"), await enter(master, "Bob")
    await trade(alice, bob, 5)
    await at_last(lambda: alice.mail.send(bob.name, "Before, taken after", "", [OfferedItem(BREAD, 1)], 11))
    file = tmp_path / "waystone.dump"
    await asyncio.to_thread(back_up, master, file)
    # From here on the backup knows nothing.
    await trade(alice, bob, 30)
    letters = await mailbox(bob)
    await at_last(lambda: bob.mail.take(letters.letters[0].id))
    await at_last(lambda: bob.mail.send(alice.name, "After, lies there", "", [OfferedItem(GLASS, 2)], 7))
    told = {player: await goods_of(player) for player in (alice, bob)}
    versions = master.query("select count(*) from characters_version")
    assert await asyncio.to_thread(master.stop, is_kept=True) == 0
    await asyncio.to_thread(go_back_to, master, file)
    await asyncio.to_thread(master.start)
    assert master.query("select number from characters_incarnation") == [(2,)]
    await alice.wait_until(lambda: is_in_service(master), IN_SERVICE_S, "the master to be in service")
    assert master.query("select count(*) from characters_version") >= versions
    for player in (alice, bob):
        await settled(player)
        assert await goods_of(player) == told[player]
        assert player.link.resumed == 0, "they have played on"
    assert "taken back so far: 0" not in await asyncio.to_thread(manage, master, "restoremaster")
    # A letter that the backup does not know came back to its sender, with all that lay in it.
    (returned,) = [letter for letter in (await mailbox(bob)).letters if letter.items or letter.money]
    assert (returned.money, [(item.kind, item.count) for item in returned.items]) == (7, [(GLASS, 2)])
    await at_last(lambda: bob.mail.take(returned.id))
    await trade(bob, alice, 1)
    assert broken(master) == []
    for player in (alice, bob):
        now = await goods_of(player)
        assert (await player.log_out()).is_saved
        saved = master.saved_state(player.name)
        assert saved["money"] == now[0]
