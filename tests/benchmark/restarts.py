"""Restarts of a whole platform under bots: `manage.py benchmark restarts`.

Real processes, started by `manage.py up` in a folder of their own. Of each restart: how long it took, whether
anybody's session ended, and whether every character's document (without its place: bots walk on) is
the same before and after. The bots wander first, so that they stand on all clusters; then they talk and look
around where they are. Nobody gains anything by that (by walking one does), so any difference is a fault.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from tests.end_to_end.stack import ROOT, Stack
from waystone_client import Master, Player
from waystone_client.bots import Bot
from worlds.restart_steps import Step, steps_of

Digests = dict[str, str]  # by part of a document

WORLD = "demo"
NOTICE_S = 2.0  # from planning to begin
LIMIT_S = 300.0  # of one restart
ENTER_S = 120.0  # for all bots to come in
WANDER_S = 30.0
STILL_S = 40.0  # without a change of any document: what was gained on the way is saved every 30 s
STILL_LIMIT_S = 300.0
TALK = 0.3  # of what a bot does that has settled
FULL_LIMIT_S = 120.0  # everybody is back by then
MAKE_ACCOUNTS = """
import json
from waystone.bot_accounts import prepare_bot
accounts = [prepare_bot(number) for number in range(1, {bots} + 1)]
print(json.dumps([[account.token, account.character] for account in accounts]))
"""


class CannotMeasure(RuntimeError):
    """There is no platform to restart, or a restart never ended."""


@dataclass(frozen=True)
class Outcome:
    """One restart. Times in seconds; `pause`: from its begin until all players were back (full ones)."""

    number: int
    kind: str
    state: str
    seconds: float
    pause: float | None
    players: int
    put_out: int  # sessions that were open before, and have ended
    changed: int  # characters whose documents are not what they were
    error: str = ""
    changes: tuple[str, ...] = ()  # in which parts, of the first ten

    @property
    def is_good(self) -> bool:
        """Whether it kept every promise."""
        is_quick = self.kind == "rolling" or (self.pause is not None and self.pause < FULL_LIMIT_S)
        return self.state == "done" and is_quick and not (self.put_out or self.changed)


# ---------------------------------------------------------------- pure


def digests_of(state: bytes) -> Digests:
    """Return SHA-256 of each part of a document but its places."""
    parts = {name: part for name, part in json.loads(state).items() if name != "places" and part}
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()
        for name, part in parts.items()
    }


def pause_of(steps: list[Step]) -> float | None:
    """Return the seconds from the begin until players were back; None: nobody stood still."""
    at = {step.what: step.at for step in steps}
    if "begun" not in at or "players_back" not in at:
        return None
    return (at["players_back"] - at["begun"]).total_seconds()


def changed_between(before: dict[UUID, Digests], after: dict[UUID, Digests]) -> list[str]:
    """Return what is not as it was, of each character that is gone or another, in words."""
    found = []
    for character, was in before.items():
        now = after.get(character)
        if now is None:
            found.append(f"{character} is gone")
        elif now != was:
            parts = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
            found.append(f"{character}: {', '.join(parts)}")
    return found


def kinds(which: str, restarts: int) -> list[str]:
    """Return the kinds of so many restarts. Args: which: rolling, full, or both: in turns."""
    turns = ("rolling", "full") if which == "both" else (which,)
    return [turns[number % len(turns)] for number in range(restarts)]


# ---------------------------------------------------------------- on a running platform


def documents(stack: Stack) -> dict[UUID, Digests]:
    """Return the digests of every character's main line."""
    rows = stack.query("select character_id, state from characters_line where world_id is null")
    return {character: digests_of(bytes(state)) for character, state in rows}


def open_sessions(stack: Stack) -> set[UUID]:
    """Return the sessions that are in play, as the world's rows say."""
    return {row[0] for row in stack.query("select id from worlds_playsession where ended_at is null")}


def plan(stack: Stack, kind: str, in_s: float = NOTICE_S) -> int:
    """Plan a restart as staff does; returns its row's id."""
    statement = (
        "insert into worlds_restart (world_id, kind, state, due_at, made_at, reason, steps, error) select id,"
        " %s, 'planned', now() + make_interval(secs => %s), now(), 'a benchmark', '[]', '' from worlds_world"
        " where slug = %s returning id"
    )
    with psycopg.connect(stack.setting("DATABASE_URL")) as connection:
        row = connection.execute(statement, (kind, in_s, WORLD)).fetchone()
    assert row is not None
    return int(row[0])


