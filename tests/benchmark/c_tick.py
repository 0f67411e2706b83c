"""A zone cluster's tick in the hands of zone_tick.c: the same state, the same socket, the same work, in C."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmark.c_code import add_links, compile_c, make_loop
from zonecluster.daemon.service import Service
from zonecluster.protocol.zone_payloads import ENTITY, MAX_NEAREST, MAX_PAYLOAD_BYTES
from zonecluster.simulation import cursor
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import MAX_PENDING, Tables
from zonecluster.snapshots import parts

SOURCE = Path(__file__).with_name("zone_tick.c")
FIXED = {
    **{name: getattr(parts, name) for name in ("FOCUS", "RECENT", "URGENT", "URGENT_TICKS")},
    **{name: getattr(parts, name) for name in ("NEVER_SEEN_TICKS", "FAR_WEIGHT")},
    **{"MAX_PENDING": MAX_PENDING, "BUFFER_TICKS": cursor.BUFFER_TICKS},
    **{"STALE_TICKS": round(cursor.STALE_INPUT_S / TICK_S), "LATE_TICKS": round(cursor.LATE_S / TICK_S)},
}
# Fused operations would round otherwise than ours.
SAME_MEANING = ("-ffp-contract=off", *(f"-D{name}={value}" for name, value in FIXED.items()))

STAGES = ("receive", "inputs", "simulation", "records", "interest", "encode", "send")
COLUMNS = {  # of zone_tick.c's struct tables, in its order, with the types it has them in
    **{"place": "i4", "entity": "u4", "group": "u4", "selected": "u4", "kind": "u1", "animation": "u1"},
    **{"effects": "u1", "is_linked": "u1", "extent": "f4", "position": "f4", "velocity": "f4"},
    **{"heading_deg": "f4", "top_speed": "f4", "wish": "f4", "health": "f4", "input_tick": "i8"},
    **{"cursor": "i8", "newest_seq": "i8", "late_since_tick": "i8", "playing": "u8", "pending": "u8"},
    **{"corrections": "u2", "metres_walked": "f8"},
}


def compile_tick(folder: Path) -> ctypes.CDLL:
    """Compile zone_tick.c with the rules that zonecluster/ has now.

    Raises: CannotMeasure.
    """
    library = compile_c(folder, SOURCE, *SAME_MEANING)
    library.make_zone.restype = ctypes.c_void_p
    library.zone_stages.restype = ctypes.POINTER(ctypes.c_uint64)
    return library


class TickInC:
    """The tick of a service, whose links are all up. The service itself must not tick any more."""

    def __init__(self, library: ctypes.CDLL, service: Service) -> None:
        """Copy everything into arrays of the C code's."""
        links, tables = service.cluster.links, service.cluster.tables
        table = links.path.table  # type: ignore[attr-defined]  # of the batch path
        loop = make_loop(library, len(table.state))
        viewers, slots = links.of_rows.viewers()
        add_links(library, loop, table, slots)
        self._kept: list[Any] = []  # what the C code has pointers to
        self._library = library
        self._zone = ctypes.c_void_p(
            library.make_zone(loop, self._tables(tables), self._views(service, viewers, slots))
        )
        self._file = links.socket.fileno()
        self._tick = int(tables.tick)

    def _pointer(self, array: np.ndarray, kind: str | np.dtype) -> int:
        copied = np.array(array, kind, order="C")
        self._kept.append(copied)
        return copied.ctypes.data

    def _struct(self, values: list[int]) -> ctypes.Array:
        """Return a struct of 64-bit numbers and pointers."""
        struct = (ctypes.c_uint64 * len(values))(*values)
        self._kept.append(struct)
        return struct

    def _tables(self, tables: Tables) -> ctypes.Array:
        is_linked = tables.has_zone_link & tables.has_world_link & ~tables.is_frozen
        columns = {name: is_linked if name == "is_linked" else getattr(tables, name) for name in COLUMNS}
        pointers = [self._pointer(column, COLUMNS[name]) for name, column in columns.items()]
        numbers = self._pointer(tables.places.numbers, "u4")
        return self._struct([len(tables), len(tables.places), *pointers, numbers])

    def _views(self, service: Service, viewers: np.ndarray, slots: np.ndarray) -> ctypes.Array:
        encoder = service.ticks.views.encoder
        baselines, links = encoder.baselines, encoder.baselines.links
        count = len(viewers)
        room = (
            ("u1", (count, MAX_PAYLOAD_BYTES)),
            ("i8", count),
            ("i4", (count, MAX_NEAREST)),
            ("i4", count),
        )
        return self._struct(
            [
                *(count, encoder.bytes_per_tick, encoder.full_bucket),
                self._pointer(viewers, "i8"),
                self._pointer(slots, "i8"),
                self._pointer(service.cluster.links.of_rows.rows, "i8"),
                self._pointer(links.words, "u4"),
                self._pointer(links.places, "u1"),
                self._pointer(links.ticks, "u4"),
                self._pointer(links.latest, "u4"),
                self._pointer(links.acknowledged, "u4"),
                self._pointer(links.bucket, "i8"),
                self._pointer(baselines.history, ENTITY),
                *(self._pointer(np.zeros(shape, kind), kind) for kind, shape in room),
                0,  # stamps: the C code's own
            ]
        )

    def receive(self, now: float) -> None:
        """Take and open what has come. Args: now: monotonic seconds."""
        self._library.zone_receive(self._zone, self._file, ctypes.c_double(now))

    def tick(self, time_ms: int, now: float) -> int:
        """Take what has come and run one tick; returns how many snapshots were sent."""
        self._tick += 1
        number, milliseconds = ctypes.c_int64(self._tick), ctypes.c_uint64(time_ms)
        return self._library.zone_tick(self._zone, self._file, number, milliseconds, ctypes.c_double(now))

    def stages_ms(self) -> list[float]:
        """Return the CPU time of each of STAGES in the last tick."""
        stages = self._library.zone_stages(self._zone)
        return [stages[at] / 1e6 for at in range(len(STAGES))]
