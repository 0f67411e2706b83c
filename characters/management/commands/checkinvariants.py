"""`manage.py checkinvariants [--json] [--database-url URL]`: whether what the docs promise holds, by SQL."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from characters.invariants import INVARIANTS, Finding, check_invariants
from characters.invariants.checking import Cursor, begin_snapshot


class Command(BaseCommand):
    help = (
        "Check what must be true of characters, letters and valuables, on one snapshot, reading only. "
        "Exit code 1: something does not hold."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="a line for each invariant")
        parser.add_argument(
            "--database-url", default="", help="another database than this deployment's: a restored backup"
        )

    def handle(self, *args: Any, database_url: str, **options: Any) -> None:
        is_for_machines = options["json"]
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        with (
            _snapshot(database_url) as cursor,
            Progress(console=console, disable=is_for_machines) as progress,
        ):
            bar = progress.add_task("Invariants", total=len(INVARIANTS))
            findings = check_invariants(
                cursor, INVARIANTS, on_checked=lambda invariant: progress.advance(bar)
            )
        if is_for_machines:
            self._tell_machines(findings)
        else:
            _tell_people(console, findings)
        if findings:
            raise CommandError(f"{len(findings)} of {len(INVARIANTS)} invariants do not hold.", returncode=1)

    def _tell_machines(self, findings: list[Finding]) -> None:
        broken = {finding.invariant.name: finding for finding in findings}
        for invariant in INVARIANTS:
            finding = broken.get(invariant.name)
            row = {
                "invariant": invariant.name,
                "holds": finding is None,
                "broken": finding.broken if finding else 0,
                "rows": list(finding.rows) if finding else [],
            }
            self.stdout.write(json.dumps(row))


@contextmanager
def _snapshot(url: str) -> Iterator[Cursor]:
    """A cursor in a transaction that sees one moment and writes nothing."""
    if not url:
        with transaction.atomic(), connection.cursor() as cursor:
            begin_snapshot(cast(Cursor, cursor))
            yield cast(Cursor, cursor)
        return
    try:
        other = psycopg.connect(url)
    except psycopg.Error as error:
        raise CommandError(f"No connection to that database: {error}") from error
    with other, other.cursor() as cursor:
        begin_snapshot(cursor)
        yield cursor


def _tell_people(console: Console, findings: list[Finding]) -> None:
    for finding in findings:
        sentence, broken = escape(finding.invariant.sentence), finding.broken
        console.print(f"[bold red]{finding.invariant.name}[/] does not hold ({broken} times): {sentence}")
        for row in finding.rows:
            console.print(f"    {escape(row)}")
        if broken > len(finding.rows):
            console.print(f"    and {broken - len(finding.rows)} more")
    if not findings:
        console.print(f"All {len(INVARIANTS)} invariants hold.")
