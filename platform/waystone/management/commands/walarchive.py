"""`manage.py walarchive [--to FOLDER]`: the embedded PostgreSQL's log on another disk, and base backups."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from waystone.backups import wal
from waystone.backups.cycle import nobody
from waystone.backups.database import own_database
from waystone.backups.errors import BackupError
from waystone.backups.keeping import EXPECTED, deployment, words
from waystone.backups.wal_keeping import archive_folder, embedded_server, make_base
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import EmbeddedServerError


class Command(BaseCommand):
    help = (
        "Set up WAL archiving of the embedded PostgreSQL, in play: its log goes to a folder on another disk "
        "within a minute, and a base backup is made there. Without an option: how it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--to", type=Path, metavar="FOLDER", help="archive there, and make a base backup")
        what.add_argument("--base", action="store_true", help="make another base backup, delete what is old")
        what.add_argument("--off", action="store_true", help="archive no more")
        parser.add_argument(
            "--every", type=int, default=60, metavar="SECONDS", help="of log lost at most (default: 60)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            server = embedded_server()
            if options["to"]:
                self._set_up(server, options["to"].resolve(), options["every"])
            elif options["base"]:
                self._base(server)
            elif options["off"]:
                wal.switch_off(own_database())
                self.stdout.write("Nothing is archived any more. What is in the folder stays there.")
            else:
                self._tell()
        except (*EXPECTED, EmbeddedServerError) as error:
            raise CommandError(words(error), returncode=1) from error

    def _set_up(self, server: Postgres, folder: Path, every_s: int) -> None:
        database = own_database()
        if every_s < 1:
            raise BackupError("--every: a whole number of seconds, 1 or more.")
        if wal.set_up(database, server, folder, every_s):
            self.stdout.write("PostgreSQL is started again, once: nobody is put out.")
            wal.restart(server, database)
        self._base(server)

    def _base(self, server: Postgres) -> None:
        made, gone = make_base(server, deployment().backup, timezone.now(), nobody)
        self.stdout.write(f"Base backup: {made}. Deleted, as no base backup needs it: {gone} files.")
        self._tell()

    def _tell(self) -> None:
        found = wal.archiver(own_database())
        if not found.is_on:
            self.stdout.write("WAL archiving is off. Set it up: manage.py walarchive --to FOLDER")
            return
        self.stdout.write(f"Archiving to {archive_folder()}: {found.archived} files so far.")
        if found.failing:
            self.stdout.write(
                f"It FAILS at {found.last_failed}: is the folder there, has it room? PostgreSQL keeps the "
                "log, and its own disk fills until it works again."
            )
