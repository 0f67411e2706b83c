"""What players are shown: whom each sees, and the bytes that say so, for all zone links in one call a tick.

Called by the tick (ticks.py), which sends them. Compiled or plain, by the cluster's one choice.
"""

from collections.abc import Callable, Mapping

import numpy as np

from zonecluster.hot_code import Choice
from zonecluster.interest.choice import open_interest
from zonecluster.interest.scene import Scene
from zonecluster.interest.visibility import LineOfSight, SightFault, look
from zonecluster.simulation.tables import Tables
from zonecluster.snapshots.encoder import DEFAULT_BYTES_PER_S, open_encoder
from zonecluster.snapshots.parts import Clock, Focus, OwnState
from zonecluster.snapshots.records import entity_records


class Views:
    """Interest and snapshots of one cluster."""

    def __init__(
        self,
        choice: Choice,
        slots: int,
        bytes_per_s: int = DEFAULT_BYTES_PER_S,
        *,
        sights: Mapping[int, LineOfSight],
        tell_fault: Callable[[SightFault], None],
    ) -> None:
        """Choose how it is done.

        Args:
            slots: link slots; bytes_per_s: what each player is sent at most.
            sights: lines of sight by place; tell_fault: called for each that fails, in each tick.
        Raises: ImportError, RuntimeError or OSError: compiled code was insisted on and cannot run here.
        """
        self._interest = open_interest(choice)
        self.encoder = open_encoder(choice, slots, bytes_per_s)
        self._sights = sights
        self._tell_fault = tell_fault

    @property
    def kinds(self) -> dict[str, str]:
        """Which implementation of each part runs."""
        return {"interest": self._interest.name, "snapshots": self.encoder.name}

    def forget(self, slot: int) -> None:
        """A new link has this slot: it was shown nothing."""
        self.encoder.forget(slot)

    def acknowledge(self, slots: np.ndarray, ticks: np.ndarray) -> None:
        """Note which snapshots clients say they have: (k,) each, hostile; a slot may come several times."""
        self.encoder.acknowledge(slots, ticks)

    def snapshots(
        self,
        tables: Tables,
        viewers: np.ndarray,
        slots: np.ndarray,
        clock: Clock,
        lap: Callable[[str], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what each viewer is shown, good until the next call: payloads (m, 1150) u8, lengths (m,).

        Args: viewers: (m,) rows; slots: (m,) their link slots; lap: told after each phase.
        """
        seen, faults = look(self._interest, scene_of(tables), viewers, self._sights)
        for fault in faults:
            self._tell_fault(fault)
        lap("interest")
        focus = Focus(tables.selected, tables.group)
        records, own = entity_records(tables), own_states(tables, viewers)
        found = self.encoder.encode(viewers, slots, seen, records, own, focus, clock)
        lap("encode")
        return found


def scene_of(tables: Tables) -> Scene:
    """Return the columns that interest reads."""
    return Scene(
        tables.position, tables.place, tables.places.sizes, tables.is_hidden, tables.is_always_visible
    )


def own_states(tables: Tables, viewers: np.ndarray) -> OwnState:
    """Return what viewers are told of themselves."""
    cursor = tables.cursor[viewers]
    return OwnState(
        input_ack=cursor,
        input_lead=np.clip(tables.newest_seq[viewers] - cursor, -128, 127),
        corrections=tables.corrections[viewers],
        top_speed=tables.top_speed[viewers],
        is_frozen=tables.is_frozen[viewers],
        instance=tables.places.numbers[tables.place[viewers]],
    )
