"""What `manage.py benchmark` offers: the arguments of each benchmark, its runs, and how results are told.

Progress goes to stderr, results to stdout: a line each, or one JSON line each, for tables and the peers'
tools.
Importing this must be cheap; the benchmarks themselves are imported when they run.
"""

import json
import os
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.benchmark import placement_cli, restarts_cli, search, web_cli, world_cli

WORKLOADS = ("zone", "hotspot", "box", "farm", "lag")
Options = dict[str, Any]


class CannotRun(RuntimeError):
    """The benchmark cannot run here, or its figures would mean nothing; the message says why."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare all benchmarks."""
    which = parser.add_subparsers(dest="which", required=True)
    packets = which.add_parser("packets", help="the packet path against a plain C loop, in one run")
    packets.add_argument("--clients", type=int, default=1000)
    packets.add_argument("--rounds", type=int, default=50)
    tick = which.add_parser("tick", help="a whole tick against the same tick in C, in one run")
    tick.add_argument("--players", type=int, default=2000)
    tick.add_argument("--rounds", type=int, default=60)
    tick.add_argument("--workload", choices=("zone", "hotspot", "box"), default="zone")
    zone = which.add_parser("zone", help="a zone cluster process under real encrypted clients")
    _add_zone_arguments(zone)
    attack = which.add_parser("attack", help="what hostile strangers and players cost the others")
    attack.add_argument("--players", type=int, default=500)
    attack.add_argument("--seconds", type=int, default=8, help="of each window, with and without the attack")
    fairness = which.add_parser("fairness", help="one player who macros, beside others: how long they wait")
    fairness.add_argument("--players", type=int, default=200, help="with the one who macros")
    fairness.add_argument("--seconds", type=float, default=10, help="of each window")
    fairness.add_argument("--rounds", type=int, default=2, help="of all windows in turns")
    saves = which.add_parser("saves", help="durable saves and leases against raw PostgreSQL, in one run")
    _add_saves_arguments(saves)
    placement = which.add_parser("placement", help="where zones run, four ways, on generated weeks")
    placement_cli.add_arguments(placement)
    restarts = which.add_parser("restarts", help="restarts of a whole platform under bots: who is put out")
    restarts_cli.add_arguments(restarts)
    world = which.add_parser("world", help="a whole world under players: commands, handoffs, the bus")
    world_cli.add_arguments(world)
    web = which.add_parser("web", help="the site and REST on a large database, beside what limits them")
    web_cli.add_arguments(web)
    for each in (packets, tick, zone, attack, fairness, saves, placement, restarts, world, web):
        each.add_argument("--json", action="store_true", help="one JSON line per result instead of text")


def _add_zone_arguments(zone: ArgumentParser) -> None:
    zone.add_argument("--players", type=int, default=500)
    zone.add_argument("--zones", type=int, default=1, help="instances that the players are spread over")
    zone.add_argument("--workload", choices=WORKLOADS, default="zone")
    zone.add_argument("--path", choices=("auto", "batch", "plain"), default="auto")
    zone.add_argument("--in-c", action="store_true", help="the tick in C: what the machine can do at most")
    zone.add_argument("--clean", type=int, default=8, help="undisturbed seconds that are wanted")
    zone.add_argument("--seconds", type=int, default=25, help="seconds after which it ends all the same")
    zone.add_argument("--settle", type=float, default=3.0, help="seconds before measuring begins")
    zone.add_argument("--bisect", type=int, metavar="MOST", help="find how many hold, up to this number")
    zone.add_argument("--step", type=int, default=100, help="to which the number is found")
    zone.add_argument("--curve", type=int, metavar="MOST", help="100 players and more, up to this number")
    zone.add_argument(
        "--zones-curve", action="store_true", help="1 to 64 zones of 30, each beside one zone of as many"
    )


def _add_saves_arguments(saves: ArgumentParser) -> None:
    saves.add_argument("--characters", type=int, default=100_000)
    saves.add_argument("--versions", type=int, default=1_000_000, help="that are there beforehand")
    saves.add_argument("--playing", type=int, default=20_000, help="characters that are saved")
    saves.add_argument("--rounds", type=int, default=7, help="of each way, in turns")
    saves.add_argument("--saves", type=int, default=6_400, help="in a round")
    saves.add_argument("--batch", type=int, default=50, help="saves of a world in one request")
    saves.add_argument("--leases", type=int, default=1_000, help="acquired and released in a round")
    saves.add_argument("--worlds", type=int, nargs="+", default=[1, 8, 64])
    saves.add_argument("--kilobytes", type=int, nargs="+", default=[2, 8], help="sizes of documents")
    saves.add_argument("--folder", type=Path, help="keep the filled database here, and use it again")
    saves.add_argument("--partitions", action="store_true", help="measure the version table's partitions too")


