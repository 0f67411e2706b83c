"""`manage.py thinversions [--dry-run]`: thin old versions now; the worker does it each night."""

from argparse import ArgumentParser
from typing import IO, Any, cast
from uuid import UUID

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from characters.models import Line
from characters.retention import thin_batch


class Command(BaseCommand):
    help = "Thin versions: all of 14 days are kept, then one an hour, after 90 days one a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        now, thinned = timezone.now(), 0
        after: UUID | None = None
        with Progress(console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("Lines", total=Line.objects.count())
            while True:
                batch = thin_batch(after=after, now=now, is_dry_run=dry_run)
                thinned += batch.thinned
                progress.advance(bar, batch.lines)
                if batch.last is None:
                    break
                after = batch.last
        console.print(f"{thinned:,} versions {'would be' if dry_run else 'were'} thinned.")
