"""The client's side of snapshots: from payloads to what the player sees. Hostile bytes never raise.

One SnapshotReader for one zone link. It keeps the views of the last snapshots it decoded, since the next one
tells only what changed against one of them; the client acknowledges the newest in INPUT_HEADER.snapshot_ack.
Source: docs/protocol.md, section "Snapshots".
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from zonecluster.protocol.zone_payloads import (
    ANIMATION_CHANGED,
    ENTITY,
    FROZEN_FLAG,
    HEADING_CHANGED,
    KIND_BITS,
    LEAST_SNAPSHOT_BYTES,
    LEFT,
    MAX_BASELINE_TICKS,
    MAX_NEAREST,
    MAX_PAYLOAD_BYTES,
    MOVED_12_BITS,
    MOVED_BYTES,
    MOVED_TO,
    POSITION_BITS,
    SNAPSHOT,
    SNAPSHOT_HEADER,
    SPEED_CHANGED,
    STATUS_CHANGED,
    WHOLE,
    Z_CHANGED,
)

POSITION_BYTES = (0, 2, 3, 4)  # by POSITION_BITS
BYTE_FIELDS = ((HEADING_CHANGED, "heading"), (SPEED_CHANGED, "speed"), (ANIMATION_CHANGED, "animation"))
STATUS_FIELDS = ("health", "effects", "kind_flags")


class Refused(StrEnum):
    """Why a payload is no snapshot that can be shown."""

    NOT_A_SNAPSHOT = "not_a_snapshot"
    MALFORMED = "malformed"
    OLD = "old"  # not newer than the newest decoded: overtaken on the way, or sent twice
    UNKNOWN_BASELINE = "unknown_baseline"  # changes of a view that is not here: do not acknowledge


@dataclass(frozen=True)
class Snapshot:
    """One state of the zone as the server sent it.

    `entities`: ENTITY records, the player's own first, the others in the order of their places in the view.
    """

    tick: int
    time_ms: int
    input_ack: int
    input_lead: int
    corrections: int
    dilation: float
    is_frozen: bool
    instance: int
    top_speed: float  # own, m/s
    entities: np.ndarray

    def positions(self, size: float) -> np.ndarray:
        """Return (n, 3) float64 metres: x east, y north, z up. Args: size: of the zone, from ZoneAssigned."""
        scale = size / 65535.0
        records = self.entities
        return np.stack([records["x"] * scale, records["y"] * scale, records["z"] / 64.0], axis=1)

    def kinds(self) -> np.ndarray:
        """Return (n,): 0 player, 1 creature."""
        return self.entities["kind_flags"] & KIND_BITS


def change_bytes(fields: int) -> int:
    """Return the length of a change with this first byte, that byte included; 0 where it is malformed."""
    if fields == WHOLE:
        return 1 + ENTITY.itemsize
    if fields == LEFT:
        return 1
    if fields == 0 or fields & LEFT:
        return 0
    of_bytes = sum(1 for bit, _ in BYTE_FIELDS if fields & bit)
    of_z, of_status = 2 * bool(fields & Z_CHANGED), 3 * bool(fields & STATUS_CHANGED)
    return 1 + POSITION_BYTES[fields & POSITION_BITS] + of_z + of_bytes + of_status


CHANGE_BYTES = tuple(map(change_bytes, range(256)))


class SnapshotReader:
    """Decodes the snapshots of one zone link, in the order in which they arrive."""

    def __init__(self) -> None:
        self._views: dict[int, np.ndarray] = {}  # (64,) ENTITY by tick, id 0: the place is empty
        self.newest_tick = 0  # of what was decoded: to be acknowledged

    def read(self, payload: bytes) -> Snapshot | Refused:
        """Decode a payload. Any bytes are safe; what is refused changes nothing."""
        if not payload or payload[0] != SNAPSHOT:
            return Refused.NOT_A_SNAPSHOT
        if not LEAST_SNAPSHOT_BYTES <= len(payload) <= MAX_PAYLOAD_BYTES:
            return Refused.MALFORMED
        header = np.frombuffer(payload, SNAPSHOT_HEADER, 1)[0]
        tick, baseline_tick = int(header["tick"]), int(header["baseline_tick"])
        if header["slots"] > MAX_NEAREST or baseline_tick >= tick:
            return Refused.MALFORMED
        if tick <= self.newest_tick:
            return Refused.OLD
        baseline = self._views.get(baseline_tick) if baseline_tick else np.zeros(MAX_NEAREST, ENTITY)
        if baseline is None:
            return Refused.UNKNOWN_BASELINE
        view = changed_view(payload, int(header["slots"]), baseline)
        own = np.frombuffer(payload, ENTITY, 1, SNAPSHOT_HEADER.itemsize)
        if view is None:
            return Refused.MALFORMED
        entities = np.concatenate([own, view[view["id"] != 0]])
        ids = entities["id"].tolist()
        if 0 in ids or len(set(ids)) != len(ids):
            return Refused.MALFORMED
        self._keep(tick, view)
        return Snapshot(
            tick=tick,
            time_ms=int(header["time_ms"]),
            input_ack=int(header["input_ack"]),
            input_lead=int(header["input_lead"]),
            corrections=int(header["corrections"]),
            dilation=int(header["dilation"]) / 1000.0,
            is_frozen=bool(header["flags"] & FROZEN_FLAG),
            instance=int(header["instance"]),
            top_speed=int(header["top_speed"]) / 256.0,
            entities=entities,
        )

    def _keep(self, tick: int, view: np.ndarray) -> None:
        self.newest_tick = tick
        self._views[tick] = view
        if len(self._views) > MAX_BASELINE_TICKS:
            del self._views[next(iter(self._views))]  # ticks only rise: the first is the oldest


def changed_view(payload: bytes, slots: int, baseline: np.ndarray) -> np.ndarray | None:
    """Return the view (64,) ENTITY that a snapshot makes of its baseline's; None where it is malformed.

    Args: slots: places that the snapshot's view has; those of the baseline beyond them are gone.
    """
    found = find_changes(payload, slots)
    if found is None:
        return None
    places, starts = found
    data = np.frombuffer(payload, np.uint8).astype(np.int64)
    fields = data[starts]
    view = baseline.copy()
    view[slots:] = 0
    is_whole, is_left = fields == WHOLE, fields == LEFT
    is_delta = ~(is_whole | is_left)
    if (view["id"][places[~is_whole]] == 0).any():
        return None  # changes somebody who is not there
    if not apply_deltas(view, places[is_delta], fields[is_delta], data, starts[is_delta] + 1):
        return None
    view[places[is_left]] = 0
    for place, start in zip(places[is_whole].tolist(), starts[is_whole].tolist(), strict=True):
        view[place] = np.frombuffer(payload, ENTITY, 1, start + 1)[0]
        if view["id"][place] == 0:
            return None
    return view


def find_changes(payload: bytes, slots: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (k,) places of the view that change, ascending, and (k,) where in the payload each begins.

    None: a bit beyond the places, a first byte that means nothing, or another length than the changes have.
    """
    mask_bytes = (slots + 7) // 8
    start = LEAST_SNAPSHOT_BYTES + mask_bytes
    mask = int.from_bytes(payload[LEAST_SNAPSHOT_BYTES:start], "little")
    if len(payload) < start or mask >> slots:
        return None
    places, starts = [], []
    for place in range(slots):
        if mask >> place & 1:
            length = CHANGE_BYTES[payload[start]] if start < len(payload) else 0
            if length == 0:
                return None
            places.append(place)
            starts.append(start)
            start += length
    if start != len(payload):
        return None
    return np.array(places, np.int64), np.array(starts, np.int64)


