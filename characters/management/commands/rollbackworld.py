"""`manage.py rollbackworld SLUG --since TIME [--dry-run]`: undo what one world wrote, as new versions."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from characters.restoring import (
    LineRollback,
    lines_written_by,
    note_rollback,
    plan_rollback,
    roll_back_line,
)
from worlds.models import World

MOST_CHANGES = 4  # of one character in a line of output
SIGNS = {"to do": "would go back", "done": "went back", "in play": "skipped", "built on": "left to you"}


class Command(BaseCommand):
    help = "Undo what a world wrote since a moment, as new versions. Doing it again changes nothing more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the world")
        parser.add_argument("--since", required=True, help="ISO 8601; without a zone it is UTC")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and change nothing"
        )
        parser.add_argument("--reason", default="", help="for the audit record; needed unless --dry-run")

    def handle(self, *args: Any, slug: str, since: str, dry_run: bool, reason: str, **options: Any) -> None:
        world, start = _world(slug), _moment(since)
        if not dry_run and not reason:
            raise CommandError("Say why with --reason: the audit record keeps it. Or look first: --dry-run.")
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        counts: Counter[str] = Counter()
        now = timezone.now()
        for line in self._lines(console, world, start, reason, now, is_dry_run=dry_run):
            counts[line.verdict] += 1
            console.print(_told(line))
        if not dry_run:
            note_rollback(world=world, since=start, counts=dict(counts), reason=reason, by=None, now=now)
        console.print(_summary(world, counts, is_dry_run=dry_run))

    def _lines(
        self, console: Console, world: World, since: datetime, reason: str, now: datetime, *, is_dry_run: bool
    ) -> Iterator[LineRollback]:
        if is_dry_run:
            yield from plan_rollback(world=world, since=since, now=now)
            return
        lines = lines_written_by(world, since)
        shown = track(lines, description="Rolling back", console=console, disable=not console.is_terminal)
        for line_id in shown:
            done = roll_back_line(
                line_id=line_id, world=world, since=since, reason=reason, by=None, now=timezone.now()
            )
            if done is not None:
                yield done


def _world(slug: str) -> World:
    world = World.objects.filter(slug=slug).first()
    if world is None:
        known = ", ".join(World.objects.values_list("slug", flat=True)[:20]) or "none"
        raise CommandError(f"There is no world {slug!r}. Worlds here: {known}.")
    return world


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError as error:
        raise CommandError(f"--since {text}: {error}.") from error
    if moment is None:
        raise CommandError(f"--since {text!r} is no time; write it like 2026-11-23T10:00.")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _told(line: LineRollback) -> str:
    more = len(line.changes) - MOST_CHANGES
    changes = ", ".join(line.changes[:MOST_CHANGES]) + (f" and {more} more" if more > 0 else "")
    note = f" [yellow]({escape(line.note)})[/]" if line.note else ""
    return (
        f"[bold]{escape(line.name)}[/] {escape(line.line_name)}: {SIGNS[line.verdict]}, v{line.head} → "
        f"v{line.back_to} ({line.undone} versions): {escape(changes) or 'no difference'}{note}"
    )


def _summary(world: World, counts: Counter[str], *, is_dry_run: bool) -> str:
    if not counts:
        return f"Nothing of {escape(world.name)} since then is in any head: nothing to do."
    parts = ", ".join(f"{number} {SIGNS[verdict]}" for verdict, number in sorted(counts.items()))
    hint = (
        " Those in play: suspend the world or wait for log-outs, then run this again."
        if counts["in play"]
        else ""
    )
    return f"{'Dry run, nothing changed. ' if is_dry_run else ''}Lines: {parts}.{hint}"
