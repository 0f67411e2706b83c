"""`manage.py killrounds`: so many rounds on a platform of its own, told as they go; JSON at the end."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from tests.end_to_end.stack import ROOT, Stack
from tests.killing.bots import bots_beside
from tests.killing.crowd import gather_crowd
from tests.killing.faults import IN_TURN, in_turn
from tests.killing.ledger import Ledger
from tests.killing.rounds import RoundReport, Rounds


@dataclass(frozen=True)
class Setting:
    """What is to be run. `seconds`: no round begins after so many, and bots play so long; 0: no limit.

    in_turn: every process is killed in its turn, instead of what the seed draws. bots: how many walk and talk
    beside the people who deal; they need a limit of time.
    """

    rounds: int
    seed: int = 1
    people: int = 8
    long_every: int = 0
    seconds: float = 0.0
    in_turn: bool = False
    bots: int = 0


def run(setting: Setting, output: TextIO) -> dict[str, Any]:
    """Run rounds until the first that is broken, the last, or the time is over.

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
        result = asyncio.run(_run(stack, setting, output))
        is_kept = bool(result["broken"])
        if is_kept:
            result["state_dir"] = str(stack.state_dir)
    except KeyboardInterrupt:
        is_kept = False
        raise
    finally:
        stack.stop(is_kept=is_kept)
    return result


async def _run(stack: Stack, setting: Setting, output: TextIO) -> dict[str, Any]:
    console = Console(file=output, highlight=False, soft_wrap=True)
    chance, ledger, reports = Random(setting.seed), Ledger(), []
    crowd = await gather_crowd(stack, ledger, Random(setting.seed + 1), setting.people)
    began = time.monotonic()
    try:
        async with bots_beside(stack, setting.bots, setting.seconds, setting.people + 1) as bots:
            running = Rounds(stack, crowd, ledger, chance, long_every=setting.long_every)
            await running.begin()
            with Progress(console=console, disable=not console.is_terminal) as progress:
                bar = progress.add_task("Rounds", total=setting.rounds)
                for number in range(1, setting.rounds + 1):
                    if setting.seconds and time.monotonic() - began > setting.seconds:
                        break
                    report = await running.run(number, in_turn(number) if setting.in_turn else ())
                    if setting.in_turn:
                        report.limit_s = IN_TURN[in_turn(number)[0].processes[0]]
                    reports.append(report)
                    console.print(_told(report))
                    progress.advance(bar)
                    if report.broken:
                        break
            played_s = time.monotonic() - began
    finally:
        await crowd.stop()
    return _summary(reports, setting, played_s, crowd.errors, bots.told)


def _told(report: RoundReport) -> str:
    deals = ", ".join(f"{count} {what}" for what, count in report.deals.items() if count) or "no deals"
    put_out = f", {len(report.put_out)} put out" if report.put_out else ""
    line = (
        f"#{report.number} {', then '.join(report.faults)}: {report.seconds:.0f} s, "
        f"back after {report.back_s:.1f} s{put_out}; {deals}; {report.versions} versions"
    )
    return escape(line) + (f"\n[bold red]{escape(report.broken)}[/]" if report.broken else "")


def _summary(
    reports: list[RoundReport], setting: Setting, seconds: float, errors: Counter[str], bots: str
) -> dict[str, Any]:
    deals: Counter[str] = Counter()
    for report in reports:
        deals.update(report.deals)
    back = sorted(report.back_s for report in reports if not report.broken)
    return {
        "rounds": sum(not report.broken for report in reports),
        "seed": setting.seed,
        "people": setting.people,
        "seconds": round(seconds),
        "deals": dict(deals),
        "put_out": sum(len(report.put_out) for report in reports),
        "back_s_median": round(back[len(back) // 2], 1) if back else None,
        "back_s_most": round(back[-1], 1) if back else None,
        "late": [
            f"#{report.number} {report.faults[0]}: {report.back_s:.1f} s, {report.limit_s:g} are allowed"
            for report in reports
            if report.limit_s and report.back_s > report.limit_s
        ],
        "faults": dict(Counter(fault for report in reports for fault in report.faults)),
        "unanswered": dict(errors),
        "bots": bots,
        "broken": next((report.broken for report in reports if report.broken), ""),
        "reports": [asdict(report) for report in reports],
    }


def write_json(result: dict[str, Any], path: str) -> None:
    """Write the result to a file."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
