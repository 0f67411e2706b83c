"""`manage.py replica [--ship|--load]`: the world's receipts on another host."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from waystone.backups.errors import BackupError
from waystone.backups.keeping import EXPECTED, words
from waystone.backups.replicating import load_replica, ship_receipts, standing


class Command(BaseCommand):
    help = (
        "Receipts and states of this deployment's world at WAYSTONE_REPLICA_TARGET. Without an option: how "
        "far they are. A worker writes them by itself, every few seconds."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--ship", action="store_true", help="write now what is not there yet")
        what.add_argument("--load", action="store_true", help="bring back what the world's database has lost")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            if options["load"]:
                found = load_replica(now)
                self.stdout.write(
                    f"{found.new} receipts brought back of {found.rows} found; refused: {found.refused}."
                )
                self.stdout.write("The world daemon offers them when the master asks (docs/restore.md).")
                return
            if options["ship"]:
                shipped = ship_receipts(now)
                self.stdout.write(f"{shipped.rows} receipts written; {shipped.behind} still to be written.")
                return
            self.stdout.write(standing())
        except (*EXPECTED, BackupError) as error:
            raise CommandError(words(error), returncode=1) from error
