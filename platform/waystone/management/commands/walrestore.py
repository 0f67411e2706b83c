"""`manage.py walrestore FOLDER [--until TIME]`: the embedded PostgreSQL as it was at an instant."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from waystone.backups import wal_restoring
from waystone.backups.errors import BackupError
from waystone.backups.keeping import EXPECTED, deployment, words
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import EmbeddedServerError, place_servers


class Command(BaseCommand):
    help = (
        "Put the embedded PostgreSQL back to an instant, by what walarchive has written; stop manage.py up "
        "first. It is recovered and proven beside the present one, which is kept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="the one of walarchive --to")
        parser.add_argument(
            "--until", metavar="TIME", help="as 2026-11-23T18:00:00Z; without it: as far as the log goes"
        )
        parser.add_argument(
            "--may-end-early",
            action="store_true",
            help="also if pieces of the log are missing: up to the first that is",
        )

    def handle(self, *args: Any, folder: Path, until: str | None, **options: Any) -> None:
        config = deployment()
        try:
            instant = _instant(until)
            server = Postgres(place_servers(config.state_dir), config.postgres_port)
            made = wal_restoring.restore(
                server,
                folder.resolve(),
                instant,
                timezone.now(),
                lambda what, done: self.stdout.write(f"{what} …") if not what.startswith("inv") else None,
                is_master=config.role in ("all", "master"),
                may_end_early=options["may_end_early"],
            )
        except (*EXPECTED, EmbeddedServerError) as error:
            raise CommandError(words(error), returncode=1) from error
        self.stdout.write(f"Restored from {made.base.name} and the log after it; every invariant holds.")
        if made.newest is not None:
            self.stdout.write(f"The newest change in it is of {made.newest:%Y-%m-%d %H:%M:%S %Z}.")
        if made.kept is not None:
            self.stdout.write(f"What was there is kept in {made.kept}; delete it when you are sure.")
        self.stdout.write(
            "Start manage.py up, then make a new base backup: manage.py walarchive --base. A master's "
            "incarnation was raised: docs/restore.md says what happens now."
        )


def _instant(until: str | None) -> datetime | None:
    if until is None:
        return None
    try:
        found = parse_datetime(until)
    except ValueError:
        found = None
    if found is None:
        raise BackupError(f"--until {until!r}: expected an instant as 2026-11-23T18:00:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
