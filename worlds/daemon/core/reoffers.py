"""After a restore of the master: offer it what this world holds of what it may have lost (rule 11).

The master says by its answers to reports that it collects, and since when. The world's receipts since then go
to it page after page, in the order of the lines' versions; while something before them is missing, which
another world may hold, all again a little later. To everything else the master is away meanwhile.
"""

from worlds.daemon.core.effects import LoadReceipts
from worlds.daemon.core.events import ReceiptsLoaded, Unreachable
from worlds.daemon.core.saving import backoff
from worlds.daemon.core.state import Reoffering, World
from worlds.uplink import messages as uplink

AGAIN_S = 10.0  # until all is offered again, while something waits for another world
LOAD_TIMEOUT_S = 30.0  # a page is asked for again if the database has not given it


def on_reported(w: World, answer: uplink.Reported) -> None:
    """Begin when the master collects; end when it is in service."""
    if answer.collects_since is None:
        if w.reoffering is not None:
            w.log("reoffer_over", incarnation=w.reoffering.incarnation)
        w.reoffering = None
    elif w.reoffering is None or w.reoffering.incarnation != answer.incarnation:
        w.reoffering = Reoffering(answer.incarnation, answer.collects_since)
        since = answer.collects_since.isoformat()
        w.log("master_was_restored", "warning", incarnation=answer.incarnation, since=since)


def step(w: World) -> None:
    """Load or offer what is due."""
    r = w.reoffering
    if r is None or r.call is not None or r.load_at is None or w.now < r.load_at:
        return
    if r.page is not None:
        message = uplink.Reoffer(r.incarnation, r.page.versions, is_last=r.page.is_last)
        r.call, r.load_at = w.call(None, message), None
        return
    r.load_at = w.now + LOAD_TIMEOUT_S
    w.emit(LoadReceipts(r.incarnation, r.since, r.after))


def on_loaded(w: World, page: ReceiptsLoaded) -> None:
    """A page is here: offer it."""
    r = w.reoffering
    if r is not None and r.page is None and (page.incarnation, page.after) == (r.incarnation, r.after):
        r.page, r.load_at = page, w.now
        step(w)


def on_answer(w: World, answer: uplink.Reoffered | uplink.Refusal | Unreachable) -> None:
    """The master took a page, or did not answer."""
    r = w.reoffering
    if r is None or r.page is None:
        return
    r.call = None
    if not isinstance(answer, uplink.Reoffered):
        r.failures += 1
        r.load_at = w.now + backoff(r.failures, w.rng)
        return
    r.failures, page, r.page = 0, r.page, None
    r.waiting += answer.waiting
    if answer.refused:
        w.log("reoffer_refused", "error", versions=answer.refused)
    if not page.is_last:
        r.after, r.load_at = page.end, w.now
        return
    w.log("reoffered", replayed=answer.replayed, known=answer.known, waiting=r.waiting)
    r.load_at = w.now + AGAIN_S if r.waiting else None
    r.after, r.waiting = None, 0
