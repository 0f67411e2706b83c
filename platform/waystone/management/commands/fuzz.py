"""`manage.py fuzz DECODER --seconds N`: look for bytes that break a decoder. See CONTRIBUTING.md."""

from argparse import ArgumentParser
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = "Feed a decoder that faces the network with mutations of its corpus, led by what they reach."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("decoder", nargs="?", help="none: list them")
        parser.add_argument("--seconds", type=float, default=60.0)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--write-seeds", action="store_true", help="write the corpus' sound files anew")

    def handle(
        self, *args: Any, decoder: str | None, seconds: float, seed: int, write_seeds: bool, **options: Any
    ) -> None:
        """Run. Raises: CommandError: no such decoder, or something was found; the text says what to do."""
        # They are part of the tests: a deployment may come without them.
        try:
            decoders = import_module("tests.fuzz.registry").DECODERS
            guided = import_module("tests.fuzz.guided")
        except ImportError as error:
            raise CommandError(f"The fuzzer is not installed here: {error}") from error
        if decoder is None:
            for name, each in decoders.items():
                kept = len(list(each.folder.iterdir())) if each.folder.is_dir() else 0
                self.stdout.write(f"{name}: {kept} files")
            return
        if decoder not in decoders:
            raise CommandError(f"There is no decoder {decoder!r}; there are: {', '.join(decoders)}.")
        target = decoders[decoder]
        if write_seeds:
            for name, data in target.seeds().items():
                self.stdout.write(f"written: {target.keep(f'taken-{name}', data)}")
        progress = guided.fuzz(target, seconds, seed, self.tell)
        self.tell(progress)
        if progress.findings:
            raise CommandError("\n".join(self.keep(target, finding) for finding in progress.findings))

    def tell(self, progress: Any) -> None:
        """Say how far it is."""
        self.stdout.write(
            f"{progress.cases} cases, {progress.steps} steps, {progress.corpus} in the corpus, "
            f"{len(progress.findings)} failed"
        )

    def keep(self, target: Any, finding: Any) -> str:
        """Write a finding into the corpus; return what to say of it."""
        path = target.keep(f"refused-found-{finding.data.hex()[:16] or 'empty'}", finding.data)
        return (
            f"{type(finding.error).__name__}: {finding.error}\n  kept as {path}: correct the decoder, give "
            "the file a name that says what is in it, and run the tests."
        )
