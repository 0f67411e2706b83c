"""What snapshots cost: microseconds of CPU and bytes for each viewer, compiled and plain. Run by hand:

    PYTHONPATH=.:platform python tests/benchmark/snapshots.py [--json]

Everybody walks at 5 m/s in a zone of 500 m, turns ten times a second, acknowledges ten times a second what
was sent two ticks before. Both ways encode the same ticks in turn: the median tick, and the best in brackets.
"""

import argparse
import json
import sys
from time import thread_time

import numpy as np

from zonecluster.interest.grid import GridInterest
from zonecluster.interest.scene import Scene, Seen
from zonecluster.protocol.zone_payloads import ENTITY
from zonecluster.snapshots.encode_compiled import CompiledWriter, warm_up
from zonecluster.snapshots.encoder import DEFAULT_BYTES_PER_S, TICKS_PER_S, Encoder
from zonecluster.snapshots.parts import Clock, Focus, OwnState

SIZE = 500.0
STEP_M = 5.0 / TICKS_PER_S
DELAY_TICKS = 2
LINE = (
    "{viewers} viewers in {places} places, at most {bytes_per_s} bytes/s: "
    "compiled {compiled_us:.2f} ({compiled_best_us:.2f}) µs, plain {plain_us:.1f} ({plain_best_us:.1f}) µs, "
    "{sent_bytes_per_s:,.0f} bytes/s"
)
WARM_TICKS, TICKS = 10, 40


class Walkers:
    """A crowd that walks."""

    def __init__(self, count: int, places: int) -> None:
        self.rng = np.random.default_rng(1)
        self.position = self.rng.uniform(0, SIZE, (count, 3)).astype(np.float32)
        self.place = (np.arange(count) % places).astype(np.int32)
        self.sizes = np.full(places, SIZE, np.float32)
        self.heading = self.rng.uniform(0, 2 * np.pi, count)
        self.records = np.zeros(count, ENTITY)
        self.records["id"] = np.arange(count) + 65536
        self.records["health"], self.records["speed"], self.records["animation"] = 255, 40, 1
        self.interest = GridInterest()

    def walk(self, is_turning: np.ndarray) -> None:
        self.heading[is_turning] += self.rng.uniform(-0.4, 0.4, int(is_turning.sum()))
        for axis, part in enumerate((np.sin(self.heading), np.cos(self.heading))):
            self.position[:, axis] = np.clip(self.position[:, axis] + part * STEP_M, 0, SIZE)
        self.records["x"], self.records["y"] = np.rint(self.position[:, :2] * (65535 / SIZE)).T
        self.records["heading"] = (self.heading * (128 / np.pi)).astype(np.int64) % 256

    def seen(self, viewers: np.ndarray) -> Seen:
        nobody = np.zeros(len(viewers), bool)
        return self.interest.nearest(Scene(self.position, self.place, self.sizes, nobody, nobody), viewers)


def measure(count: int, places: int, bytes_per_s: int) -> dict[str, float]:
    """Return µs for each viewer and tick of both ways, and bytes for each viewer and second."""
    walkers, viewers = Walkers(count, places), np.arange(count)
    slots = walkers.rng.permutation(count)
    zeros = np.zeros(count, np.int64)
    own = OwnState(zeros, zeros, zeros, np.full(count, 5.0), zeros, zeros)
    focus = Focus(np.zeros(count, np.uint32), np.zeros(count, np.uint32))
    ways = {
        "compiled": Encoder(count, bytes_per_s, CompiledWriter(), "batch"),
        "plain": Encoder(count, bytes_per_s),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    sent = []
    for tick in range(1, WARM_TICKS + TICKS + 1):
        is_turning = (viewers + tick) % 2 == 0
        walkers.walk(is_turning)
        seen = walkers.seen(viewers)
        acknowledged = np.full(int(is_turning.sum()), max(tick - DELAY_TICKS, 0), np.uint32)
        for name, encoder in ways.items():
            began = thread_time()
            encoder.acknowledge(slots[is_turning], acknowledged)
            _, lengths = encoder.encode(viewers, slots, seen, walkers.records, own, focus, Clock(tick, tick))
            times[name].append((thread_time() - began) / count * 1e6)
        sent.append(float(lengths.mean()))
    found: dict[str, float] = {"viewers": count, "places": places, "bytes_per_s": bytes_per_s}
    for name, of_way in times.items():
        found |= {
            f"{name}_us": float(np.median(of_way[WARM_TICKS:])),
            f"{name}_best_us": min(of_way[WARM_TICKS:]),
        }
    return found | {"sent_bytes_per_s": float(np.mean(sent[WARM_TICKS:])) * TICKS_PER_S}


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    warm_up()
    for count, places, bytes_per_s in (
        (1000, 1, DEFAULT_BYTES_PER_S),
        (4000, 1, DEFAULT_BYTES_PER_S),
        (1920, 64, DEFAULT_BYTES_PER_S),
        (4000, 1, 5_000),
    ):
        found = measure(count, places, bytes_per_s)
        sys.stdout.write((json.dumps(found) if as_json else LINE.format(**found)) + "\n")


if __name__ == "__main__":
    main()
