"""`manage.py bots -n 50`: bots wander, talk, use portals, perhaps trade; a table shows how they fare."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from waystone.bot_accounts import BotAccount, prepare_bot
from waystone_client import Master, Player
from waystone_client.bots import Bot, BotStatus, run_fleet
from waystone_client.dealer import Dealer

SHOWN = 25  # rows of the table; the rest is in the sums
REFRESH_S = 1.0


class Command(BaseCommand):
    """Runs bots against the master of this deployment, whose database it needs for their accounts."""

    help = "Let bots play: they wander, talk and use portals. Exit code 1 if any of them was lost."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """How many, where, how long."""
        parser.add_argument("-n", type=int, default=10, help="how many bots (default 10)")
        parser.add_argument("--first", type=int, default=1, help="number of the first bot's account")
        parser.add_argument("--world", default=settings.CONFIG.world, help="slug of the world")
        parser.add_argument("--seconds", type=float, default=60.0, help="how long they play (default 60)")
        parser.add_argument("--url", default=settings.CONFIG.public_url, help="the master's address")
        parser.add_argument("--seed", type=int, default=1, help="of what they do")
        parser.add_argument("--trade", action="store_true", help="two by two they trade, and write letters")

    def handle(
        self,
        *args: Any,
        n: int,
        first: int,
        world: str,
        seconds: float,
        url: str,
        seed: int,
        trade: bool,
        **rest: Any,
    ) -> None:
        """Run the bots.

        Raises: CommandError: some were lost.
        """
        if not 1 <= n <= 1000 or seconds <= 0:
            raise CommandError("Use 1 to 1000 bots and a time above 0.")
        self.stdout.write(f"Preparing {n} bot accounts …")
        try:
            accounts = [prepare_bot(number) for number in range(first, first + n)]
        except DatabaseError as error:
            advice = "Bots need the master's own database: run `manage.py up` first, with the same settings."
            raise CommandError(f"The database does not answer ({error}). {advice}") from error
        statuses = asyncio.run(self._run(accounts, world, seconds, url, seed, trade))
        lost = [status for status in statuses if status.state != "logged out"]
        self._summarise(statuses, seconds)
        if lost:
            raise CommandError(f"{len(lost)} of {n} bots were lost.")

    async def _run(
        self, accounts: list[BotAccount], world: str, seconds: float, url: str, seed: int, trade: bool
    ) -> list[BotStatus]:
        masters = [Master(url, token=account.token) for account in accounts]

        def make(number: int) -> Bot:
            master, account = masters[number], accounts[number]

            async def enter() -> Player:
                return await Player.enter(master, world, account.character, client="waystone-bot")

            own_seed = seed * 1_000_003 + number
            return Bot(account.character, enter, own_seed, dealer_of(accounts, number, own_seed, trade))

        bots = [make(number) for number in range(len(accounts))]
        statuses = [bot.status for bot in bots]
        fleet = asyncio.create_task(run_fleet(bots, seconds=seconds))
        console = Console()
        try:
            if not console.is_terminal:
                await fleet
                return statuses
            with Live(console=console, auto_refresh=False) as live:
                before, at = 0, time.monotonic()
                while not fleet.done():
                    await asyncio.wait([fleet], timeout=REFRESH_S)
                    total, now = sum(status.snapshots for status in statuses), time.monotonic()
                    live.update(make_table(statuses, (total - before) / (now - at)), refresh=True)
                    before, at = total, now
            await fleet
        finally:
            fleet.cancel()
            await asyncio.gather(*(master.close() for master in masters))
        return statuses

    def _summarise(self, statuses: list[BotStatus], seconds: float) -> None:
        def total(field: str) -> int:
            return sum(getattr(status, field) for status in statuses)

        states = ", ".join(f"{count} {state}" for state, count in Counter(s.state for s in statuses).items())
        self.stdout.write(
            f"{len(statuses)} bots for {seconds:.0f} s: {states}. {total('snapshots')} snapshots, "
            f"{total('handoffs')} handoffs, {total('said')} lines said, {total('heard')} heard, "
            f"{total('trades') // 2} trades, {total('letters')} letters sent or taken, "
            f"{total('resumed')} links resumed, {sum(len(s.errors) for s in statuses)} errors."
        )
        for status in statuses:
            for error in status.errors[-3:]:
                self.stdout.write(f"  {status.name}: {error}")


def dealer_of(accounts: list[BotAccount], number: int, seed: int, trade: bool) -> Dealer | None:
    """Return who deals for a bot with the one beside it; the last of an odd number has nobody."""
    partner = number ^ 1
    if not trade or partner >= len(accounts):
        return None
    return Dealer(accounts[partner].character, random.Random(seed), leads=number % 2 == 0)


def make_table(statuses: list[BotStatus], snapshots_s: float) -> Table:
    """Return the table of the bots as they are now."""
    in_play = sum(status.state == "in play" for status in statuses)
    handoffs = sum(status.handoffs for status in statuses)
    errors = sum(len(status.errors) for status in statuses)
    table = Table(
        title=f"{in_play} in play · {snapshots_s:.0f} snapshots/s · {handoffs} handoffs · {errors} errors"
    )
    for column in ("bot", "state", "zone"):
        table.add_column(column)
    for column in ("snapshots", "handoffs", "said", "heard", "trades", "letters", "resumed", "errors"):
        table.add_column(column, justify="right")
    for status in statuses[:SHOWN]:
        seen = (status.snapshots, status.handoffs, status.said, status.heard)
        numbers = (*seen, status.trades, status.letters, status.resumed)
        table.add_row(
            status.name, status.state, status.zone, *map(str, numbers), str(len(status.errors) or "")
        )
    if len(statuses) > SHOWN:
        table.add_row(f"… and {len(statuses) - SHOWN} more")
    return table
