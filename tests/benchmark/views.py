"""Are the views right? What a few clients decode is compared with what everybody was told of itself.

Each snapshot holds the player's own entity, whole. So the clients together know where every player stood at a
tick, and can judge what one of them was shown of that tick: is each record what the entity itself was told,
and is nobody left out who stood nearer than the farthest shown? Creatures are told nothing: not judged.
"""

from collections import Counter, deque

import numpy as np

from zonecluster.protocol.snapshot_view import Refused, Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import ENTITY, KIND_BITS, MAX_NEAREST, SNAPSHOT_HEADER

REMEMBERED_TICKS = 64
JUDGED_EVERY = 10  # of the snapshots of each client that is looked at
JUDGED_AFTER = 8  # ticks later, when everybody's snapshot of that tick has come
PLAYER = 0


class ViewCheck:
    """Decodes the snapshots of `sample` clients out of `count`, and judges some."""

    def __init__(self, count: int, extent: float, sample: int = 8) -> None:
        """Args: extent: of the zone, metres."""
        self.counts: Counter[str] = Counter()
        self._scale = extent / 65535.0
        numbers = np.unique(np.linspace(0, count - 1, min(sample, count)).astype(int))
        self._readers = {number: SnapshotReader() for number in numbers.tolist()}
        self._is_sampled = np.zeros(count, bool)
        self._is_sampled[numbers] = True
        self._own = np.zeros((REMEMBERED_TICKS, count), ENTITY)
        self._own_ticks = np.zeros((REMEMBERED_TICKS, count), np.int64)
        self._instances = np.zeros(count, np.int64)
        self._waiting: deque[tuple[int, Snapshot]] = deque()

    def note(self, numbers: np.ndarray, lengths: np.ndarray, headers: np.ndarray, data: np.ndarray) -> None:
        """Take a batch of snapshots: (m,) client numbers, (m,) lengths, (m,) headers, (m, …) u8."""
        start = SNAPSHOT_HEADER.itemsize
        own = np.ascontiguousarray(data[:, start : start + ENTITY.itemsize]).view(ENTITY)[:, 0]
        ticks = headers["tick"].astype(np.int64)
        self._own[ticks % REMEMBERED_TICKS, numbers] = own
        self._own_ticks[ticks % REMEMBERED_TICKS, numbers] = ticks
        self._instances[numbers] = headers["instance"]
        for at in np.flatnonzero(self._is_sampled[numbers]).tolist():
            self._read(int(numbers[at]), data[at, : lengths[at]].tobytes())
        newest = int(ticks.max())
        while self._waiting and self._waiting[0][1].tick <= newest - JUDGED_AFTER:
            self._judge(*self._waiting.popleft())

    def _read(self, number: int, payload: bytes) -> None:
        snapshot = self._readers[number].read(payload)
        if isinstance(snapshot, Refused):
            self.counts[str(snapshot)] += 1
            return
        self.counts["decoded"] += 1
        if self.counts["decoded"] % JUDGED_EVERY == 0:
            self._waiting.append((number, snapshot))

    def _judge(self, number: int, snapshot: Snapshot) -> None:
        slot = snapshot.tick % REMEMBERED_TICKS
        is_known = self._own_ticks[slot] == snapshot.tick
        is_known &= self._instances == snapshot.instance
        told = self._own[slot][is_known]
        shown = snapshot.entities[1:]
        is_player = shown["kind_flags"] & KIND_BITS == PLAYER
        self.counts["judged"] += 1
        self.counts["records"] += int(is_player.sum())
        order = np.argsort(told["id"])
        at = np.searchsorted(told["id"], shown["id"], sorter=order).clip(0, max(len(told) - 1, 0))
        same_id = told[order[at]]
        is_told = same_id["id"] == shown["id"]
        self.counts["stale"] += int(np.count_nonzero(is_player & is_told & (same_id != shown)))
        self.counts["missing"] += self._missing(told, snapshot.entities)

    def _missing(self, told: np.ndarray, entities: np.ndarray) -> int:
        """Return how many players are not shown who stand nearer than the farthest shown."""
        here = entities[0]
        shown = entities[1:]
        is_other = ~np.isin(told["id"], entities["id"])
        farthest = self._distances(shown, here).max(initial=0.0)
        if len(shown) < MAX_NEAREST:
            return int(is_other.sum())
        # Everybody's place is rounded by half a step each way.
        return int(np.count_nonzero(is_other & (self._distances(told, here) < farthest - 3 * self._scale)))

    def _distances(self, records: np.ndarray, here: np.ndarray) -> np.ndarray:
        """Return (n,) metres."""
        dx = records["x"].astype(np.float64) - float(here["x"])
        dy = records["y"].astype(np.float64) - float(here["y"])
        return np.hypot(dx, dy) * self._scale

    def out(self) -> dict[str, int]:
        """Return what was found. `stale`: records that were not what the entity itself was told then."""
        refused = {str(reason): self.counts[str(reason)] for reason in Refused if self.counts[str(reason)]}
        names = ("decoded", "judged", "records", "stale", "missing")
        return {"clients": len(self._readers), **{name: self.counts[name] for name in names}, **refused}