def apply_deltas(
    view: np.ndarray, places: np.ndarray, fields: np.ndarray, data: np.ndarray, at: np.ndarray
) -> bool:
    """Change single fields of entities in view; False: a position leaves the zone.

    Args: places, fields, at: (k,) place, first byte of the change, where what follows begins in `data`.
    """
    way = fields & POSITION_BITS
    for kind, moved in ((MOVED_BYTES, _moved_bytes), (MOVED_12_BITS, _moved_12_bits), (MOVED_TO, None)):
        is_kind = way == kind
        where, start = places[is_kind], at[is_kind]
        if moved is None:
            x, y = _u16(data, start), _u16(data, start + 2)
        else:
            dx, dy = moved(data, start)
            x, y = view["x"][where] + dx, view["y"][where] + dy
        if len(where) and (min(x.min(), y.min()) < 0 or max(x.max(), y.max()) > 0xFFFF):
            return False
        view["x"][where], view["y"][where] = x, y
    at = at + np.array(POSITION_BYTES)[way]
    has = (fields & Z_CHANGED) != 0
    view["z"][places[has]] = _signed(_u16(data, at[has]), 16)
    at = at + 2 * has
    for bit, name in BYTE_FIELDS:
        has = (fields & bit) != 0
        view[name][places[has]] = data[at[has]]
        at = at + has
    has = (fields & STATUS_CHANGED) != 0
    for offset, name in enumerate(STATUS_FIELDS):
        view[name][places[has]] = data[at[has] + offset]
    return True


def _u16(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    return data[at] | data[at + 1] << 8


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    """Return values of so many bits as two's complement."""
    return values - ((values >> (bits - 1)) << bits)


def _moved_bytes(data: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _signed(data[at], 8), _signed(data[at + 1], 8)


def _moved_12_bits(data: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    packed = data[at] | data[at + 1] << 8 | data[at + 2] << 16
    return _signed(packed & 0xFFF, 12), _signed(packed >> 12, 12)