def run(which: str, options: Options, out: TextIO) -> None:
    """Run one benchmark and write its results.

    Raises: CannotRun.
    """
    try:
        module = import_module(f"tests.benchmark.{which}")
    except ImportError as error:
        raise CannotRun(f"The benchmark cannot run here: {error}") from error
    if which not in ("packets", "placement") and len(os.sched_getaffinity(0)) < 2:
        raise CannotRun("Two cores are needed: one for the zone cluster, one for its players.")
    try:
        told = {
            "packets": _packets,
            "tick": _tick,
            "zone": _zone,
            "attack": _attack,
            "fairness": _fairness,
            "saves": _saves,
            "placement": placement_cli.run,
            "restarts": restarts_cli.run,
            "world": world_cli.run,
            "web": web_cli.run,
        }
        told[which](module, options, out)
    except module.CannotMeasure as error:
        raise CannotRun(str(error)) from error


# ---------------------------------------------------------------- packets, tick


def _packets(module: Any, options: Options, out: TextIO) -> None:
    rounds = options["rounds"]
    with module.Comparison(options["clients"]) as comparison, Progress(console=_stderr()) as progress:
        task = progress.add_task("rounds", total=rounds + module.WARM_UP_ROUNDS)
        result = comparison.run(rounds, lambda done: progress.update(task, completed=done))
    if options["json"]:
        _tell_json(result, out)
        return
    table = Table("way", "receive, open µs", "seal, send µs", "both µs", "to C")
    for way in ("C", "batch", "plain"):
        row = result[way]
        times = (f"{row[key]:.2f}" for key in ("receive_open_us", "seal_send_us", "both_us"))
        table.add_row(way, *times, f"{row.get('ratio_to_c', 1.0):.2f}")
    Console(file=out).print(table)


def _tick(module: Any, options: Options, out: TextIO) -> None:
    with Progress(console=_stderr()) as progress:
        task = progress.add_task("rounds", total=options["rounds"])
        result = module.compare(
            options["players"],
            options["workload"],
            options["rounds"],
            lambda done: progress.update(task, completed=done),
        )
    if options["json"]:
        _tell_json(result, out)
        return
    table = Table("part", "C, ms", "ours, ms", "to C")
    for part, (of_c, of_ours) in result["parts"].items():
        table.add_row(part, f"{of_c:.2f}", f"{of_ours:.2f}", f"{of_ours / of_c:.2f}" if of_c else "")
    console = Console(file=out)
    console.print(table)
    console.print(
        f"{result['n']} players: a tick takes {result['ours_ms']} ms of CPU, in C {result['c_ms']} ms: "
        f"{result['ratio_to_c']} times as much. {result['payloads_compared']} snapshots compared, "
        f"{result['payloads_different']} differ."
    )


# ---------------------------------------------------------------- zone


def _zone(module: Any, options: Options, out: TextIO) -> None:
    def measure(players: int, zones: int = options["zones"]) -> search.Result:
        setting = module.Setting(
            players,
            zones=zones,
            workload=options["workload"],
            path=options["path"],
            in_c=options["in_c"],
            clean_seconds=options["clean"],
            most_seconds=options["seconds"],
            settle_s=options["settle"],
        )
        with _stderr().status("starting") as status:
            result = module.measure(setting, status.update)
        _tell(result, zone_line(result), options, out)
        return result

    if options["zones_curve"]:
        for of_zones, of_one in search.zones_curve(measure):
            ratio = search.zones_ratio(of_zones, of_one)
            line = (
                f"{of_zones['zones']} zones of {search.PLAYERS_PER_ZONE}: {ratio} times the CPU of one zone"
            )
            _stderr().print(line)
    elif options["curve"]:
        _say_largest(list(search.curve(options["curve"], measure)))
    elif options["bisect"]:
        runs = [measure(options["players"])]
        if runs[0]["ok"]:
            runs += search.largest(options["players"], options["bisect"], options["step"], measure)
        _say_largest(runs)
    else:
        measure(options["players"])


