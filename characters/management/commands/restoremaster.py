"""`manage.py restoremaster`: bring a master whose database was restored from a backup back into service."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from characters.collecting import NotCollecting, begin_restore, finish_restore, standing


class Command(BaseCommand):
    help = (
        "After the master's database was restored: --raise-incarnation makes it collect what worlds hold; it "
        "goes into service by itself when all have offered, or by --finish. Without an option: how far it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        options = parser.add_mutually_exclusive_group()
        options.add_argument(
            "--raise-incarnation", action="store_true", help="begin; run it before web is started"
        )
        options.add_argument(
            "--finish", action="store_true", help="go into service without the worlds that are missing"
        )
        parser.add_argument(
            "--reason", default="restored from a backup", help="for the audit log (default: %(default)s)"
        )

    def handle(
        self, *args: object, raise_incarnation: bool, finish: bool, reason: str, **options: object
    ) -> None:
        try:
            if raise_incarnation:
                begin_restore(reason=reason[:200], now=timezone.now())
            elif finish:
                bridged = finish_restore(now=timezone.now())
                self.stdout.write(f"In service. Lines with a gap in their history: {bridged}")
        except NotCollecting as error:
            raise CommandError(f"Nothing was changed: {error}.") from error
        self._tell()

    def _tell(self) -> None:
        now = standing()
        self.stdout.write(f"incarnation {now.incarnation}")
        if now.collects_since is None:
            self.stdout.write("in service: no restore is under way")
            return
        self.stdout.write(f"collecting what worlds hold since {now.collects_since:%Y-%m-%d %H:%M:%S} UTC")
        self.stdout.write(f"versions taken back so far: {now.replayed}")
        self.stdout.write(f"lines with something missing before what was offered: {now.waiting_lines}")
        waited_for = ", ".join(now.waited_for) or "nobody"
        self.stdout.write(f"waiting for: {waited_for}")
