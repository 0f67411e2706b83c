"""What an account's edition lets its player do here. It changes under the player, without a new log-in.

The master tells it with the admission, and again with each answer to a report: of whoever is in play, and of
whoever chooses a character or waits for a place. What an edition allows is not known here, only its limits.
Who is in a premium zone when the edition ends stays there until leaving it.
"""

from uuid import UUID

from msgspec.structs import replace

from worlds.daemon.core import departure, queueing
from worlds.daemon.core.catalog import ZoneInfo
from worlds.daemon.core.session import PLAYABLE, Failure, Phase, Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.to_client import EditionIs, Notice

P = Phase
WITHOUT_LEASE = (P.WELCOMED, P.WAITING, P.QUEUED)  # of others the master knows by the lease
CHANGED = "Your account is now {edition}. Its limits hold from this moment."
BARRED = "{zone} is for Premium. You can upgrade on the website: the way is open to you seconds later."
BEGIN_ELSEWHERE = "{zone} is for Premium, so you begin in {entry}."
ALL_PREMIUM = Failure(
    "world_unavailable",
    "All zones of this world are for Premium.",
    "Upgrade on the website, or choose another world.",
)


def waiting_accounts(w: World) -> list[UUID]:
    """Return whose standing the next report asks about, besides those in play: the longest not asked."""
    asking = [s for s in w.sessions.values() if s.account is not None and s.phase in WITHOUT_LEASE]
    asking = sorted(asking, key=lambda s: s.asked_at)[: uplink.MAX_BATCH]
    for s in asking:
        s.asked_at = w.now
    return sorted({s.account for s in asking if s.account is not None})


def on_news(w: World, s: Session, news: uplink.AccountNews) -> None:
    """Take what the master says of the account now."""
    before = s.characters
    if news.locked is not None:
        over = frozenset(news.locked)
        s.characters = [replace(each, is_locked=each.id in over) for each in before]
    if not take(w, s, news.edition, news.limits) and s.characters != before:
        tell(w, s)


def take(w: World, s: Session, edition: str, limits: uplink.Limits) -> bool:
    """Have this edition and its limits from now on. Returns: whether that is news."""
    if (edition, limits) == (s.edition, s.limits):
        return False
    is_other_edition = edition != s.edition
    s.edition, s.limits = edition, limits
    order(w, s)
    queueing.follow_limits(w, s)
    tell(w, s)
    if is_other_edition:
        w.to_link(s.link, Notice(text=CHANGED.format(edition=edition.title())))
    w.update_row(s)
    return True


def tell(w: World, s: Session) -> None:
    """Tell the client what holds now."""
    message = EditionIs(
        edition=s.edition,
        level_cap=s.limits.level_cap,
        may_enter_premium_zones=s.limits.may_enter_premium_zones,
        locked=[each.id for each in s.characters if each.is_locked],
    )
    w.to_link(s.link, message)


def order(w: World, s: Session) -> None:
    """Tell the cluster; what Residents say shows whether it has heard."""
    if s.home is not None:
        w.to_cluster(s.here.cluster, bus.LimitsAre(session=s.id, level_cap=s.limits.level_cap))


def compare(w: World, s: Session, resident: bus.Resident) -> None:
    """Say it again to a cluster that has it otherwise."""
    if s.phase in PLAYABLE and resident.level_cap != s.limits.level_cap:
        order(w, s)


# ---------------------------------------------------------------- premium zones


def may_enter(s: Session, zone: ZoneInfo) -> bool:
    """Whether the player is let into a zone."""
    return s.limits.may_enter_premium_zones or not zone.is_premium


def why_barred(zone: ZoneInfo) -> str:
    """Tell who has to stay on this side of a portal why, and what to do."""
    return BARRED.format(zone=zone.name)


def place_for(w: World, s: Session, place: Place | None) -> Place | None:
    """Return where the player may come in: there, or where everybody may; None: there is no such zone."""
    zone = w.catalog.zones.get(place.zone) if place is not None else None
    if zone is None or may_enter(s, zone):
        return place
    entry = w.catalog.free_entry_zone()
    if entry is None:
        departure.abort_entry(w, s, ALL_PREMIUM)
        return None
    w.to_link(s.link, Notice(text=BEGIN_ELSEWHERE.format(zone=zone.name, entry=entry.name)))
    return entry.entry
