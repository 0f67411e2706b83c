"""What players are shown: whom each sees, and the bytes that say so, for all zone links in one call a tick.

Called by the tick (ticks.py), which sends them. Compiled or plain, by the cluster's one choice.
"""

from collections.abc import Callable

import numpy as np

from zonecluster.daemon.config import CannotStart
from zonecluster.interest.choice import open_interest
from zonecluster.interest.scene import Scene
from zonecluster.packets.path import Choice
from zonecluster.simulation.snapshots import Clock, take_snapshots
from zonecluster.simulation.tables import Tables


class Views:
    """Interest and snapshots of one cluster."""

    def __init__(self, choice: Choice) -> None:
        """Choose how it is done.

        Raises: CannotStart: compiled code was insisted on and cannot run here.
        """
        try:
            self._interest = open_interest(choice)
        except (ImportError, RuntimeError, OSError) as error:
            raise CannotStart(
                f"The packet path {choice!r} cannot run here: {error}. "
                "Set WAYSTONE_PACKET_PATH=auto to use what can."
            ) from error

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
        seen = self._interest.nearest(scene_of(tables), viewers)
        lap("interest")
        payloads, lengths = take_snapshots(tables, viewers, seen.rows, seen.counts, clock)
        lap("encode")
        return payloads, lengths


def scene_of(tables: Tables) -> Scene:
    """Return the columns that interest reads."""
    return Scene(
        tables.position, tables.place, tables.places.sizes, tables.is_hidden, tables.is_always_visible
    )
