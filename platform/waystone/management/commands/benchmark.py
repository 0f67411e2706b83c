"""`manage.py benchmark packets|zone`: the figures of docs/performance.md, on this machine."""

import json
import os
from argparse import ArgumentParser
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = "Measure: `packets` (the packet path against a C loop) or `zone` (a zone cluster under players)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_subparsers(dest="which", required=True)
        packets = which.add_parser("packets", help="the packet path against a plain C loop, in one run")
        packets.add_argument("--clients", type=int, default=1000)
        packets.add_argument("--rounds", type=int, default=50)
        zone = which.add_parser("zone", help="a zone cluster process under real encrypted clients")
        zone.add_argument("--players", type=int, default=500)
        zone.add_argument("--zones", type=int, default=1, help="instances that the players are spread over")
        zone.add_argument("--workload", choices=("zone", "hotspot", "box"), default="zone")
        zone.add_argument("--path", choices=("auto", "batch", "plain"), default="auto")
        zone.add_argument("--clean", type=int, default=8, help="undisturbed seconds that are wanted")
        zone.add_argument("--seconds", type=int, default=25, help="seconds after which it ends all the same")
        zone.add_argument("--bisect", type=int, metavar="MOST", help="find how many hold, up to this number")
        zone.add_argument("--step", type=int, default=100, help="to which the number is found")
        for each in (packets, zone):
            each.add_argument("--json", action="store_true", help="one JSON line per run instead of a table")

    def handle(self, *, which: str, **options: Any) -> None:
        # The benchmarks are part of the tests: a deployment may come without them.
        try:
            module = import_module(f"tests.benchmark.{which}")
        except ImportError as error:
            raise CommandError(f"The benchmark cannot run here: {error}") from error
        try:
            getattr(self, f"_{which}")(module, options)
        except module.CannotMeasure as error:
            raise CommandError(str(error)) from error

    def _packets(self, module: Any, options: dict[str, Any]) -> None:
        rounds, console = options["rounds"], Console(stderr=True)
        with module.Comparison(options["clients"]) as comparison, Progress(console=console) as progress:
            task = progress.add_task("rounds", total=rounds + module.WARM_UP_ROUNDS)
            result = comparison.run(rounds, lambda done: progress.update(task, completed=done))
        if options["json"]:
            self.stdout.write(json.dumps(result))
            return
        table = Table("way", "receive, open µs", "seal, send µs", "both µs", "to C")
        for way in ("C", "batch", "plain"):
            row = result[way]
            ratio = row.get("ratio_to_c", 1.0)
            table.add_row(
                way,
                *(f"{row[k]:.2f}" for k in ("receive_open_us", "seal_send_us", "both_us")),
                f"{ratio:.2f}",
            )
        Console().print(table)

    def _zone(self, module: Any, options: dict[str, Any]) -> None:
        if len(os.sched_getaffinity(0)) < 2:
            raise CommandError("Two cores are needed: one for the zone cluster, one for its players.")
        console = Console(stderr=True)

        def run(players: int) -> dict[str, Any]:
            setting = module.Setting(
                players,
                zones=options["zones"],
                workload=options["workload"],
                path=options["path"],
                clean_seconds=options["clean"],
                most_seconds=options["seconds"],
            )
            with console.status("starting") as status:
                result = module.measure(setting, status.update)
            if options["json"]:
                self.stdout.write(json.dumps(result))
                self.stdout.flush()
            else:
                Console().print(self._line(result))
            return result

        if not options["bisect"]:
            run(options["players"])
            return
        if run(options["players"])["ok"]:
            runs = module.largest(options["players"], options["bisect"], options["step"], run)
            held = [options["players"], *(result["n"] for result in runs if result["ok"])]
            console.print(f"Largest number of players that held: {max(held)}")
        else:
            console.print(f"Not even {options['players']} players hold: begin with fewer.")

    def _line(self, result: dict[str, Any]) -> str:
        gap, tick = result["gap"], result["server"]["tick"]
        verdict = "holds" if result["ok"] else "does NOT hold"
        clean = "" if result["clean"] else ", disturbed by others"
        return (
            f"{result['n']} players: {verdict}{clean}. {result['snaps_mean']} snapshots/s (worst client "
            f"{result['snaps_min']}), gap p50 {gap['p50']} p99 {gap['p99']} max {gap['max']} ms; tick p50 "
            f"{tick['p50']} p99 {tick['p99']} ms; ISR {result['server']['isr']}; "
            f"server {result['server_cpu']} %, clients {result['client_cpu']} % of a core; "
            f"{result['bytes_per_client_s'] / 1000:.1f} KB/s each; {result['rss_mb']} MB; "
            f"path {result['server']['path']}"
        )
