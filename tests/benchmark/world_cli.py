"""What `manage.py benchmark world` offers, and how its results are told."""

import json
from argparse import ArgumentParser
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table


def add_arguments(world: ArgumentParser) -> None:
    """Declare the arguments."""
    world.add_argument(
        "--players", type=int, nargs="+", default=[100, 400, 1000], help="one level after the other"
    )
    world.add_argument("--crossers", type=int, default=20, help="who go from cluster to cluster")
    world.add_argument("--handoffs", type=int, default=10_000)
    world.add_argument("--seconds", type=float, default=20.0, help="of each level")


def run(module: Any, options: dict[str, Any], out: TextIO) -> None:
    """Measure and tell; module: tests.benchmark.world."""
    setting = module.Setting(
        tuple(options["players"]), options["crossers"], options["handoffs"], options["seconds"]
    )
    with Console(stderr=True).status("starting") as status:
        lines = module.run(setting, status.update)
    console = Console(file=out, soft_wrap=True)
    for line in lines:
        if options["json"]:
            out.write(json.dumps(line) + "\n")
            continue
        console.print(
            f"{line['players']} players: {line['commands_s']} commands/s, round trip {line['command_ms']} "
            f"ms, {line['unanswered']} unanswered; {line['batches_a_tick']} batches a tick on the bus, "
            f"{line['ratio']} times those of the first level",
            highlight=False,
        )
        if "handoffs" in line:
            console.print(
                f"{line['handoffs']} handoffs by {line['crossers']} players, {line['handoffs_s']}/s: "
                f"{line['handoff_ms']} ms, {line['lost']} lost {line['first_lost'] or ''}",
                highlight=False,
            )
        table = Table("process", "cores", "messages a tick", "batches a tick")
        for name, each in sorted(line["processes"].items()):
            table.add_row(name, *(str(each[key]) for key in ("cores", "messages_a_tick", "batches_a_tick")))
        console.print(table)
