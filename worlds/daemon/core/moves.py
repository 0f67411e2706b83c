"""Live moves: an instance goes to another cluster with its creatures, its goods and everybody in it.

The target opens its copy, in which nothing stirs (*vacant*). The source stills its own and tells what is in
it (*exported*), the target takes that over. With Activate the target's copy becomes the instance: nobody was
in it before, so whatever fails until then undoes itself by stirring the source's copy again. From then on the
source's copy gives nothing any more, and each player follows by a handoff that ends where it began, a few at
a time. The daemon's row of the instance is all that says where it is: entries, portals and recoveries go
there, and whoever stands in another cluster's copy follows, also after a move that has ended or a restart of
this daemon.
"""

from worlds.daemon.core import handoff, placement
from worlds.daemon.core.clusters import Cluster, Instance
from worlds.daemon.core.moving import DEADLINES, Move, Stage
from worlds.daemon.core.session import Phase, Session
from worlds.daemon.core.state import REPEAT_S, World
from worlds.daemon.core.upkeep import MoveRow, MoveState, NoteMove, UpkeepLoaded
from zonecluster.protocol import bus

MOST_MOVES = 2  # at once
MOST_FOLLOWING = 16  # players on their way at once: each is a save, and the master has others to serve
AFTER_START_S = 8.0  # a restarted daemon first learns who is where
RETRY_S = 5.0  # after a failed move off a cluster that is to be emptied


# ---------------------------------------------------------------- what is asked for


def on_loaded(w: World, event: UpkeepLoaded) -> None:
    """Begin what staff and planner ask for, as far as there is room; end what a dead daemon has left."""
    w.ended_moves.forget_but({row.id for row in event.moves})
    under_way = {move.row for move in w.moves.values()}
    for row in event.moves:
        if row.id in under_way or not w.ended_moves.is_news(row.id) or not _is_settled(w):
            continue
        if row.state == "moving":
            _end_of_a_dead_daemons(w, row)
        else:
            _begin_row(w, row)


def _begin_row(w: World, row: MoveRow) -> None:
    zone = w.catalog.zones.get(row.zone)
    number = row.instance or (zone.instance() if zone is not None else 0)
    running = w.clusters.instances.get(number)
    fault = ""
    if zone is None:
        fault = f"The world has no zone {row.zone!r}."
    elif w.catalog.zone_of_instance(number) != zone:
        fault = f"Instance {number} is none of zone {row.zone!r}."
    elif row.target not in w.catalog.clusters:
        fault = f"The world has no cluster {row.target!r}."
    elif zone.is_pinned and row.target != zone.home_cluster:
        fault = f"The zone is pinned to {zone.home_cluster or 'its cluster'}."
    if fault or zone is None:
        _note_row(w, row, "failed", error=fault)
    elif running is None or running.cluster == row.target:
        w.clusters.placed[number] = row.target
        _note_row(w, row, "done")
    elif row.source not in ("", running.cluster):
        _note_row(w, row, "failed", error=f"It runs on {running.cluster} by now, not on {row.source}.")
    elif (fault := why_not(w, running, row.target)) and not _may_wait(w, row.target):
        _note_row(w, row, "failed", error=fault)
    elif not fault and len(_under_way(w)) < MOST_MOVES:
        w.clusters.placed[number] = row.target
        begin(w, running, row.target, row.reason, row.id)
        _note_row(w, row, "moving")


def _may_wait(w: World, target: str) -> bool:
    """Whether what hinders a move may pass; a cluster that is dead or full is not waited for."""
    cluster = w.clusters.by_name.get(target)
    is_there = cluster is not None and cluster.is_alive and target not in w.clusters.emptying
    return is_there and (not can_begin(w) or target in {move.target for move in w.moves.values()})


def _end_of_a_dead_daemons(w: World, row: MoveRow) -> None:
    """A move of the daemon before this one: players have been found where they are; say how it went."""
    running = w.clusters.instances.get(row.instance)
    if running is not None and running.cluster == row.target:
        players = sum(s.home is not None and s.here.instance == row.instance for s in w.sessions.values())
        _note_row(w, row, "done", players=players)
    else:
        where = running.cluster if running is not None else "no cluster"
        error = f"The world daemon was restarted meanwhile. The zone is on {where}."
        _note_row(w, row, "failed", error=error)


