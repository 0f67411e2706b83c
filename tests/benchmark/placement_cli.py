"""What `manage.py benchmark placement` offers, and how its results are told."""

import json
from argparse import ArgumentParser
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


def add_arguments(placement: ArgumentParser) -> None:
    """Declare the arguments."""
    placement.add_argument("--zones", type=int, default=1000)
    placement.add_argument("--clusters", type=int, default=40)
    placement.add_argument("--weeks", type=int, default=3, help="the first is for learning, and not counted")
    placement.add_argument("--plan-hours", type=int, default=1, help="hours between two plans")
    placement.add_argument("--seed", type=int, default=1, help="of the generated weeks")


def run(module: Any, options: dict[str, Any], out: TextIO) -> None:
    """Play the weeks and tell of each way; module: tests.benchmark.placement."""
    names = ("zones", "clusters", "weeks", "plan_hours", "seed")
    setting = module.Setting(**{name: options[name] for name in names})
    columns = (TextColumn("five minutes"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=setting.steps)
        lines = module.play(setting, lambda done: progress.update(task, completed=done))
    if options["json"]:
        for line in lines:
            out.write(json.dumps(line) + "\n")
        return
    headings = (
        "way",
        "imbalance",
        "busiest",
        "overload min/week",
        "to the best other",
        "moves/week",
        "plan s",
    )
    table = Table(*headings, title=f"{setting.zones} zones on {setting.clusters} clusters")
    for line in lines:
        cells = (line[key] for key in module.TOLD)
        table.add_row(line["way"], *("" if cell is None else f"{cell}" for cell in cells))
    Console(file=out).print(table)
