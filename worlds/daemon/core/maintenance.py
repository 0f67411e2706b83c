"""Maintenance mode: nobody comes in but the world's operators and staff; who is inside is told, and may stay.

Set by the operator (the row of the world, read once a second) or by the master's staff (told by reports).
"""

from worlds.daemon.core import saying
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import World
from zonecluster.protocol.to_client import Notice

WITHOUT_TEXT = "The world is being worked on."
BEGINS = " Nobody is let in for now. You may stay; who leaves cannot come back before it is over."
OVER = "The work on the world is done: everybody is let in again."
INSIDE = " You are let in as an operator of this world; players are not."


def text_of(w: World) -> str | None:
    """Return why nobody is let in, for people; None: they are."""
    own = w.upkeep.maintenance if w.upkeep is not None else None
    if own is not None:
        return own.text or WITHOUT_TEXT
    if w.life.master_maintenance is not None:
        return w.life.master_maintenance or WITHOUT_TEXT
    return None


def own_text(w: World) -> str | None:
    """Return what the master is told: the operator's own, or it would hear its own word back."""
    own = w.upkeep.maintenance if w.upkeep is not None else None
    return None if own is None else (own.text or WITHOUT_TEXT)


def bars(w: World, s: Session) -> bool:
    """Whether a player is not let in for it."""
    return not s.is_operator and text_of(w) is not None


def step(w: World) -> None:
    """Tell everybody when it begins, changes and ends. What was so before this daemon began was told then."""
    if w.upkeep is None:
        return
    before, now, was_known = w.life.maintenance, text_of(w), w.life.is_known
    w.life.maintenance, w.life.is_known = now, True
    if now == before or not was_known:
        return
    w.log("maintenance_ended" if now is None else "maintenance", "warning", text=now)
    saying.to_everybody(w, Notice(OVER) if now is None else Notice(now + BEGINS, "warning"))


def tell_operator(w: World, s: Session) -> None:
    """Remind somebody who was let in nevertheless."""
    text = text_of(w)
    if text is not None:
        w.to_link(s.link, Notice(text + INSIDE, "warning"))