def _note_row(w: World, row: MoveRow, state: MoveState, *, players: int = 0, error: str = "") -> None:
    if state != "moving":
        w.ended_moves.add(row.id)
    running = w.clusters.instances.get(row.instance)
    source = row.source or (running.cluster if running is not None and state == "moving" else "")
    note = NoteMove(
        row.id,
        row.zone,
        row.instance,
        source,
        row.target,
        row.reason,
        state,
        players,
        error,
    )
    w.emit(note)


def empty(w: World, cluster: str, reason: str) -> None:
    """Have no instance on a cluster any more: none is opened there, and those that run there go elsewhere.

    It goes on until `fill`; `is_empty` says when it is done, `why_not_empty` what hinders it.
    """
    w.clusters.emptying[cluster] = reason


def fill(w: World, cluster: str) -> None:
    """Let instances be opened on a cluster again."""
    w.clusters.emptying.pop(cluster, None)


def is_empty(w: World, cluster: str) -> bool:
    """Whether a cluster runs no instance, and nobody is in it or on the way into it. A dead one is empty."""
    known = w.clusters.by_name.get(cluster)
    is_running = known is not None and known.is_alive and bool(known.instances)
    is_placed = any(row.cluster == cluster for row in w.clusters.instances.values())
    stays = [stay for s in w.sessions.values() for stay in (s.home, s.target) if stay is not None]
    is_used = any(
        stay.cluster == cluster and w.clusters.is_alive(cluster, stay.incarnation) for stay in stays
    )
    return not (is_running or is_placed or is_used)


def why_not_empty(w: World, cluster: str) -> str:
    """Return why the instances of a cluster cannot go elsewhere now; "": they can, or there are none."""
    if not can_begin(w):
        return "The master, the bus or the journal is away."
    for row in w.clusters.instances.values():
        if row.cluster == cluster and row.number not in w.moves and _target_for(w, row) is None:
            return f"No other cluster can take instance {row.number} of {row.zone}."
    return ""


def is_involved(w: World, number: int, cluster: str) -> bool:
    """Whether a cluster rightly runs a copy of an instance for the sake of a move."""
    move = w.moves.get(number)
    return move is not None and cluster in (move.source, move.target)


# ---------------------------------------------------------------- begin


def can_begin(w: World) -> bool:
    """Whether players could be handed off at all: that is a save each."""
    is_journal_up = w.journal_broken_since is None
    return w.is_master_up and w.is_bus_up and is_journal_up and not w.is_stopping and _is_settled(w)


def _is_settled(w: World) -> bool:
    return w.is_loaded and w.now >= w.settle_until + AFTER_START_S


def _under_way(w: World) -> list[Move]:
    return [move for move in w.moves.values() if move.stage is not Stage.RETURNING]


def why_not(w: World, row: Instance, target: str) -> str:
    """Return why an instance cannot go to a cluster now; "": it can."""
    cluster = w.clusters.by_name.get(target)
    if not can_begin(w):
        return "The master, the bus or the journal is away."
    if row.number in w.moves:
        return "It is under way already."
    if not row.is_open or not w.clusters.is_alive(row.cluster, row.incarnation):
        return "It is not open."
    if cluster is None or not cluster.is_alive:
        return f"Cluster {target} is not running."
    if not placement.is_usable(w, cluster, row.number):
        return f"Cluster {target} takes nothing now: it is full, disabled, or to be emptied."
    if not _has_room(w, cluster, row):
        return f"Cluster {target} has no room for everybody in it."
    return ""


def _has_room(w: World, cluster: Cluster, row: Instance) -> bool:
    coming = [row.number, *(move.number for move in w.moves.values() if move.target == cluster.name)]
    players = sum(
        stay is not None and stay.instance in coming and stay.cluster != cluster.name
        for s in w.sessions.values()
        for stay in (s.home,)
    )
    return cluster.players + players <= w.catalog.clusters[cluster.name].max_players


def _target_for(w: World, row: Instance) -> str | None:
    """Return where an instance of a cluster that is to be emptied goes: home, or to the fewest players."""
    zone = w.catalog.zones.get(row.zone)
    home = zone.home_cluster if zone is not None else ""
    able = [
        each
        for each in w.clusters.alive()
        if each.name != row.cluster and placement.is_usable(w, each, row.number) and _has_room(w, each, row)
    ]
    best = min(able, key=lambda each: (each.name != home, each.players, each.name), default=None)
    return best.name if best is not None else None


def begin(w: World, row: Instance, target: str, reason: str, of_row: int | None = None) -> None:
    """Begin a move for which `why_not` says nothing."""
    cluster = w.clusters.by_name[target]
    w.moves[row.number] = Move(
        number=row.number,
        zone=row.zone,
        source=row.cluster,
        source_incarnation=row.incarnation,
        target=target,
        target_incarnation=cluster.incarnation,
        reason=reason,
        row=of_row,
        order=w.new_order(),
        since=w.now,
    )
    w.log("move_begun", zone=row.zone, instance=row.number, source=row.cluster, target=target, reason=reason)