async def ended(stack: Stack, restart: int, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Wait until a restart has ended; returns its row. Raises: TimeoutError."""
    names = "state, error, due_at, ended_at, steps"
    async with asyncio.timeout(limit_s):
        while True:
            query = f"select {names} from worlds_restart where id = %s"  # noqa: S608  (our own words)
            (row,) = await asyncio.to_thread(stack.query, query, restart)
            found = dict(zip(names.split(", "), row, strict=True))
            if found["state"] not in ("planned", "running"):
                return found
            await asyncio.sleep(0.5)


async def restart_once(stack: Stack, number: int, kind: str) -> Outcome:
    """Restart the world and compare. Who plays goes on playing."""
    before, sessions = documents(stack), open_sessions(stack)
    row = await ended(stack, await asyncio.to_thread(plan, stack, kind))
    gone, after = sessions - open_sessions(stack), documents(stack)
    ended_at: datetime = row["ended_at"]
    changes = changed_between(before, after)
    return Outcome(
        number,
        kind,
        row["state"],
        seconds=(ended_at - row["due_at"]).total_seconds(),
        pause=pause_of(steps_of(row["steps"])),
        players=len(sessions),
        put_out=len(gone),
        changed=len(changes),
        changes=tuple(changes[:10]),
        error=row["error"],
    )


# ---------------------------------------------------------------- the whole of it


def make_accounts(stack: Stack, bots: int) -> list[tuple[str, str]]:
    """Return (session token, character) of each bot."""
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", MAKE_ACCOUNTS.format(bots=bots)]
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=True
    )
    return [(token, character) for token, character in json.loads(done.stdout.splitlines()[-1])]


def invariants_hold(stack: Stack) -> bool:
    """Return whether `manage.py checkinvariants` finds every history whole."""
    command = [sys.executable, "manage.py", "checkinvariants"]
    return subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True).returncode == 0


class Settler(Bot):
    """A bot that wanders until it is told to settle; then it talks and looks: metres are written down."""

    is_settled = False

    async def _do_something(self, player: Player) -> None:
        if not self.is_settled:
            await super()._do_something(player)
            return
        if self._random.random() < TALK:
            await player.say("I have settled here.")
            self.status.said += 1
        else:
            await player.look()
        await asyncio.sleep(0.5)


async def settle(stack: Stack, fleet: list[Settler]) -> None:
    """Let the bots wander, then settle, and wait until no document changes. Raises: TimeoutError."""
    await asyncio.sleep(WANDER_S)
    for bot in fleet:
        bot.is_settled = True
    async with asyncio.timeout(STILL_LIMIT_S):
        known, since = documents(stack), time.monotonic()
        while time.monotonic() - since < STILL_S:
            await asyncio.sleep(2.0)
            now = await asyncio.to_thread(documents, stack)
            if now != known:
                known, since = now, time.monotonic()


def _bot(stack: Stack, number: int, token: str, character: str, masters: list[Master]) -> Settler:
    master = Master(stack.url, token=token)
    masters.append(master)

    async def enter() -> Player:
        return await Player.enter(master, WORLD, character, client="waystone-bot")

    return Settler(character, enter, number)


async def measure(
    stack: Stack, bots: int, wanted: list[str], on_done: Callable[[Outcome], None]
) -> tuple[list[Outcome], dict[str, str]]:
    """Restart under bots. Returns: the outcomes, and of each bot that was lost why."""
    masters: list[Master] = []
    accounts = await asyncio.to_thread(make_accounts, stack, bots)
    fleet = [_bot(stack, number, *account, masters) for number, account in enumerate(accounts)]
    playing = [asyncio.create_task(bot.run(time.monotonic() + 1e9)) for bot in fleet]
    outcomes = []
    try:
        async with asyncio.timeout(ENTER_S):
            while any(bot.status.state == "waiting" for bot in fleet):
                await asyncio.sleep(0.2)
        await settle(stack, fleet)
        for number, kind in enumerate(wanted, 1):
            outcomes.append(await restart_once(stack, number, kind))
            on_done(outcomes[-1])
        lost = {
            bot.status.name: bot.status.errors[-1] if bot.status.errors else bot.status.state
            for bot in fleet
            if bot.status.state != "in play"
        }
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await asyncio.gather(*(master.close() for master in masters))
    return outcomes, lost


def summary(outcomes: list[Outcome], lost: dict[str, str], *, is_whole: bool) -> dict[str, Any]:
    """Return the figures of all restarts."""
    pauses = sorted(each.pause for each in outcomes if each.kind == "full" and each.pause is not None)
    seconds = sorted(each.seconds for each in outcomes)
    return {
        "restarts": len(outcomes),
        "good": sum(each.is_good for each in outcomes),
        "put_out": sum(each.put_out for each in outcomes),
        "documents_changed": sum(each.changed for each in outcomes),
        "bots_lost": len(lost),
        "why_lost": lost,
        "histories_whole": is_whole,
        "seconds_median": seconds[len(seconds) // 2] if seconds else None,
        "pause_median": pauses[len(pauses) // 2] if pauses else None,
        "pause_longest": pauses[-1] if pauses else None,
    }


def run(bots: int, wanted: list[str], on_done: Callable[[Outcome], None]) -> dict[str, Any]:
    """Start a platform, restart its world, stop it; returns the summary. Raises: CannotMeasure."""
    stack = Stack()
    try:
        stack.start()
        outcomes, lost = asyncio.run(measure(stack, bots, wanted, on_done))
        return summary(outcomes, lost, is_whole=invariants_hold(stack))
    except (AssertionError, TimeoutError, subprocess.CalledProcessError) as error:
        raise CannotMeasure(f"{type(error).__name__}: {error}\n{stack.logs()}") from error
    finally:
        stack.stop()


def line_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a line of JSON has it."""
    return {**asdict(outcome), "is_good": outcome.is_good}
