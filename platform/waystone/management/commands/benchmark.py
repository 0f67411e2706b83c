"""`manage.py benchmark WHAT`: the figures of docs/performance.md, measured here."""

from argparse import ArgumentParser
from importlib import import_module
from types import ModuleType
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = (
        "Measure packets, a tick, a zone cluster under players or attack, saves of characters, placement, "
        "restarts, a whole world, or the site and REST."
    )
    _cli: ModuleType | None = None
    _missing = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        # The benchmarks are part of the tests: a deployment may come without them.
        try:
            self._cli = import_module("tests.benchmark.cli")
        except ImportError as error:
            self._missing = str(error)
            parser.add_argument("which", nargs="*")
        else:
            self._cli.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        if self._cli is None:
            raise CommandError(f"The benchmarks are not installed here: {self._missing}")
        try:
            self._cli.run(options.pop("which"), options, self.stdout)
        except self._cli.CannotRun as error:
            raise CommandError(str(error)) from error
