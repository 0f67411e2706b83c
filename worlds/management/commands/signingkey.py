"""`manage.py signingkey`: list the master's signing keys; `--new` makes one that signs from then on."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from worlds.signing import NoSigningKey, new_signing_key, signing_keys
from worlds.uplink.keys import UnusableKey


class Command(BaseCommand):
    help = "List the master's signing keys, newest first. Delete a key's file to revoke it."
    requires_system_checks: list[str] = []  # keys are files: no database is needed

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--new", action="store_true", help="make a new key; tickets are signed by it at once"
        )

    def handle(self, *args: object, new: bool, **options: object) -> None:
        folder = settings.CONFIG.signing_keys_dir
        try:
            if new:
                new_signing_key(folder)
            keys = signing_keys(folder)
        except (UnusableKey, NoSigningKey) as error:
            raise CommandError(f"{error}. `manage.py signingkey --new` makes a key.") from error
        for kid in keys.by_kid:
            signs = "  (signs)" if kid == keys.newest.kid else ""
            self.stdout.write(f"{folder / kid}.pem{signs}")
