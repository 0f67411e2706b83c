"""World life: announcements, message of the day, maintenance, the sky, and who is let in from the queue."""

from worlds.daemon.core import entering, maintenance, motd, queueing, saying, skies
from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.effects import ForgetWaiting
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import NoteAnnouncement, UpkeepLoaded
from zonecluster.protocol.to_client import Notice


def on_upkeep(w: World, event: UpkeepLoaded) -> None:
    """The rows were read: what is to be said, and whether the world is being worked on."""
    said = w.life.said
    said.forget_but({row.id for row in event.announcements})
    for row in event.announcements:
        if said.is_news(row.id):
            said.add(row.id)
            heard = saying.to_everybody(w, Notice(row.text, "warning"))
            w.log("announced", row=row.id, heard=heard)
            w.emit(NoteAnnouncement(row.id, heard))
    maintenance.step(w)


def on_catalog(w: World, catalog: Catalog) -> None:
    """The world's texts and limits were read anew: another message of the day is told at once."""
    before = motd.text_of(w)
    w.catalog = catalog
    motd.tell_another(w, before)


def step(w: World) -> None:
    """Let in who waits, as far as there is room, and tell the others where they are."""
    if not w.is_loaded:
        return
    if w.life.departures.since is None:
        w.life.departures.since = w.now
    queue = queueing.waiting(w)
    is_open = entering.closed(w) is None and w.is_master_up
    if is_open and maintenance.text_of(w) is None:
        for s in queue:
            if queueing.is_full(w):
                break
            if queueing.may_come_in(w, s):
                entering.come_in(w, s)
    queue = [s for s in queue if s.phase is queueing.P.WAITING]
    queueing.tell_places(w, queue, is_open and maintenance.text_of(w) is None)
    for session in queueing.forget_gone(w, queue):
        w.emit(ForgetWaiting(session))


def housekeeping(w: World) -> None:
    """Once a second: the sky, and who was put out so long ago that it does not matter any more."""
    skies.step(w)
    old = w.now - queueing.RETURN_S
    w.life.put_out_at = {account: at for account, at in w.life.put_out_at.items() if at > old}
