"""`manage.py checkaudit [--expect HEAD] [--json]`: whether the audit record is what was sealed."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit_chain import Head
from accounts.sealing import Report, check_audit


class Command(BaseCommand):
    help = (
        "Walk the hash chain of the audit record, reading only. Exit code 1: a row was changed, taken out or "
        "put in, or the head that was kept elsewhere is not in the chain."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--expect",
            default="",
            metavar="HEAD",
            help="a head from the log or an earlier check: position:hash",
        )
        parser.add_argument("--json", action="store_true", help="one line for programs")

    def handle(self, *args: Any, expect: str, **options: Any) -> None:
        try:
            expected = Head.parse(expect) if expect else None
        except ValueError as error:
            raise CommandError(f"--expect {expect}: {error}. checkaudit prints one.", returncode=2) from error
        report = check_audit(expected=expected)
        self.stdout.write(_as_json(report) if options["json"] else _as_text(report))
        if report.faults:
            raise CommandError("The audit record is not what was sealed.", returncode=1)


def _as_json(report: Report) -> str:
    oldest = report.oldest_waiting_at
    return json.dumps(
        {
            "holds": not report.faults,
            "sealed": report.head.position,
            "head": str(report.head),
            "waiting": report.waiting,
            "oldest_waiting_at": oldest.isoformat() if oldest else None,
            "faults": report.faults,
        }
    )


def _as_text(report: Report) -> str:
    lines = list(report.faults)
    if not lines:
        lines.append(f"The audit record holds: {report.head.position} rows in one unbroken chain.")
    if report.oldest_waiting_at is not None:
        since = f"{report.oldest_waiting_at:%Y-%m-%d %H:%M:%S}"
        lines.append(f"Not sealed yet: {report.waiting} rows, the oldest of {since} UTC.")
    lines.append(f"Head, to be kept elsewhere: {report.head}")
    return "\n".join(lines)
