"""`manage.py simulate`: many seeds, with a progress bar; a failing one is shown as its shortest history."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing import Pool
from os import cpu_count

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.promises import Violation
from tests.simulation.shrink import Failure, shrink
from tests.simulation.simulation import play_through
from tests.simulation.switched_off import BY_NAME, switched_off
from tests.simulation.table import table, write

SHOWN = 40  # lines of the trace before the failure
console = Console(highlight=False)


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code: 0 if all is as it should be."""
    options = _parse(argv)
    if options.table:
        write(table(console.print, options.processes))
        return 0
    failed = _run_all(options)
    for seed, text in failed[: options.show]:
        console.print(f"\nseed {seed}: {text}")
        with switched_off(options.switch_off):
            failure = shrink(seed, budget_s=options.shrink_s)
        if failure is not None:
            _show(failure)
    if options.switch_off:
        return 0 if failed else 1
    return 1 if failed else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--switch-off", choices=sorted(BY_NAME), help="a safety rule to do without")
    parser.add_argument("--processes", type=int, default=cpu_count() or 1)
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--show", type=int, default=1, help="how many failures to shrink and print")
    parser.add_argument("--shrink-s", type=float, default=60.0, help="seconds to spend on each")
    parser.add_argument("--table", action="store_true", help="search all rules, rewrite docs/simulation.md")
    return parser.parse_args(argv)


def play(job: tuple[int, str | None]) -> tuple[int, str, int]:
    """Run one seed in a worker; return it, what broke (empty: nothing), and how many writes there were."""
    seed, rule = job
    with switched_off(rule):
        try:
            sim = play_through(seed)
        except Violation as violation:
            return seed, str(violation), 0
    return seed, "", sim.ledger.writes


def _run_all(options: argparse.Namespace) -> list[tuple[int, str]]:
    jobs = [(seed, options.switch_off) for seed in range(options.first, options.first + options.seeds)]
    failed, done, writes = [], 0, 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, Pool(options.processes) as pool:
        task = progress.add_task("seeds", total=len(jobs))
        results: Iterator[tuple[int, str, int]] = pool.imap_unordered(play, jobs, chunksize=4)
        for seed, text, written in results:
            done, writes = done + 1, writes + written
            progress.advance(task)
            if text:
                failed.append((seed, text))
                progress.console.print(f"seed {seed}: {text[:300]}")
                progress.update(task, description=f"seeds ({len(failed)} broken)")
                if not options.keep_going:
                    break
        pool.terminate()
    kinds = Counter(text.split(":")[0] for _, text in failed)
    console.print(f"{done} seeds, {writes} accepted writes, {len(failed)} broken {dict(kinds) or ''}")
    return failed


def _show(failure: Failure) -> None:
    console.print(f"{failure.violation}")
    console.print(f"after {failure.at:.2f} s, with these {len(failure.faults)} events:")
    for at, fault in failure.faults:
        console.print(f"  {at:8.2f} {fault.kind} {fault.place}")
    console.print("what the master and the daemons did last:")
    for line in failure.trace[-SHOWN:]:
        console.print(f"  {line[:160]}")
