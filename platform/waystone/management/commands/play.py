"""`manage.py play`: a person plays in a terminal; in a pipe, a script does."""

import asyncio
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from waystone_client import Master, Player, WaystoneError
from waystone_client.terminal.entrance import Wishes, come_in, place_in_words
from waystone_client.terminal.line_mode import is_pipe, play_lines
from waystone_client.terminal.printable import printable
from waystone_client.terminal.screen import Screen


class Command(BaseCommand):
    """Log in or register, pick a world and a character, play."""

    help = "Play in the terminal. Without a terminal (in a pipe), commands are read line by line."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """All optional: what is missing is asked for."""
        parser.add_argument("--url", default=settings.CONFIG.public_url, help="the master's address")
        parser.add_argument("--email", default="", help="whose account")
        parser.add_argument("--register", action="store_true", help="make the account first")
        parser.add_argument("--world", default="", help="slug of the world")
        parser.add_argument("--character", default="", help="name; made if the account has none such")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play until quit. The password comes from WAYSTONE_PASSWORD or is asked for.

        Raises: CommandError: refused or not reachable, with what to do.
        """
        wishes = Wishes(
            email=options["email"],
            password=os.environ.get("WAYSTONE_PASSWORD", ""),
            world=options["world"],
            character=options["character"],
            is_new=options["register"],
        )
        try:
            asyncio.run(self._play(options["url"], wishes))
        except WaystoneError as error:
            raise CommandError(printable(str(error))) from error
        except KeyboardInterrupt:
            self.stdout.write("")

    async def _play(self, url: str, wishes: Wishes) -> None:
        async with Master(url) as master:
            world, character = await come_in(master, wishes, self._say)
            self._say(f"Entering {world.name} as {character} …")
            player = await Player.enter(
                master,
                world.slug,
                character,
                on_queued=lambda queued: self._say(place_in_words(queued)),
                client="waystone-play",
            )
        try:
            if is_pipe():
                await play_lines(player, sys.stdin, sys.stdout)
            else:
                screen = Screen(player, world.name)
                await screen.run()
                self.stdout.write("\n".join(screen.last_lines))
        finally:
            await player.leave()

    def _say(self, text: str) -> None:
        """Write what the master told: names and taglines of worlds are their operators' texts."""
        self.stdout.write(printable(text))
