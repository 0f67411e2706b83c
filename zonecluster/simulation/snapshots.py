"""What each player is shown, as bytes, for all players of all zone instances at once.

Source: docs/protocol.md, section "Zone link"; zonecluster/protocol/zone_payloads.py.
"""

from dataclasses import dataclass

import numpy as np

from zonecluster.protocol.zone_payloads import (
    ENTITY,
    FROZEN_FLAG,
    MAX_PAYLOAD_BYTES,
    NO_ZONE_LINK,
    SNAPSHOT,
    SNAPSHOT_HEADER,
    WHOLE,
)
from zonecluster.simulation.tables import PLAYER, Tables


@dataclass(frozen=True)
class Clock:
    """What a snapshot says of time: the server's monotonic ms, and game seconds per second."""

    time_ms: int
    dilation: float = 1.0


def entity_records(tables: Tables) -> np.ndarray:
    """Return (n,) of ENTITY for all rows, quantised."""
    records = np.zeros(len(tables), ENTITY)
    plane = np.rint(tables.position[:, :2] * (np.float32(65535) / tables.extent)[:, None])
    records["id"] = tables.entity
    records["x"], records["y"] = np.clip(plane, 0, 65535).T
    records["z"] = np.clip(np.rint(tables.position[:, 2] * 64), -32768, 32767)
    records["heading"] = np.rint(tables.heading_deg * (256 / 360)).astype(np.int64) % 256
    speeds = np.sqrt(np.einsum("ni,ni->n", tables.velocity, tables.velocity))
    records["speed"] = np.minimum(np.rint(speeds * 8), 255)
    records["animation"] = tables.animation
    records["health"] = np.rint(tables.health * 255)
    records["effects"] = tables.effects
    is_unlinked = (tables.kind == PLAYER) & ~tables.has_zone_link
    records["kind_flags"] = tables.kind | np.where(is_unlinked, NO_ZONE_LINK, 0)
    return records


def take_snapshots(
    tables: Tables, viewers: np.ndarray, rows: np.ndarray, counts: np.ndarray, clock: Clock
) -> tuple[np.ndarray, np.ndarray]:
    """Encode whole what viewers (m,) see: rows (m, 64), of which counts (m,) are there.

    Returns: payloads (m, 1150) u8, lengths (m,) i8.
    """
    records = entity_records(tables)
    header = np.zeros(len(viewers), SNAPSHOT_HEADER)
    header["kind"] = SNAPSHOT
    header["flags"] = np.where(tables.is_frozen[viewers], FROZEN_FLAG, 0)
    header["slots"] = counts
    header["tick"] = tables.tick
    header["input_ack"] = tables.cursor[viewers]
    header["input_lead"] = np.clip(tables.newest_seq[viewers] - tables.cursor[viewers], -128, 127)
    header["time_ms"] = clock.time_ms
    header["dilation"] = min(round(clock.dilation * 1000), 65535)
    header["instance"] = tables.places.numbers[tables.place[viewers]]
    header["corrections"] = tables.corrections[viewers]
    header["top_speed"] = np.minimum(tables.top_speed[viewers] * 256, 65535)
    payloads = np.zeros((len(viewers), MAX_PAYLOAD_BYTES), np.uint8)
    lengths = np.zeros(len(viewers), np.int64)
    for index, (viewer, count) in enumerate(zip(viewers.tolist(), counts.tolist(), strict=True)):
        changes = np.zeros((count, 1 + ENTITY.itemsize), np.uint8)
        changes[:, 0] = WHOLE
        changes[:, 1:] = records[rows[index, :count]].view(np.uint8).reshape(count, ENTITY.itemsize)
        mask = np.packbits(np.ones(count, bool), bitorder="little")
        parts = header[index : index + 1], records[viewer : viewer + 1], mask, changes
        payload = b"".join(part.tobytes() for part in parts)
        payloads[index, : len(payload)] = np.frombuffer(payload, np.uint8)
        lengths[index] = len(payload)
    return payloads, lengths
