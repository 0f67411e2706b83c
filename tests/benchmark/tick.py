"""A whole tick against the same tick in C, in one run. For `manage.py benchmark tick`.

Two zone clusters' services (the real ones, real sockets on loopback) have the same players, who send the same
inputs. After a while the second one's state is handed to zone_tick.c, and from then on the first
service and the C code take turns, round by round. Measured is the CPU time of the thread, kernel included,
from the first datagram taken to the last one given to the kernel. What clients do is not measured.

All snapshots that clients receive are compared byte by byte: the C code does the same work, or it shows.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmark.c_tick import compile_tick
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.sides import TICK_S, FakeTime, Inputs, Side, Snapshots
from tests.benchmark.tick_in_c import InC
from zonecluster.snapshots.encoder import DEFAULT_BYTES_PER_S

WARM_UP_ROUNDS = 40  # until everybody's cursor, baselines and bandwidth have settled
HANDED_OVER_ROUNDS = 4  # not measured either
# Name, our phases, stages of the C code.
PARTS = (
    ("receive, open", ("receive", "open"), ("receive",)),
    ("inputs, simulation", ("inputs", "simulation"), ("inputs", "simulation")),
    ("interest", ("interest",), ("interest",)),
    ("encode", ("encode",), ("records", "encode")),
    ("seal, send", ("seal", "send"), ("send",)),
    ("links, commands, rest", ("links", "commands", "rest"), ()),
)


@dataclass
class Comparison:
    """Both sides, what their clients send, and what was different."""

    ours: Side
    in_c: InC
    inputs: Inputs
    time: FakeTime
    compared: int = 0
    different: int = 0
    bytes_sent: int = 0
    first_difference: str = ""

    def round(self, number: int) -> None:
        """Let both sides do one tick, in turns the one or the other first."""
        numbers, payloads = self.inputs.next()
        self.time.now += TICK_S
        sides = [self.ours, self.in_c]
        for side in sides:
            side.swarm.send(numbers, payloads)
        for side in sides if number % 2 else sides[::-1]:
            side.tick()
        ours, in_c = self.ours.snapshots(), self.in_c.snapshots()
        self.inputs.newest = np.ascontiguousarray(ours.payloads[:, 4:8]).view("<u4")[:, 0]
        self._compare(ours, in_c)

    def _compare(self, ours: Snapshots, in_c: Snapshots) -> None:
        is_other = (ours.payloads != in_c.payloads).any(axis=1) | (ours.lengths != in_c.lengths)
        self.compared += len(is_other)
        self.different += int(is_other.sum())
        self.bytes_sent += int(ours.lengths.sum())
        if is_other.any() and not self.first_difference:
            number = int(np.flatnonzero(is_other)[0])
            at = np.flatnonzero(ours.payloads[number] != in_c.payloads[number])[:8].tolist()
            lengths = int(ours.lengths[number]), int(in_c.lengths[number])
            self.first_difference = f"client {number}, bytes {at}, lengths {lengths}"

    def forget(self) -> None:
        """Begin to measure."""
        self.compared = self.different = self.bytes_sent = 0
        self.ours.spent_ms.clear()
        self.in_c.spent_ms.clear()


def compare(
    players: int,
    workload: str,
    rounds: int,
    tell: Callable[[int], None] = lambda _: None,
    bytes_per_s: int = DEFAULT_BYTES_PER_S,
) -> dict[str, Any]:
    """Return medians in ms of CPU per tick, by part and together, and the ratio to C.

    Args: tell: is told how many rounds are done; bytes_per_s: bandwidth of each player.
    Raises: CannotMeasure.
    """
    # The service starts the flush of its outbox as a task: so there must be a loop.
    return asyncio.run(_compare(players, workload, rounds, tell, bytes_per_s))


async def _compare(
    players: int, workload: str, rounds: int, tell: Callable[[int], None], bytes_per_s: int
) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        library = compile_tick(Path(folder))
        time = FakeTime()
        ours = Side(players, workload, time, bytes_per_s)
        in_c = InC(players, workload, time, bytes_per_s)
        try:
            comparison = Comparison(ours, in_c, Inputs(players), time)
            for side in (ours, in_c):
                side.join()
            await _play(comparison, WARM_UP_ROUNDS, lambda _: None)
            if comparison.different:
                raise CannotMeasure(f"Two services told different things: {comparison.first_difference}.")
            in_c.hand_over(library)
            await _play(comparison, HANDED_OVER_ROUNDS, lambda _: None)
            comparison.forget()
            in_c.stages_ms.clear()
            await _play(comparison, rounds, tell)
        finally:
            ours.close()
            in_c.close()
        return result_of(comparison, workload, rounds)


async def _play(comparison: Comparison, rounds: int, tell: Callable[[int], None]) -> None:
    for number in range(rounds):
        comparison.round(number)
        await asyncio.sleep(0)  # for what the service has started beside its ticks
        tell(number + 1)


def result_of(comparison: Comparison, workload: str, rounds: int) -> dict[str, Any]:
    """Return the figures of the rounds since `forget`."""
    ours, in_c = comparison.ours, comparison.in_c
    phases, stages = ours.phases_ms(), in_c.phases_ms()
    by_part = {
        name: (
            round(float(sum(stages[stage] for stage in of_c)), 3),
            round(float(sum(phases[phase] for phase in of_ours)), 3),
        )
        for name, of_ours, of_c in PARTS
    }
    ours_ms, c_ms = median(ours.spent_ms), median(in_c.spent_ms)
    return {
        "test": "tick",
        "name": f"waystone-tick-{workload} {ours.players}",
        "n": ours.players,
        "rounds": rounds,
        "ours_ms": round(ours_ms, 3),
        "c_ms": round(c_ms, 3),
        "ratio_to_c": round(ours_ms / c_ms, 3),
        "best_ms": (round(min(ours.spent_ms), 3), round(min(in_c.spent_ms), 3)),
        "parts": by_part,
        "payload_bytes": round(comparison.bytes_sent / max(comparison.compared, 1), 1),
        "payloads_compared": comparison.compared,
        "payloads_different": comparison.different,
        "first_difference": comparison.first_difference,
    }
