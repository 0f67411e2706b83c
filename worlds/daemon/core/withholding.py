"""Rule 9: while a character's saves fail, its player walks and chats, and gains nothing; then it is put out.

A save fails when the master answers and does not accept, or when this world's journal cannot be written. A
master that does not answer is no failure: the journal has everything, play goes on, nobody is put out.
"""

from worlds.daemon.core import departure
from worlds.daemon.core.session import PLAYABLE, Session
from worlds.daemon.core.state import World
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

WITHHOLD_S = 5.0
PUT_OUT_S = 120.0
WITHHELD = (
    "Your character cannot be saved at the moment. You can walk and talk, and gain nothing until it can."
)
GIVEN_AGAIN = "Your character is being saved again: what you do counts."


def refused(w: World, s: Session) -> None:
    """The master answered, and did not accept."""
    if s.refused_since is None:
        s.refused_since = w.now


def unreachable(s: Session) -> None:
    """The master did not answer: play goes on from the journal."""
    s.refused_since = None


def failing_since(w: World, s: Session) -> float | None:
    """Return since when the character's saves have failed; None: they do not."""
    if s.refused_since is not None and s.head.is_idle and not s.is_dirty:
        s.refused_since = None  # there is nothing to save any more
    since = [instant for instant in (s.refused_since, w.journal_broken_since) if instant is not None]
    return min(since, default=None)


def watch(w: World, s: Session) -> None:
    """Withhold and give again; put out whoever has waited too long."""
    since = failing_since(w, s)
    failed_s = 0.0 if since is None else w.now - since
    if (failed_s >= WITHHOLD_S) != s.is_withheld:
        s.is_withheld = not s.is_withheld
        w.log("withheld" if s.is_withheld else "given_again", "warning", session=str(s.id))
        w.to_link(s.link, Notice(WITHHELD, "warning") if s.is_withheld else Notice(GIVEN_AGAIN))
        order(w, s)
    # While the process was stopped nothing was tried: nobody is put out by news from before.
    if failed_s >= PUT_OUT_S and w.now - w.woke_at >= PUT_OUT_S and s.leave is None:
        w.log("put_out_unsaved", "error", session=str(s.id), character=str(s.character))
        departure.begin(w, s, departure.UNSAVED)


def order(w: World, s: Session) -> None:
    """Tell the cluster; what Residents say shows whether it has heard."""
    w.to_cluster(s.here.cluster, bus.Withhold(s.id, s.is_withheld, w.new_order()))


def compare(w: World, s: Session, resident: bus.Resident) -> None:
    """Say it again to a cluster that has it otherwise."""
    if s.phase in PLAYABLE and resident.is_withheld != s.is_withheld:
        order(w, s)
