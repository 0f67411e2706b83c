"""After a death: players of a dead cluster are admitted again; a restarted daemon finds out who is where.

A recovered player gets the newest state the daemon knows: the master's head, or a checkpoint on its way to
the master. The state waits for the master for up to five seconds, then is used as it is, while its write goes
on being repeated with the same op_id: nothing that a cluster reported is lost, and nothing older than the
head is ever admitted. The place is the last one the cluster reported (once a second).
"""

from worlds.daemon.core import (
    alliances,
    arrival,
    departure,
    editions,
    exchanges,
    handoff,
    muting,
    placement,
    standing,
    withholding,
)
from worlds.daemon.core.events import OpenSession
from worlds.daemon.core.saving import WriteHead, backoff
from worlds.daemon.core.session import GRACE_S, PLAYABLE, Phase, Session, Stay
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.to_client import Notice

P = Phase
SETTLE_S = 2.0  # after a daemon start: clusters report their players once a second
UNREPORTED_S = 6.0  # a living cluster that has not reported its players for so long is not waited for
COMMIT_WAIT_S = 5.0
RETURN_WAIT_S = 6.0
MISSES = 3  # Residents in a row without a player who should be there
REPAIR_AFTER_S = 2.0  # older than any report still under way
LOST = "This part of the world has to be set up again. You will be back in a moment."


# ---------------------------------------------------------------- a cluster died


def cluster_lost(w: World, cluster: str, incarnation: int) -> None:
    """A process is gone: all who were in it, or on the way into it, need another place."""
    w.log("cluster_lost", "warning", cluster=cluster, incarnation=incarnation)
    for s in list(w.sessions.values()):
        if s.target is not None and s.there.is_at(cluster, incarnation):
            target_lost(w, s)
        if s.id in w.sessions and s.home is not None and s.here.is_at(cluster, incarnation):
            home_lost(w, s)


def target_lost(w: World, s: Session) -> None:
    """The cluster that was to admit the player is gone."""
    match s.phase:
        case P.ADMITTING:
            s.target = None
            s.move(P.OPENING, w.now)
        case P.ARRIVING:
            handoff.arrival_failed(w, s)
        case P.RETURNING:
            handoff.returned(w, s)
        case P.READMITTING:
            again(w, s)
        case P.WITHDRAWING:
            departure.withdrawn(w, s)


def home_lost(w: World, s: Session) -> None:
    """The cluster that had the player is gone. `home` is kept: one that was only silent may come back."""
    s.mint = None
    match s.phase:
        case P.PLAYING | P.CROSSING | P.FREEZING | P.PAUSING:
            begin(w, s)
        case P.PAUSED:
            s.home = None  # as was meant
        case P.COMMITTING:
            s.place = s.goal  # what is being committed
            begin(w, s)
        case P.FREEZING_OUT:
            departure.freeze_missed(w, s)
        case P.REMOVING:
            departure.end(w, s)
        case P.RESTORING:
            s.home = None
            s.seen.clear()


def begin(w: World, s: Session) -> None:
    """Look for another place for a player."""
    s.had_gap = s.has_gap
    s.has_gap = s.has_gap or s.phase is not P.COMMITTING  # what is being committed was frozen: it is all
    s.move(P.RECOVERING, w.now)
    w.route(s, "")
    w.to_link(s.link, Notice(text=LOST, level="warning"))
    s.is_following, s.missed_portal = False, ""
    if s.leave is not None:
        departure.begin(w, s, s.leave)


def again(w: World, s: Session) -> None:
    """The instance did not take the player: try another, within the same two minutes.

    Should it still hear of the Admit, it hears that it is off; else it has a ghost until it reports it. Not
    if that process is dead and the player's own instance has the same name: were that the living one after
    all, it would lose the player.
    """
    target = s.target
    if target is not None:
        is_alive = w.clusters.is_alive(target.cluster, target.incarnation)
        home = s.home
        is_homes = home is not None and (home.cluster, home.instance) == (target.cluster, target.instance)
        if is_alive or not is_homes:
            departure.remove_once(w, s, target)
    s.target = None
    s.move(P.RECOVERING, w.now)
    if s.leave is not None:
        departure.begin(w, s, s.leave)


def recover(w: World, s: Session) -> None:
    """Admit the player again, once an instance is open and the newest state is safe, or has waited."""
    if s.exchange is not None or (not s.head.is_idle and w.now - s.since < COMMIT_WAIT_S):
        return  # nobody knows yet which document to admit
    if s.home is not None and w.clusters.is_alive(s.here.cluster, s.here.incarnation):
        if w.now - s.since < RETURN_WAIT_S:
            return  # the cluster was only silent: it is about to report the player
        s.home = None
    state = s.head.newest
    place = w.catalog.place_or_entry(s.place or state.places.get(w.catalog.world))
    if place is None:
        return
    instance = placement.open_instance(w, w.catalog.zones[place.zone], s)
    if instance is not None:
        arrival.ask_to_admit(w, s, P.READMITTING, instance, state, place)


