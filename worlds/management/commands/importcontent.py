"""`manage.py importcontent PATH --world SLUG [--dry-run]`: bring a world's content in line with a pack."""

from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any, cast

import structlog
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console

from worlds.content.files import load_pack
from worlds.content.importer import ZoneInUse, import_pack
from worlds.content.problems import InvalidPack
from worlds.content.report import problem_lines, result_table
from worlds.models import World

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Import a content pack (a folder; see docs/content.md). Importing it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the folder of the pack")
        parser.add_argument("--world", required=True, help="slug of the world")
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would change, and change nothing"
        )

    def handle(self, *args: Any, path: Path, world: str, dry_run: bool, **options: Any) -> None:
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        row = World.objects.filter(slug=world).first()
        if row is None:
            known = ", ".join(World.objects.values_list("slug", flat=True)[:20]) or "none"
            raise CommandError(f"There is no world {world!r}. Worlds here: {known}.")
        try:
            pack, warnings = load_pack(path)
            result = import_pack(world=row, pack=pack, now=timezone.now(), is_dry_run=dry_run)
        except InvalidPack as error:
            log.info("content_refused", world=world, path=str(path), problems=len(error.problems))
            for line in problem_lines(error.problems):
                console.print(line)
            raise CommandError(f"{str(error).capitalize()}; nothing was imported.") from error
        except ZoneInUse as error:
            log.info("content_refused", world=world, path=str(path), cause=str(error))
            raise CommandError(f"{error}; nothing was imported.") from error
        for line in problem_lines(warnings):
            console.print(line)
        console.print(result_table(pack, result))
