"""A random crowd and the links that watch it, for tests: no zone, no network, no clock."""

import numpy as np

from zonecluster.interest.scene import Seen
from zonecluster.protocol.zone_payloads import ENTITY, MAX_NEAREST
from zonecluster.snapshots.encoder import Encoder
from zonecluster.snapshots.parts import Clock, Focus, OwnState

FIELDS = ("z", "heading", "speed", "animation", "health", "effects", "kind_flags")


class Crowd:
    """Rows of entities that move, come, go and are replaced; who stands near is by position."""

    def __init__(self, rows: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.records = np.zeros(rows, ENTITY)
        self.generation = np.zeros(rows, np.uint32)
        self.selected = np.zeros(rows, np.uint32)
        self.group = np.zeros(rows, np.uint32)
        for row in range(rows):
            self.put(row)

    def __len__(self) -> int:
        return len(self.records)

    def put(self, row: int) -> None:
        """Somebody new stands in a row, whoever was there."""
        self.generation[row] += 1
        data = np.frombuffer(self.rng.bytes(ENTITY.itemsize), ENTITY)[0]
        self.records[row] = data
        self.records["id"][row] = row | int(self.generation[row]) << 16

    def take(self, row: int) -> None:
        """Nobody stands in a row."""
        self.records[row] = np.zeros(1, ENTITY)[0]

    def grow(self, rows: int) -> None:
        """Add rows behind."""
        before = len(self)
        self.records = np.concatenate([self.records, np.zeros(rows, ENTITY)])
        self.generation = np.concatenate([self.generation, np.zeros(rows, np.uint32)])
        self.selected = np.concatenate([self.selected, np.zeros(rows, np.uint32)])
        self.group = np.concatenate([self.group, np.zeros(rows, np.uint32)])
        for row in range(before, before + rows):
            self.put(row)

    def move(self, share: float, farthest: int) -> None:
        """A share of all moves by up to so many units and turns; a few change in other ways too."""
        is_moving = (self.rng.random(len(self)) < share) & (self.records["id"] != 0)
        for axis in ("x", "y"):
            step = self.rng.integers(-farthest, farthest + 1, len(self))
            there = np.clip(self.records[axis] + step, 0, 65535)
            self.records[axis] = np.where(is_moving, there, self.records[axis])
        for name in FIELDS:
            is_changing = is_moving & (self.rng.random(len(self)) < 0.2)
            self.records[name][is_changing] = self.rng.integers(0, 100)

    def seen(self, viewers: np.ndarray, most: int = MAX_NEAREST) -> tuple[np.ndarray, np.ndarray]:
        """Return who stands nearest to each, as zonecluster.interest does: rows (m, 64), counts (m,)."""
        rows = np.full((len(viewers), MAX_NEAREST), -1, np.int32)
        counts = np.zeros(len(viewers), np.int32)
        for index, viewer in enumerate(viewers.tolist()):
            others = np.flatnonzero(self.records["id"] != 0)
            others = others[others != viewer]
            offsets = [self.records[axis][others].astype(float) - self.records[axis][viewer] for axis in "xy"]
            nearest = others[np.argsort(np.hypot(*offsets), kind="stable")][:most]
            rows[index, : len(nearest)], counts[index] = nearest, len(nearest)
        return rows, counts

    def encode(
        self, encoder: Encoder, viewers: np.ndarray, slots: np.ndarray, tick: int, most: int = MAX_NEAREST
    ) -> list[bytes]:
        """Return the payload of each viewer at a tick."""
        rows, counts = self.seen(viewers, most)
        own = OwnState(
            input_ack=viewers + tick,
            input_lead=viewers % 256 - 128,
            corrections=viewers,
            top_speed=viewers / 7,
            is_frozen=viewers % 2 == 0,
            instance=viewers + 1000,
        )
        payloads, lengths = encoder.encode(
            viewers,
            slots,
            Seen(rows, counts),
            self.records,
            own,
            Focus(self.selected, self.group),
            Clock(tick, tick * 50, 0.5),
        )
        return [
            payload[:length].tobytes() for payload, length in zip(payloads, lengths.tolist(), strict=True)
        ]


def shown(view: np.ndarray) -> list[tuple]:
    """Return whom a view (64,) shows, in the order of places."""
    return view[view["id"] != 0].tolist()