# ---------------------------------------------------------------- what clusters report


def on_residents(w: World, m: bus.Residents) -> None:
    """Compare who is where with who should be where: remember places, repair what lost messages left."""
    if not w.is_loaded:
        return
    for resident in m.residents:
        s = w.sessions.get(resident.session)
        if s is None:
            _remove_ghost(w, m, resident)
        else:
            _on_resident(w, s, m, resident)
    cluster = w.clusters.by_name[m.cluster]
    if not cluster.hearing.add(m):
        return
    cluster.reports += 1
    for s in list(w.sessions.values()):
        is_home = s.home is not None and s.here.is_at(m.cluster, m.incarnation)
        if is_home and s.id not in cluster.hearing.present and s.phase in PLAYABLE:
            _missed(w, s)


def _on_resident(w: World, s: Session, m: bus.Residents, resident: bus.Resident) -> None:
    if s.phase is P.RESTORING:
        _seen_at_start(s, m, resident)
        return
    for stay in (s.target, s.home):
        if stay is not None and (stay.cluster, stay.instance) == (m.cluster, resident.instance):
            if stay is s.home and stay.is_at(m.cluster, m.incarnation) and resident.stay in (0, stay.order):
                if s.phase is P.READMITTING:  # too late: another instance may have the player by now
                    break
                _at_home(w, s, resident)
            return
    if s.home is not None and s.here.is_at(m.cluster, m.incarnation) and s.here.instance == resident.instance:
        s.home = None
    _remove_ghost(w, m, resident)


def _at_home(w: World, s: Session, resident: bus.Resident) -> None:
    s.misses = 0
    s.is_dirty = resident.is_dirty
    if s.phase is P.RECOVERING:  # the cluster was only silent: the player is still there
        s.has_gap = s.had_gap
        s.move(P.PLAYING, w.now)
        handoff.thaw(w, s)
        exchanges.settle_again(w, s)
        arrival.resume_play(w, s)
    if s.phase not in PLAYABLE:
        return
    zone = w.catalog.zone_of_instance(resident.instance)
    if zone is not None:
        s.place = Place(zone=zone.slug, position=resident.position, heading_deg=resident.heading_deg % 360)
    if w.now - s.since < REPAIR_AFTER_S or resident.stay == 0:
        return
    if resident.is_frozen and s.phase is P.PLAYING:
        handoff.thaw(w, s)
    withholding.compare(w, s, resident)
    exchanges.compare(w, s, resident)
    standing.compare(w, s, resident)
    alliances.compare(w, s, resident)
    muting.compare(w, s, resident)
    editions.compare(w, s, resident)
    is_attached = resident.link == (s.link.link if s.link else None)
    if not is_attached and w.now - s.attached_at > REPAIR_AFTER_S:
        arrival.attach(w, s)


def _missed(w: World, s: Session) -> None:
    """The cluster lives but does not have a player it should have."""
    if w.now - s.since < REPAIR_AFTER_S:
        return
    s.misses += 1
    if s.misses >= MISSES:
        w.log("player_missing", "error", session=str(s.id), cluster=s.here.cluster, instance=s.here.instance)
        s.home = None
        begin(w, s)


def _remove_ghost(w: World, m: bus.Residents, resident: bus.Resident) -> None:
    w.log("ghost_removed", session=str(resident.session), cluster=m.cluster, instance=resident.instance)
    order = bus.Remove(session=resident.session, instance=resident.instance, order=w.new_order())
    w.to_cluster(m.cluster, order)


# ---------------------------------------------------------------- the daemon was restarted


def load(w: World, rows: list[OpenSession]) -> None:
    """Take over the sessions of the last daemon: learn where they are, and get their leases anew."""
    w.is_loaded = True
    w.settle_until = w.now + SETTLE_S
    for row in rows:
        s = w.new_session(P.RESTORING)
        del w.sessions[s.id]
        s.id = row.id
        w.sessions[s.id] = s
        s.account, s.admission, s.character, s.name = row.account, row.admission, row.character, row.name
        s.edition, s.limits, s.is_recorded = row.edition, row.limits, True
        w.take_resume_tokens(s, row.resume_digest, row.proven_digest)
        s.known_stay, s.known_gap, s.known_line = row.stay, row.has_gap, row.line
        s.grace_until = w.now + SETTLE_S + GRACE_S
        w.by_character[s.character] = s.id
        ask_for_lease(w, s)
    w.log("sessions_loaded", sessions=len(rows))


def ask_for_lease(w: World, s: Session) -> None:
    """Ask for the lease, once what the dead daemon had under way is answered: a new epoch makes it stale."""
    if s.acquire_op is None and not w.is_replaying(s.character):
        w.begin_acquire(s)