def _say_largest(runs: list[search.Result]) -> None:
    held = search.largest_held(runs)
    least = min(run["n"] for run in runs)
    if held is None and any(run["ok"] is None for run in runs):
        _stderr().print("Nothing is known: the clients were the bottleneck, or others used the machine.")
        return
    _stderr().print(
        f"Not even {least} players hold: begin with fewer."
        if held is None
        else f"Largest number of players that held: {held}"
    )


def zone_line(result: search.Result) -> str:
    """Return one run of the zone benchmark for people."""
    gap, server, load = result["gap"], result["server"], result["load"]
    if load["limits"]:
        return f"{result['name']}: says nothing of the server: {'; '.join(load['limits'])}."
    verdict = "holds" if result["ok"] else "does NOT hold"
    clean = "" if result["clean"] else ", disturbed by others"
    views = result["views"]
    return (
        f"{result['name']}: {verdict}{clean}. {result['snaps_mean']} snapshots/s (worst client "
        f"{result['snaps_min']}), gap p50 {gap.get('p50')} p99 {gap.get('p99')} max {gap.get('max')} ms; "
        f"tick p50 {server['tick'].get('p50')} p99 {server['tick'].get('p99')} ms, CPU p50 "
        f"{server['work'].get('p50')} ms; ISR {server['isr']}; "
        f"server {result['server_cpu']} % ({result['server_kernel_cpu']} % kernel), clients "
        f"{result['client_cpu']} % of a core, {load['late'].get('p99')} ms late; "
        f"{result['bytes_per_client_s'] / 1000:.1f} KB/s each; {result['rss_mb']} MB; "
        f"{result['joins_per_s']} joins/s; views: {views.get('judged')} judged, {views.get('stale')} of "
        f"{views.get('records')} records stale, {views.get('missing')} missing; path {server['path']}"
    )


# ---------------------------------------------------------------- attack


def _attack(module: Any, options: Options, out: TextIO) -> None:
    for name, part in module.PARTS.items():
        with _stderr().status(name) as status:

            def tell(text: str, name: str = name, update: Callable[[str], None] = status.update) -> None:
                update(f"{name}: {text}")

            result = part(options["players"], options["seconds"], tell)
        _tell(result, f"{name}: {module.line(result)}", options, out)


# ---------------------------------------------------------------- fairness


def _fairness(module: Any, options: Options, out: TextIO) -> None:
    with _stderr().status("fairness") as status:
        result = module.compare(options["players"], options["seconds"], options["rounds"], status.update)
    _tell(result, module.line(result), options, out)


# ---------------------------------------------------------------- saves


def _saves(module: Any, options: Options, out: TextIO) -> None:
    names = ("characters", "versions", "playing", "rounds", "saves", "batch", "leases", "worlds", "folder")
    setting = module.Setting(
        **{name: options[name] for name in names},
        sizes=[1024 * size for size in options["kilobytes"]],
        has_partitions=options["partitions"],
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr()) as progress:
        task = progress.add_task("starting", total=setting.versions)
        for result in module.measure(
            setting,
            lambda text: progress.update(task, description=text),
            lambda done: progress.update(task, completed=done),
        ):
            _tell(result, saves_line(result), options, out)


def saves_line(result: search.Result) -> str:
    """Return one result of the benchmark of saves for people."""
    if "fill_s" in result:
        return (
            f"{result['name']}: {result['versions']} versions with states of {result['state_bytes']} bytes, "
            f"{result['database_mb']} MB in {result['fill_s']} s"
        )
    if "ours" not in result:
        rates = "; ".join(f"{key} {value}" for key, value in result.items() if key not in ("test", "name"))
        return f"{result['name']}: {rates}"
    ours, raw = result["ours"], result["raw"]
    each = " | ".join(
        f"{name} {figures['per_s']}/s, p50 {figures['batch_ms']['p50']} p99 {figures['batch_ms']['p99']} ms, "
        f"CPU {figures['cpu_us_each']} us each"
        for name, figures in (("ours", ours), ("raw", raw))
    )
    return f"{result['name']}: {result['ratio']} of raw PostgreSQL. {each}"


# ---------------------------------------------------------------- telling


def _tell(result: search.Result, line: str, options: Options, out: TextIO) -> None:
    if options["json"]:
        _tell_json(result, out)
    else:
        Console(file=out, soft_wrap=True).print(line, highlight=False)


def _tell_json(result: search.Result, out: TextIO) -> None:
    out.write(json.dumps(result) + "\n")
    out.flush()


def _stderr() -> Console:
    return Console(stderr=True)
