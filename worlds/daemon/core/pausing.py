"""A player stands still while the cluster under it is restarted: frozen, saved, admitted again afterwards.

Not a log-out: lease, session and link stay. `restarts.py` says who and how long.
"""

from worlds.daemon.core import arrival, departure, exchanges, handoff
from worlds.daemon.core.session import Phase, Session
from worlds.daemon.core.state import World
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

P = Phase
AGAIN_S = 1.0  # after a pause that failed, before the next is tried
PAUSE = "The world restarts. You are saved, and will be back in a moment in the same place."


def begin(w: World, s: Session) -> None:
    """Ask the cluster to freeze a player, if it can be done now: call again until it is paused."""
    if s.phase is not P.PLAYING or s.leave is not None or s.home is None or w.now < s.no_handoff_until:
        return
    if s.exchange is not None or s.is_unsettled:
        return
    s.move(P.PAUSING, w.now)
    w.route(s, "")
    request = w.new_id()
    order = bus.Freeze(session=s.id, request=request, instance=s.here.instance, order=w.new_order())
    w.ask(s, s.here, order, request)


def on_frozen(w: World, s: Session, m: bus.Frozen) -> None:
    """The player stands still: save what it has and where it is."""
    offered = None
    if not departure.is_outdated(w, s, m.after, "frozen"):
        offered = departure.offer(w, s, "periodic", m.state, m.serial)
    if offered is None:
        go_on(w, s)
        return
    s.serial = max(s.serial, m.serial)
    s.place = m.state.places.get(w.catalog.world, s.place)
    s.move(P.PAUSED, w.now)
    s.commit_op = offered.op_id
    w.to_link(s.link, Notice(text=PAUSE))


def is_safe(s: Session) -> bool:
    """Whether a paused player's document is with the master, by a receipt that was checked."""
    return s.phase is P.PAUSED and s.commit_op is None and s.head.is_idle and s.exchange is None


def go_on(w: World, s: Session) -> None:
    """The pause is over: on where it was, if that cluster process still lives; else in by recovery."""
    s.commit_op = None
    if s.home is not None and w.clusters.is_alive(s.here.cluster, s.here.incarnation):
        s.move(P.PLAYING, w.now)
        s.no_handoff_until = w.now + AGAIN_S
        handoff.thaw(w, s)
        exchanges.settle_again(w, s)
        arrival.resume_play(w, s)
    else:
        s.home = None
        s.move(P.RECOVERING, w.now)
    if s.leave is not None:
        departure.begin(w, s, s.leave)