# ---------------------------------------------------------------- what clusters answer


def on_opened(w: World, m: bus.InstanceOpened) -> bool:
    """The target has its copy open, or says why not. Returns: whether that was meant for a move."""
    move = w.moves.get(m.instance)
    if move is None or (m.cluster, m.incarnation) != (move.target, move.target_incarnation):
        return False
    if move.stage is Stage.OPENING:
        if m.error:
            _fail(w, move, f"{move.target} cannot open it: {m.error}")
        else:
            move.go(Stage.EXPORTING, w.now)
            _drive(w, move)
    return move.stage is not Stage.FILLING


def on_exported(w: World, m: bus.InstanceExported) -> None:
    """The source has stilled its copy and tells what is in it."""
    move = w.moves.get(m.instance)
    is_it = move is not None and (m.move, m.cluster) == (move.order, move.source)
    if move is None or not is_it or move.stage is not Stage.EXPORTING:
        return
    move.cargo = m.cargo
    move.go(Stage.IMPORTING, w.now)
    _drive(w, move)


def on_imported(w: World, m: bus.InstanceImported) -> None:
    """The target has taken it over: from now on its copy is the instance."""
    move = w.moves.get(m.instance)
    is_it = move is not None and (m.move, m.cluster) == (move.order, move.target)
    if move is None or not is_it or move.stage is not Stage.IMPORTING:
        return
    if m.error:
        _fail(w, move, f"{move.target} cannot take it over: {m.error}")
        return
    old = w.clusters.instances.get(move.number)
    row = Instance(move.number, move.zone, move.target, move.target_incarnation, True, used_at=w.now)
    row.owner = old.owner if old is not None else ""
    w.clusters.instances[move.number] = row
    w.clusters.split.add((move.number, move.source))
    move.cargo, move.players = b"", len(_at_source(w, move))
    move.go(Stage.FILLING, w.now)
    _drive(w, move)


# ---------------------------------------------------------------- time


def step(w: World) -> None:
    """Ask again, give up what has lasted too long, begin what empties clusters, let players follow."""
    if not (w.moves or w.clusters.emptying or w.clusters.split):
        return
    for move in list(w.moves.values()):
        _watch(w, move)
    for cluster in list(w.clusters.emptying):
        _begin_emptying(w, cluster)
    _follow(w)


def _watch(w: World, move: Move) -> None:
    has_source = w.clusters.is_alive(move.source, move.source_incarnation)
    has_target = w.clusters.is_alive(move.target, move.target_incarnation)
    match move.stage:
        case Stage.RETURNING:
            if not has_source or w.now >= move.deadline or _has_returned(w, move):
                del w.moves[move.number]
                return
        case Stage.FILLING:
            if not has_target:
                _end(w, move, "failed", f"{move.target} has died. Its players are let in again.")
            elif not _at_source(w, move) and (not has_source or not _reports(w, move.source, move.number)):
                _end(w, move, "done")
            elif w.now >= move.deadline:
                left = len(_at_source(w, move))
                _end(w, move, "failed", f"{left} players are still on {move.source}; they go on following.")
            if move.number not in w.moves:
                return
        case _:
            if not has_source or not has_target:
                _fail(w, move, f"{move.target if has_source else move.source} has died.")
            elif w.now >= move.deadline:
                _fail(w, move, f"No answer in {DEADLINES[move.stage]:g} s ({move.stage}).")
    if move.number in w.moves and w.now - move.asked_at >= REPEAT_S:
        _drive(w, move)


def _drive(w: World, move: Move) -> None:
    """Ask for what the stage waits for."""
    move.asked_at = w.now
    number, order = move.number, move.order
    match move.stage:
        case Stage.OPENING:
            opening = bus.OpenInstance(instance=number, zone=move.zone, is_again=True, move=order)
            w.to_cluster(move.target, opening)
        case Stage.EXPORTING:
            w.to_cluster(move.source, bus.ExportInstance(instance=number, move=order))
        case Stage.IMPORTING:
            w.to_cluster(move.target, bus.ImportInstance(instance=number, move=order, cargo=move.cargo))
        case Stage.FILLING:
            target = w.clusters.by_name[move.target]
            if number in target.vacant or w.now - move.since < REPEAT_S:
                w.to_cluster(move.target, bus.ActivateInstance(instance=number, move=order))
            if not _at_source(w, move):
                w.to_cluster(move.source, bus.CloseInstance(instance=number))
        case Stage.RETURNING:
            w.to_cluster(move.source, bus.ResumeInstance(instance=number, move=order))
            w.to_cluster(move.target, bus.CloseInstance(instance=number))


