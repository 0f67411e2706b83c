"""`manage.py killrounds`: people play, processes are killed, everything must add up. See docs/proofs.md."""

import json
from argparse import ArgumentParser
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = (
        "Start a platform of its own, let people trade, write and shop there, kill -9 and stop its "
        "processes, and check after each round that nothing was doubled, lost or undone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rounds", type=int, default=200)
        parser.add_argument("--seed", type=int, default=1, help="of the faults")
        parser.add_argument("--people", type=int, default=8)
        parser.add_argument(
            "--long-every",
            type=int,
            default=25,
            help="each such round stops a process past the lease; 0: none",
        )
        parser.add_argument("--seconds", type=float, default=0.0, help="begin no round after so many")
        parser.add_argument(
            "--in-turn",
            action="store_true",
            help="kill -9 each process in its turn, and judge how long it took",
        )
        parser.add_argument("--bots", type=int, default=0, help="that play beside them; needs --seconds")
        parser.add_argument("--json", metavar="FILE", help="write everything to a file")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run. Raises: CommandError: something was broken; the text says what and where to look."""
        # They are part of the tests: a deployment may come without them.
        try:
            cli = import_module("tests.killing.cli")
        except ImportError as error:
            raise CommandError(f"The rounds are not installed here: {error}") from error
        if options["bots"] and not options["seconds"]:
            raise CommandError("Say by --seconds how long the bots shall play.")
        names = ("rounds", "seed", "people", "long_every", "seconds", "in_turn", "bots")
        result = cli.run(cli.Setting(**{name: options[name] for name in names}), self.stdout)
        if options["json"]:
            cli.write_json(result, options["json"])
        told = {key: value for key, value in result.items() if key not in ("reports", "broken")}
        self.stdout.write(json.dumps(told))
        if result["broken"]:
            place = result["state_dir"]
            raise CommandError(
                f"{result['broken']}\nThe state directory is kept: logs in {place}/log. "
                f"To look at the database: WAYSTONE_STATE_DIR={place} python3 manage.py up",
                returncode=1,
            )
