"""Which line a player plays, and why: told on the way in (Entered.line), and when it becomes a fork."""

from worlds.daemon.core.session import PLAYABLE, Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

WHY = {
    "tier": "This world is run by its own people, and the platform does not vouch for it.",
    "limited": "The platform's staff has limited this world.",
    "budget": "Your character gained more here than this world may give in so short a time; the platform's"
    " staff looks at it.",
    "": "This world goes on with the path that it has of your character, until you log out.",
}
FROM_NOW_ON = " From now on your character's progress counts in this world only, on a path of its own."
HERE_ONLY = " Your character's progress here counts in this world only, on a path of its own."
NOTHING_LOST = " Nothing is lost: the page of your character on the platform shows both."


def note_lease(s: Session, lease: uplink.Lease) -> None:
    """Remember which line the lease is about, and why."""
    s.line_kind, s.why_fork = lease.line_kind, lease.why_fork


def tell_line(w: World, s: Session) -> None:
    """Tell a player who comes in why this is not the character's main line, if it is not."""
    if s.line_kind == "fork":
        w.to_link(s.link, Notice(text=WHY[s.why_fork] + HERE_ONLY + NOTHING_LOST, level="info"))


def note_fork(w: World, s: Session, forked: uplink.Forked | None) -> None:
    """Tell the player, once, that the character has gone on to this world's own line."""
    if forked is None or s.line_kind == "fork":
        return
    s.line_kind, s.why_fork = "fork", forked.reason
    order(w, s)
    w.log("fell_to_fork", "warning", session=str(s.id), character=str(s.character), reason=forked.reason)
    w.to_link(s.link, Notice(text=WHY[forked.reason] + FROM_NOW_ON + NOTHING_LOST, level="warning"))


def order(w: World, s: Session) -> None:
    """Tell the cluster which line the player plays: what lies on the ground belongs to lines."""
    if s.home is not None:
        w.to_cluster(s.here.cluster, bus.LineIs(session=s.id, line=s.line_kind))


def compare(w: World, s: Session, resident: bus.Resident) -> None:
    """Say it again to a cluster that has it otherwise."""
    if s.phase in PLAYABLE and resident.line != s.line_kind:
        order(w, s)


def note_limit(w: World, is_limited: bool) -> None:
    """Tell the operator that the staff limited this world, or lifted that."""
    if is_limited != w.is_limited:
        w.is_limited = is_limited
        w.log("world_limited" if is_limited else "world_limit_lifted", "warning")


def note_trade(w: World, news: uplink.Reported) -> None:
    """Note what the staff has stopped: the world says so at once, and does not ask."""
    if news.is_trade_off != w.is_trade_off:
        w.log("trade_stopped" if news.is_trade_off else "trade_allowed", "warning")
    w.is_trade_off, w.kinds_off = news.is_trade_off, frozenset(news.kinds_off)