def _at_source(w: World, move: Move) -> list[Session]:
    return [
        s
        for s in w.sessions.values()
        if any(
            stay is not None
            and stay.instance == move.number
            and stay.is_at(move.source, move.source_incarnation)
            for stay in (s.home, s.target)
        )
    ]


def _reports(w: World, cluster: str, number: int) -> bool:
    return number in w.clusters.by_name[cluster].instances


def _has_returned(w: World, move: Move) -> bool:
    source = w.clusters.by_name[move.source]
    is_closed = move.number not in w.clusters.by_name[move.target].instances
    return w.now - move.since >= REPEAT_S and is_closed and move.number not in source.exported


def _fail(w: World, move: Move, error: str) -> None:
    """Undo what was begun: the instance is where it was, and nobody has noticed."""
    _note(w, move, "failed", error=error)
    move.cargo = b""
    w.clusters.refused[(move.number, move.target)] = w.now + RETRY_S
    move.go(Stage.RETURNING, w.now)
    _drive(w, move)


def _end(w: World, move: Move, state: MoveState, error: str = "") -> None:
    del w.moves[move.number]
    left = len(_at_source(w, move))
    _note(w, move, state, players=max(move.players - left, 0), error=error)


def _note(w: World, move: Move, state: MoveState, *, players: int = 0, error: str = "") -> None:
    if move.row is not None:
        w.ended_moves.add(move.row)
    if state != "done":
        w.clusters.placed.pop(move.number, None)
    names = (move.row, move.zone, move.number, move.source, move.target, move.reason)
    w.emit(NoteMove(*names, state, players, error))
    level = "info" if state == "done" else "warning"
    w.log(f"move_{state}", level, instance=move.number, target=move.target, players=players, error=error)
    w.counts[f"moves_{state}"] += 1


def _begin_emptying(w: World, cluster: str) -> None:
    if not can_begin(w):
        return
    for row in list(w.clusters.instances.values()):
        if len(_under_way(w)) >= MOST_MOVES:
            return
        if row.cluster != cluster or row.number in w.moves:
            continue
        if not row.is_open:
            if w.clusters.is_alive(row.cluster, row.incarnation):
                w.to_cluster(row.cluster, bus.CloseInstance(instance=row.number))
            del w.clusters.instances[row.number]  # whoever waits for it gets one elsewhere
        elif (target := _target_for(w, row)) is not None and not why_not(w, row, target):
            begin(w, row, target, w.clusters.emptying[cluster])


# ---------------------------------------------------------------- whoever is left behind follows


def _follow(w: World) -> None:
    if not w.clusters.split or not can_begin(w):
        return
    room = MOST_FOLLOWING - sum(handoff.is_following(s) for s in w.sessions.values())
    for s in w.sessions.values():
        if room <= 0:
            return
        if _is_left_behind(w, s):
            handoff.follow(w, s)
            room -= 1


def _is_left_behind(w: World, s: Session) -> bool:
    """Whether a player is in another copy than the instance's, and free to go over."""
    if s.phase is not Phase.PLAYING or s.home is None or s.leave is not None or w.now < s.no_handoff_until:
        return False
    if s.exchange is not None or s.is_unsettled or s.is_withheld or s.place is None:
        return False
    row = w.clusters.instances.get(s.here.instance)
    if row is None or row.zone not in w.catalog.zones:
        return False
    return row.is_open and not s.here.is_at(row.cluster, row.incarnation)


# ---------------------------------------------------------------- copies that were stilled and forgotten


def on_reported(w: World, cluster: Cluster) -> None:
    """Stir an instance that was stilled for a move which nobody knows of any more.

    What lay there is given up: the target of that move may have shown it. (A move that this daemon has ended
    itself is in RETURNING until the source has heard, and loses nothing.)
    """
    if not _is_settled(w):
        return
    for number in cluster.exported:
        row = w.clusters.instances.get(number)
        is_here = row is not None and (row.cluster, row.incarnation) == (cluster.name, cluster.incarnation)
        if is_here and number not in w.moves:
            order = bus.ResumeInstance(instance=number, move=w.new_order(), is_emptied=True)
            w.to_cluster(cluster.name, order)