def on_lease(w: World, s: Session, lease: uplink.Lease) -> None:
    """The lease is ours again, under a new epoch that fences the dead daemon."""
    s.writer = WriteHead.of_lease(lease)
    s.name, s.call = lease.name, None
    standing.note_lease(s, lease)
    s.saved_place = lease.state.places.get(w.catalog.world)
    if _is_written_elsewhere(s, lease):
        w.log("played_elsewhere_meanwhile", "warning", session=str(s.id), character=str(s.character))
        s.known_stay = w.new_order()  # every entity that stands here is a ghost, also for the next daemon
        s.home = None
        s.seen.clear()
    w.store_head(lease)
    w.update_row(s)


def _is_written_elsewhere(s: Session, lease: uplink.Lease) -> bool:
    """Whether the head is not what this world wrote last: what stands in a zone here is older than it.

    It is the world's own if the lease brings its receipt, or if nobody has written the line yet. Of a fork
    that has just begun nobody knows whether it began from what was played here.
    """
    return not lease.receipt and (lease.version > 1 or lease.line != s.known_line)


def on_lease_unanswered(w: World, s: Session) -> None:
    """The master is away: ask again, for as long as it takes; the player plays on."""
    s.failures += 1
    s.call, s.retry_at = None, w.now + backoff(s.failures, w.rng)


def _seen_at_start(s: Session, m: bus.Residents, resident: bus.Resident) -> None:
    if 0 < resident.stay < s.known_stay:
        return  # a ghost, older than what was saved since; it is removed when the player stands elsewhere
    known = s.seen.get((m.cluster, m.incarnation, resident.instance))
    if known is not None and (known.stay, known.serial) > (resident.stay, resident.serial):
        return  # older than what the cluster has said since
    s.seen[(m.cluster, m.incarnation, resident.instance)] = resident
    (cluster, incarnation, instance), best = max(s.seen.items(), key=lambda item: _newness(s, item[1]))
    s.home = Stay(cluster, incarnation, instance, best.stay)


def _newness(s: Session, resident: bus.Resident) -> tuple[bool, int]:
    """Return what the entity to go on with has most of, of all that clusters report of a player.

    Mostly that is the newest stay. But where the row has the player, and the cluster does not hold it frozen,
    no handoff is under way: a newer stay is of an arrival that was called off, and that a cluster heard of
    minutes later (found by the simulation, seed 5207).
    """
    return resident.stay == s.known_stay and not resident.is_frozen, resident.stay


def restore(w: World, s: Session) -> None:
    """Go on with the player, once the lease is there and the clusters have had time to report."""
    ask_for_lease(w, s)
    if s.retry_at is not None and w.now >= s.retry_at:
        s.retry_at = None
        w.ask_for_lease(s)
    if s.writer is None or w.now < w.settle_until or _is_unreported(w, s):
        return
    if s.home is None:
        s.place = s.saved_place
        begin(w, s)
        return
    resident = s.seen[(s.here.cluster, s.here.incarnation, s.here.instance)]
    s.seen.clear()
    s.copy = s.here.instance
    s.move(P.PLAYING, w.now)
    # What the dead daemon had under way is not known, so a new document is asked for. One that was sent
    # before is not taken any more: the dead daemon may have saved a newer one.
    s.serial, s.misses, s.is_dirty = resident.serial, 0, True
    # A cluster may have died shortly before the daemon: whoever came here after that, and has done nothing
    # since, may have seen more than there is now. Of a stay that is in the dead daemon's row it is known.
    s.has_gap = s.here.order > s.known_stay or (resident.serial == 0 and s.known_gap)
    s.checkpoint_at = w.now
    s.place_save_at = w.now + arrival.PLACE_SAVE_S
    zone = w.catalog.zone_of_instance(s.here.instance)
    if zone is not None:
        heading = resident.heading_deg % 360
        s.place = Place(zone=zone.slug, position=resident.position, heading_deg=heading)
    handoff.thaw(w, s)  # the dead daemon may have frozen it
    exchanges.compare(w, s, resident)  # or have had it held: the lease has told how that ended
    arrival.resume_play(w, s)
    alliances.rejoin(w, s, resident.group)
    w.update_row(s)
    if s.leave is not None:
        departure.begin(w, s, s.leave)


def _is_unreported(w: World, s: Session) -> bool:
    """Whether a living cluster has yet to say who is in it.

    A player who was found frozen may have been on the way into another cluster: all are heard twice.
    """
    if w.now > w.settle_until + UNREPORTED_S:
        return False
    needed = 1
    if s.home is not None:
        resident = s.seen[(s.here.cluster, s.here.incarnation, s.here.instance)]
        needed = 2 if resident.is_frozen else 0
    return any(cluster.reports < needed for cluster in w.clusters.alive())
