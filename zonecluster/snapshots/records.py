"""Everybody's record as the wire has it, once a tick for all rows of all zone instances."""

import numpy as np

from zonecluster.protocol.zone_payloads import ENTITY, NO_ZONE_LINK
from zonecluster.simulation.tables import PLAYER, Tables


def entity_records(tables: Tables) -> np.ndarray:
    """Return (n,) of ENTITY for all rows, quantised; id 0 where nobody stands."""
    records = np.zeros(len(tables), ENTITY)
    plane = np.rint(tables.position[:, :2] * (np.float32(65535) / tables.extent)[:, None])
    records["id"] = tables.entity
    records["x"], records["y"] = np.clip(plane, 0, 65535).T
    records["z"] = np.clip(np.rint(tables.position[:, 2] * 64), -32768, 32767)
    records["heading"] = np.rint(tables.heading_deg * np.float32(256 / 360)).astype(np.int32) % 256
    speeds = np.sqrt(np.einsum("ni,ni->n", tables.velocity, tables.velocity))
    records["speed"] = np.minimum(np.rint(speeds * 8), 255)
    records["animation"] = tables.animation
    records["health"] = np.clip(np.rint(tables.health * 255), 0, 255)
    records["effects"] = tables.effects
    is_unlinked = (tables.kind == PLAYER) & ~tables.has_zone_link
    records["kind_flags"] = tables.kind | is_unlinked * np.uint8(NO_ZONE_LINK)
    return records
