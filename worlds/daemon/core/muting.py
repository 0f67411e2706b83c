"""Muted players: what they say is heard by nobody in this world, for as long as its keepers want it.

The master says who is, on the way in and with each report. Speech nearby runs in the cluster, which is told;
what the daemon carries itself (letters, channels) asks `refusal`.
"""

from datetime import UTC

from worlds.daemon.core.session import PLAYABLE, Session
from worlds.daemon.core.state import World
from worlds.uplink.orders import Mute
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

OVER = "You can be heard again."


def on_news(w: World, s: Session, mute: Mute | None) -> None:
    """The master has said whether this player is muted. Told when it changes."""
    before, was_known = s.mute, s.is_mute_known
    s.mute, s.is_mute_known = mute, True
    if mute == before and was_known:
        return
    if mute is not None:
        w.to_link(s.link, Notice(text_of(mute), "warning"))
    elif before is not None:
        w.to_link(s.link, Notice(OVER))
    if s.phase in PLAYABLE:
        order(w, s)


def text_of(mute: Mute) -> str:
    """Return what the player is told."""
    why = f": {mute.reason}" if mute.reason else "."
    until = "" if mute.until is None else f" until {mute.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"The people who run this world have muted you{until}{why}"


def refusal(s: Session) -> str | None:
    """Return why this player may not say anything; None: they may."""
    return None if s.mute is None else text_of(s.mute)


def order(w: World, s: Session) -> None:
    """Tell the cluster; what Residents say shows whether it has heard."""
    if s.home is not None and s.is_mute_known:
        text = "" if s.mute is None else text_of(s.mute)
        w.to_cluster(s.here.cluster, bus.Silence(session=s.id, text=text))


def compare(w: World, s: Session, resident: bus.Resident) -> None:
    """Say it again to a cluster that has it otherwise; a young daemon first hears of it by a report."""
    if s.phase in PLAYABLE and s.is_mute_known and resident.is_silenced != (s.mute is not None):
        order(w, s)
