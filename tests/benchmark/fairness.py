"""One player who macros the dearest legal commands, beside others. For `manage.py benchmark fairness`.

A zone cluster process with real clients, everybody in a crowd. In one run, by turns: nobody macros; one does
as fast as a gateway lets through; one does as fast as if there were no gateway. Told is how long the others
wait for the answers to their commands, from when they reach the cluster, and whether the cluster's accounts
are what the process has used. Left out: gateway and bus.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmark.machine import CannotMeasure
from tests.benchmark.workloads import COMMANDS_PER_S
from tests.benchmark.zone import Setting, joined

WINDOWS = {"alone": 0.0, "macro": COMMANDS_PER_S, "flood": 2000.0}  # commands of the one, in a second
Result = dict[str, Any]
__all__ = ["CannotMeasure", "compare", "line"]


def compare(
    players: int, seconds: float, rounds: int, tell: Callable[[str], None] = lambda _: None
) -> Result:
    """Return the figures of all windows; of each kind the median of its rounds.

    Raises: CannotMeasure.
    """
    found: dict[str, list[Result]] = {name: [] for name in WINDOWS}
    with joined(Setting(players, workload="macro"), tell) as (server, clients, _):
        names = [name for _ in range(rounds) for name in WINDOWS]
        for number, name in enumerate(names):
            tell(f"window {number + 1} of {len(names)}: {name}")
            server.ask(f"macro {WINDOWS[name]}")
            clients.play(seconds)
            found[name].append(server.ask("macro 0"))
    for name, windows in found.items():
        if not all(window["usual_ms"] for window in windows):
            raise CannotMeasure(f"Nobody was answered in a window ({name}).")
    figures = {name: _median(windows, seconds) for name, windows in found.items()}
    alone = figures["alone"]
    used = [
        sum(each[key] for windows in found.values() for each in windows)
        for key in ("accounts_s", "process_s")
    ]
    return {
        "test": "fairness",
        "name": f"waystone-fairness {players}",
        "n": players,
        **figures,
        "macro_more_ticks": round(figures["macro"]["p99_ticks"] - alone["p99_ticks"], 2),
        "flood_more_ticks": round(figures["flood"]["p99_ticks"] - alone["p99_ticks"], 2),
        "macro_more_ms": round(figures["macro"]["p99_ms"] - alone["p99_ms"], 2),
        "flood_more_ms": round(figures["flood"]["p99_ms"] - alone["p99_ms"], 2),
        "accounts_to_cpu": round(used[0] / used[1], 4),
    }


def _median(windows: list[Result], seconds: float) -> Result:
    def of(value: Callable[[Result], float]) -> float:
        return round(float(np.median([value(window) for window in windows])), 2)

    return {
        "p50_ms": of(lambda window: window["usual_ms"]["p50"]),
        "p99_ms": of(lambda window: window["usual_ms"]["p99"]),
        "p99_ticks": of(lambda window: window["usual_ticks"]["p99"]),
        "answers": sum(window["usual_ms"]["count"] for window in windows),
        "refused": sum(window["usual_refused"] for window in windows),
        "macro_served_per_s": of(lambda window: window["macro_served"] / seconds),
        "macro_refused_per_s": of(lambda window: window["macro_refused"] / seconds),
        "tick_ms": of(lambda window: window["tick_ms"]),
    }


def line(result: Result) -> str:
    """Return the result for people."""
    parts = [
        f"{name}: p50 {each['p50_ms']} p99 {each['p99_ms']} ms, {each['refused']} refused; the one is served "
        f"{each['macro_served_per_s']}/s, refused {each['macro_refused_per_s']}/s; tick {each['tick_ms']} ms"
        for name in WINDOWS
        for each in (result[name],)
    ]
    return (
        f"{result['n']} players, others' delay of commands: " + " | ".join(parts) + f". p99 rises by "
        f"{result['macro_more_ticks']} ticks ({result['macro_more_ms']} ms) beside the one who macros, by "
        f"{result['flood_more_ticks']} ({result['flood_more_ms']} ms) beside the flood. "
        f"The accounts are {result['accounts_to_cpu']:.2%} of the process's CPU time."
    )
