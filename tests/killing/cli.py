"""`manage.py killrounds`: so many rounds on a platform of its own, told as they go; JSON at the end."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from dataclasses import asdict
from random import Random
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from tests.end_to_end.stack import ROOT, Stack
from tests.killing.crowd import gather_crowd
from tests.killing.ledger import Ledger
from tests.killing.rounds import RoundReport, Rounds


def run(
    *, rounds: int, seed: int, people: int, long_every: int, seconds: float, output: TextIO
) -> dict[str, Any]:
    """Run rounds until the first that is broken, the last, or the time is over.

    Args: seconds: begin no round after so many; 0: no limit.
    Returns: everything, as JSON has it. `broken` is empty if all is well; else `state_dir` is kept.
    """
    # One place for all runs: each has a state directory of its own, and compiling takes a minute.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "var" / "cache" / "numba"))
    for number in (signal.SIGINT, signal.SIGTERM):  # the platform is stopped with us, also in the background
        signal.signal(number, signal.default_int_handler)
    stack = Stack()
    stack.start()
    is_kept = True
    try:
        result = asyncio.run(_run(stack, rounds, seed, people, long_every, seconds, output))
        is_kept = bool(result["broken"])
        if is_kept:
            result["state_dir"] = str(stack.state_dir)
    except KeyboardInterrupt:
        is_kept = False
        raise
    finally:
        stack.stop(is_kept=is_kept)
    return result


async def _run(
    stack: Stack, rounds: int, seed: int, people: int, long_every: int, seconds: float, output: TextIO
) -> dict[str, Any]:
    console = Console(file=output, highlight=False, soft_wrap=True)
    chance, ledger, reports = Random(seed), Ledger(), []
    crowd = await gather_crowd(stack, ledger, Random(seed + 1), people)
    began = time.monotonic()
    try:
        running = Rounds(stack, crowd, ledger, chance, long_every=long_every)
        await running.begin()
        with Progress(console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("Rounds", total=rounds)
            for number in range(1, rounds + 1):
                if seconds and time.monotonic() - began > seconds:
                    break
                report = await running.run(number)
                reports.append(report)
                console.print(_told(report))
                progress.advance(bar)
                if report.broken:
                    break
    finally:
        await crowd.stop()
    return _summary(reports, seed, people, time.monotonic() - began, crowd.errors)


def _told(report: RoundReport) -> str:
    deals = ", ".join(f"{count} {what}" for what, count in report.deals.items() if count) or "no deals"
    put_out = f", {len(report.put_out)} put out" if report.put_out else ""
    line = (
        f"#{report.number} {', then '.join(report.faults)}: {report.seconds:.0f} s, "
        f"back after {report.back_s:.1f} s{put_out}; {deals}; {report.versions} versions"
    )
    return escape(line) + (f"\n[bold red]{escape(report.broken)}[/]" if report.broken else "")


def _summary(
    reports: list[RoundReport], seed: int, people: int, seconds: float, errors: Counter[str]
) -> dict[str, Any]:
    deals: Counter[str] = Counter()
    for report in reports:
        deals.update(report.deals)
    back = sorted(report.back_s for report in reports if not report.broken)
    return {
        "rounds": sum(not report.broken for report in reports),
        "seed": seed,
        "people": people,
        "seconds": round(seconds),
        "deals": dict(deals),
        "put_out": sum(len(report.put_out) for report in reports),
        "back_s_median": round(back[len(back) // 2], 1) if back else None,
        "back_s_most": round(back[-1], 1) if back else None,
        "faults": dict(Counter(fault for report in reports for fault in report.faults)),
        "unanswered": dict(errors),
        "broken": next((report.broken for report in reports if report.broken), ""),
        "reports": [asdict(report) for report in reports],
    }


def write_json(result: dict[str, Any], path: str) -> None:
    """Write the result to a file."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
