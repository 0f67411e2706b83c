"""Where others are shown: a little in the past, between two snapshots, so that they walk, not hop. Pure.

Snapshots come unevenly; 100 ms in the past there is mostly one on either side of the moment shown. Where
there is none after it, others are carried on by speed and heading for up to 250 ms, then they stand.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from zonecluster.protocol.snapshot_view import Snapshot
from zonecluster.protocol.zone_payloads import ENTITY

DELAY_MS = 100.0  # so far in the past others are shown
EXTRAPOLATED_MS = 250.0  # carried on for at most so long
LEAST_DILATION = 0.1  # game time runs no slower
KEPT = 16  # snapshots
JUMP_M = 2.0  # who moved so much farther than its speed allows did not walk there: it is shown there at once
CLOCK_WINDOW = 100  # snapshots by which the server's clock is told


class ServerClock:
    """The server's clock as seen from here, in ms: what came fastest of late tells it best."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=CLOCK_WINDOW)

    def take(self, now: float, time_ms: int) -> None:
        """A snapshot of the server's `time_ms` came at `now` (seconds, of the own monotonic clock)."""
        self._offsets.append(time_ms - now * 1000.0)

    def at(self, now: float) -> float:
        """Return the server's time as of what could have arrived by now; 0.0 before any snapshot."""
        return now * 1000.0 + max(self._offsets) if self._offsets else 0.0


@dataclass(frozen=True)
class Shown:
    """Others as they are shown: `positions` (n, 3) metres, `headings_deg` (n,), and their records.

    `entities`: (n,) ENTITY, of the last snapshot that is not after the moment shown; sorted by id.
    """

    entities: np.ndarray
    positions: np.ndarray
    headings_deg: np.ndarray


@dataclass(frozen=True)
class _Moment:
    """One snapshot's others, sorted by id."""

    time_ms: float
    entities: np.ndarray
    positions: np.ndarray
    headings_deg: np.ndarray
    speeds: np.ndarray
    dilation: float


class Interpolation:
    """The others of one zone link. Args: size: of the zone, metres."""

    def __init__(self, size: float) -> None:
        self._size = size
        self._moments: deque[_Moment] = deque(maxlen=KEPT)

    def take(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; one that is not newer by the server's clock than the last is left out."""
        if self._moments and snapshot.time_ms <= self._moments[-1].time_ms:
            return
        order = np.argsort(snapshot.entities["id"][1:], kind="stable") + 1
        entities = snapshot.entities[order]
        self._moments.append(
            _Moment(
                float(snapshot.time_ms),
                entities,
                snapshot.positions(self._size)[order],
                entities["heading"] * (360 / 256),
                entities["speed"] / 8.0,
                min(max(snapshot.dilation, LEAST_DILATION), 1.0),
            )
        )

    def at(self, server_ms: float) -> Shown:
        """Return the others as of DELAY_MS of game time before a moment of the server's clock."""
        dilation = self._moments[-1].dilation if self._moments else 1.0
        moment_ms = server_ms - DELAY_MS / dilation
        before, after = self._around(moment_ms)
        if before is None:
            nothing = np.empty((0, 3))
            return Shown(np.empty(0, ENTITY), nothing, nothing[:, 0])
        ahead_ms = max(moment_ms - before.time_ms, 0.0) * dilation
        ahead_s = min(ahead_ms, EXTRAPOLATED_MS) / 1000.0
        positions, headings = _carried_on(before, ahead_s), before.headings_deg
        if after is not None:
            part = (moment_ms - before.time_ms) / (after.time_ms - before.time_ms)
            positions, headings = _blended(before, after, part, positions)
        np.clip(positions[:, :2], 0.0, self._size, out=positions[:, :2])
        return Shown(before.entities, positions, headings)

    def _around(self, moment_ms: float) -> tuple[_Moment | None, _Moment | None]:
        """Return the last snapshot that is not after the moment (or the oldest), and the one after it."""
        after = None
        for moment in reversed(self._moments):
            if moment.time_ms <= moment_ms:
                return moment, after
            after = moment
        return after, None


def _carried_on(moment: _Moment, seconds: float) -> np.ndarray:
    """Return (n, 3): where those of a snapshot are if they go on as they went."""
    turns = np.radians(moment.headings_deg)
    paths = moment.speeds * seconds
    return moment.positions + np.stack([np.sin(turns) * paths, np.cos(turns) * paths, 0.0 * paths], axis=1)


def _blended(
    before: _Moment, after: _Moment, part: float, carried: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (n, 3) and headings (n,) of those of `before`, `part` of the way to `after`.

    Who is not in `after` is carried on until then; who jumped stays where it was until then.
    """
    positions, headings = carried.copy(), before.headings_deg.copy()
    if not len(after.entities):
        return positions, headings
    found = np.searchsorted(after.entities["id"], before.entities["id"])
    found = np.minimum(found, len(after.entities) - 1)
    is_there = after.entities["id"][found] == before.entities["id"]
    mine, theirs = np.flatnonzero(is_there), found[is_there]
    way = after.positions[theirs] - before.positions[mine]
    seconds = (after.time_ms - before.time_ms) / 1000.0
    fastest = np.maximum(before.speeds[mine], after.speeds[theirs])
    is_jump = np.hypot(way[:, 0], way[:, 1]) > fastest * seconds + JUMP_M
    positions[mine] = before.positions[mine] + np.where(is_jump, 0.0, part)[:, None] * way
    turn = (after.headings_deg[theirs] - before.headings_deg[mine] + 180.0) % 360.0 - 180.0
    headings[mine] = (before.headings_deg[mine] + part * turn) % 360.0
    return positions, headings
