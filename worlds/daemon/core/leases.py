"""The world's standing with the master: leases renewed in batches, reports, and the news they bring."""

from uuid import UUID

from worlds.daemon.core import (
    departure,
    doors,
    editions,
    mail,
    maintenance,
    motd,
    muting,
    orders,
    reoffers,
    restart_telling,
    standing,
)
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.saving import backoff
from worlds.daemon.core.session import GOING, Phase
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink

RENEW_S = 30.0  # leases run for 120 s: three renewals may fail
REPORT_S = 5.0


def renew(w: World) -> None:
    """Prolong all leases, one batch (or a few, of 500) each 30 s."""
    if w.now < w.renew_at:
        return
    w.renew_at = w.now + RENEW_S
    refs = [s.head.lease for s in w.sessions.values() if s.writer is not None and s.phase not in GOING]
    for start in range(0, len(refs), uplink.MAX_BATCH):
        w.renew_calls.add(w.call(None, uplink.Renew(leases=refs[start : start + uplink.MAX_BATCH])))


def on_renewed(w: World, call: UUID, answer: uplink.Renewed | uplink.Refusal | Unreachable) -> None:
    """Drop what is lost; ask again soon if there was no answer."""
    w.renew_calls.discard(call)
    if isinstance(answer, uplink.Refusal):
        w.log("renew_refused", "error", code=answer.code, cause=answer.detail)
    if not isinstance(answer, uplink.Renewed):
        w.renew_at = min(w.renew_at, w.now + backoff(6, w.rng))
        return
    lost = {(ref.line, ref.epoch) for ref in answer.lost}
    for s in list(w.sessions.values()):
        is_lost = s.writer is not None and (s.head.line, s.head.epoch) in lost
        if is_lost and s.phase not in GOING:
            departure.drop(w, s, departure.STALE)


def report(w: World) -> None:
    """Tell the master that the world is up."""
    if w.now < w.report_at or w.report_call is not None:
        return
    w.report_at = w.now + REPORT_S
    clusters = [
        uplink.ClusterReport(name=c.name, is_alive=c.is_alive, players=c.players, tick_ms=c.tick_ms)
        for c in sorted(w.clusters.by_name.values(), key=lambda c: c.name)
    ]
    message = uplink.Report(
        gateway_url=w.catalog.gateway_url,
        started_at=w.started_at,
        clusters=clusters,
        maintenance=maintenance.own_text(w),
        restart=restart_telling.planned(w),
        doors=doors.offered(w),
        zones=doors.open_zones(w),
        done=orders.ended(w),
        policy=w.upkeep.policy if w.upkeep is not None else None,
        waiting=editions.waiting_accounts(w),
    )
    w.report_call = w.call(None, message)


def on_reported(w: World, answer: uplink.Reported | uplink.Refusal | Unreachable) -> None:
    """News of the master: suspension, bans, editions."""
    w.report_call = None
    if isinstance(answer, uplink.Refusal):
        w.log("report_refused", "error", code=answer.code, cause=answer.detail)
        is_suspended = answer.code == "world_suspended"
    elif isinstance(answer, Unreachable):
        return
    else:
        is_suspended = answer.is_suspended
        standing.note_limit(w, answer.is_limited)
        standing.note_trade(w, answer)
        w.life.master_maintenance = answer.maintenance
        w.wants_doors = answer.wants_doors
        orders.on_orders(w, answer.orders)
        motd.on_site(w, answer.motd)
        mail.on_news(w, answer.letters)
        _take_news(w, answer.accounts)
        reoffers.on_reported(w, answer)
    if is_suspended != w.is_suspended:
        w.is_suspended = is_suspended
        w.log("world_suspended" if is_suspended else "world_lifted", "warning")
    if is_suspended:
        for s in list(w.sessions.values()):
            if s.leave is None:
                departure.begin(w, s, departure.SUSPENDED)


def _take_news(w: World, accounts: list[uplink.AccountNews]) -> None:
    news = {one.account: one for one in accounts}
    for s in list(w.sessions.values()):
        one = news.get(s.account) if s.account else None
        if one is None:
            continue
        if one.is_banned and s.leave is None:
            w.log("account_banned", "warning", session=str(s.id))
            here = departure.Leave("banned here", one.banned_for) if one.banned_for else departure.BANNED
            departure.begin(w, s, here)
        elif s.phase is not Phase.ENDED:
            muting.on_news(w, s, one.mute)
            editions.on_news(w, s, one)
