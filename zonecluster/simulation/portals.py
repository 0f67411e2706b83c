"""The fourth system: who walked into a portal. It only tells; the world daemon decides what comes of it.

Leave first: a trigger fires when a player comes in from outside. Who arrives, or is sent back, within one has
to leave it before it fires. Whoever stays within one is told of again until the daemon has answered: the bus
may lose what it carries, and a daemon that restarts takes no handoffs for a while.
"""

from dataclasses import dataclass

import numpy as np

from zonecluster.simulation.tables import PLAYER, Tables

QUIET_AFTER_ARRIVAL_S = 1.0  # triggers are silent so long after arriving or being sent back
REPEAT_S = 2.0  # an entry that nobody answered is told again then, or forgotten if the player has left it


@dataclass(frozen=True)
class PortalEntries:
    """Whom the daemon is to be told of: `rows` (k,) of players, `links` (k,) indices in their zone's."""

    rows: np.ndarray
    links: np.ndarray


def enter_portals(tables: Tables, dt: float) -> PortalEntries:
    """Find the players who came into a trigger since the last tick, and those who still wait for an answer.

    Writes: was_near_trigger, was_inside, is_portal_pending, portal_link, portal_tick.
    """
    waiting = _unanswered(tables, dt)
    rows = _near_triggers(tables)
    inside = triggers_at(tables, rows)
    came_in = inside & ~tables.was_inside[rows]
    may_fire = (
        ~tables.is_frozen[rows] & ~tables.is_portal_pending[rows] & (tables.tick >= tables.portal_tick[rows])
    )
    # Who comes in while triggers are silent has not come in yet: it fires when the silence ends.
    tables.was_inside[rows] = inside & (tables.was_inside[rows] | may_fire[:, None])
    fires = came_in.any(axis=1) & may_fire
    entered = rows[fires]
    links = came_in[fires].argmax(axis=1) if len(entered) else np.empty(0, np.int64)
    entered, links = np.append(waiting, entered), np.append(tables.portal_link[waiting], links)
    mark_pending(tables, entered, links)
    return PortalEntries(entered, links)


def _unanswered(tables: Tables, dt: float) -> np.ndarray:
    """Return the players (k,) who still stand in a trigger that the daemon has said nothing of for long.

    Those who have left theirs can go into any again.
    """
    is_due = tables.is_portal_pending & ~tables.is_frozen
    is_due &= tables.tick - tables.portal_tick >= round(REPEAT_S / dt)
    rows = np.flatnonzero(is_due)
    if not len(rows):
        return rows
    is_inside = triggers_at(tables, rows)[np.arange(len(rows)), tables.portal_link[rows]]
    rearm(tables, rows[~is_inside], dt)
    return rows[is_inside]


def _near_triggers(tables: Tables) -> np.ndarray:
    """Return the players (k,) who stand in a cell that a trigger reaches into, or did so a tick ago.

    Writes: was_near_trigger.
    """
    if not tables.places.trigger_count:
        return np.empty(0, np.int64)
    is_near = tables.places.near_triggers(tables.place, tables.position, tables.extent)
    is_near &= tables.alive & (tables.kind == PLAYER)
    rows = np.flatnonzero(is_near | tables.was_near_trigger)
    tables.was_near_trigger = is_near
    return rows


def triggers_at(tables: Tables, rows: np.ndarray) -> np.ndarray:
    """Return (k, most triggers of a place) bool: which triggers of their place rows (k,) stand in."""
    places, here = tables.places, tables.place[rows]
    offsets = tables.position[rows, None, :2] - places.centres[here]
    return np.einsum("npi,npi->np", offsets, offsets) <= places.squares[here]


def mark_pending(tables: Tables, rows: np.ndarray, links: np.ndarray) -> None:
    """Remember that the daemon is told of these players' portals, `links` (k,) indices in their zone's."""
    tables.is_portal_pending[rows] = True
    tables.portal_link[rows] = links
    tables.portal_tick[rows] = tables.tick


def rearm(tables: Tables, rows: np.ndarray, dt: float) -> None:
    """Let triggers work again for these players, after a short silence, and only once they have left them."""
    tables.is_portal_pending[rows] = False
    tables.portal_tick[rows] = tables.tick + round(QUIET_AFTER_ARRIVAL_S / dt)
