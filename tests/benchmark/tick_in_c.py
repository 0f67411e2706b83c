"""The side of `benchmark tick` that is C: a service's state in the hands of zone_tick.c."""

import ctypes
from time import thread_time_ns
from typing import Any

import numpy as np

from tests.benchmark.c_code import add_links, make_loop
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.sides import Side
from zonecluster.protocol.zone_payloads import ENTITY, MAX_NEAREST, MAX_PAYLOAD_BYTES
from zonecluster.simulation.tables import Tables

STAGES = ("receive", "inputs", "simulation", "records", "interest", "encode", "send")
COLUMNS = {  # of zone_tick.c's struct tables, in its order, with the types it has them in
    **{"place": "i4", "entity": "u4", "group": "u4", "selected": "u4", "kind": "u1", "animation": "u1"},
    **{"effects": "u1", "is_linked": "u1", "extent": "f4", "position": "f4", "velocity": "f4"},
    **{"heading_deg": "f4", "top_speed": "f4", "wish": "f4", "health": "f4", "input_tick": "i8"},
    **{"cursor": "i8", "newest_seq": "i8", "late_since_tick": "i8", "playing": "u8", "pending": "u8"},
    **{"corrections": "u2", "metres_walked": "f8"},
}


class InC(Side):
    """The second side, once its state is in the hands of the C code."""

    _zone: ctypes.c_void_p | None = None  # None: still the service

    def hand_over(self, library: ctypes.CDLL) -> None:
        """Copy everything into arrays of the C code's; the service does nothing from now on."""
        cluster = self.service.cluster
        path, tables = cluster.links.path, cluster.tables
        table = path._table  # type: ignore[attr-defined]
        loop = make_loop(library, len(table.state))
        viewers, slots = cluster.links.viewers()
        add_links(library, loop, table, slots)
        self._kept: list[Any] = []  # what the C code has pointers to
        library.make_zone.restype = ctypes.c_void_p
        library.zone_stages.restype = ctypes.POINTER(ctypes.c_uint64)
        self._library = library
        self._zone = ctypes.c_void_p(
            library.make_zone(loop, self._tables(tables), self._views(viewers, slots))
        )
        self._file = cluster.links.socket.fileno()
        self._tick = int(tables.tick)
        self.stages_ms: list[list[float]] = []

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

    def _views(self, viewers: np.ndarray, slots: np.ndarray) -> ctypes.Array:
        encoder = self.service.ticks._views._encoder
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
                *(count, encoder._bytes_per_tick, encoder._full_bucket),
                self._pointer(viewers, "i8"),
                self._pointer(slots, "i8"),
                self._pointer(self.service.cluster.links.rows, "i8"),
                self._pointer(links.words, "u4"),
                self._pointer(links.places, "u1"),
                self._pointer(links.ticks, "u4"),
                self._pointer(links.latest, "u4"),
                self._pointer(links.acknowledged, "u4"),
                self._pointer(links.bucket, "i8"),
                self._pointer(baselines.history, ENTITY),
                *(self._pointer(np.zeros(shape, kind), kind) for kind, shape in room),
                *(0, 0),  # stamps, looks: the C code's own
            ]
        )

    def tick(self) -> None:
        """Take the inputs that came, and run a tick; its CPU time is kept."""
        if self._zone is None:
            super().tick()
            return
        self._tick += 1
        time_ms = int(self.service.clock() * 1000)
        now = ctypes.c_double(self._time.now)
        before = thread_time_ns()
        sent = self._library.zone_tick(
            self._zone, self._file, ctypes.c_int64(self._tick), ctypes.c_uint64(time_ms), now
        )
        self.spent_ms.append((thread_time_ns() - before) / 1e6)
        stages = self._library.zone_stages(self._zone)
        self.stages_ms.append([stages[at] / 1e6 for at in range(len(STAGES))])
        if sent != self.players:
            raise CannotMeasure(f"The C code sent {sent} of {self.players} snapshots.")

    def phases_ms(self) -> dict[str, float]:
        """Return the median CPU time of each stage."""
        return dict(zip(STAGES, np.median(np.array(self.stages_ms), axis=0), strict=True))
