"""What `manage.py benchmark restarts` offers, and how its results are told."""

import json
from argparse import ArgumentParser
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def add_arguments(restarts: ArgumentParser) -> None:
    """Declare the arguments."""
    restarts.add_argument("--restarts", type=int, default=100)
    restarts.add_argument("--bots", type=int, default=10, help="who play meanwhile")
    restarts.add_argument(
        "--kind", choices=("rolling", "full", "both"), default="both", help="both: in turns"
    )


def run(module: Any, options: dict[str, Any], out: TextIO) -> None:
    """Restart and tell of each; module: tests.benchmark.restarts."""
    wanted = module.kinds(options["kind"], options["restarts"])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("starting a platform", total=len(wanted))

        def on_done(outcome: Any) -> None:
            pause = "" if outcome.pause is None else f", stood still {outcome.pause:.1f} s"
            if options["json"]:
                out.write(json.dumps(module.line_of(outcome)) + "\n")
            else:
                verdict = "good" if outcome.is_good else f"NOT GOOD: {outcome.error or 'see the figures'}"
                out.write(
                    f"{outcome.number:4} {outcome.kind:8} {outcome.seconds:6.1f} s{pause}; "
                    f"{outcome.players} players, {outcome.put_out} put out, "
                    f"{outcome.changed} documents changed: {verdict}\n"
                )
            out.flush()
            progress.update(task, advance=1, description="restarts")

        total = module.run(options["bots"], wanted, on_done)
    out.write(json.dumps(total) + "\n" if options["json"] else _words(total))


def _words(total: dict[str, Any]) -> str:
    return "".join(f"{name.replace('_', ' '):>20}: {value}\n" for name, value in total.items())
