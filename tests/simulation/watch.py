"""What must be true in a world of the simulation at every step, as daemon, clusters and players show it.

The ledger sees what is true of lines; here it is about sessions and entities. Each check raises Violation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from tests.model_cluster import Entity
from tests.simulation.goods import content_of
from tests.simulation.ledger import Gains, gains_of, has_all
from tests.simulation.promises import Violation
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.session import PLAYABLE, Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.to_client import Goodbye

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.world import SimulatedWorld
    from worlds.daemon.core.commerce import Verdict
    from worlds.daemon.core.state import World

SLACK_S = 1.1  # deadlines are looked at once per tick, and ticks are coarse when nothing is under way
WITHHOLD_S = 5.0 + 12.0  # rule 9, and how long news may take on a bus that loses
PUT_OUT_S = (110.0, 128.0)  # not earlier, not later: two minutes, by clocks that are wrong


def check_log(world: SimulatedWorld, event: str, fields: dict[str, object]) -> None:
    """The daemon says what it does."""
    if event == "cluster_lost":
        world.lost.add((fields["cluster"], fields["incarnation"]))
    if world.is_restored:
        return
    if event == "session_dropped":
        session = UUID(str(fields["session"]))
        if fields["reason"] == "stale" and session in world.leases:
            world.sim.ledger.check_put_out(world.life, *world.leases[session], str(fields["reason"]))
    elif event == "put_out_unsaved":
        since = failing_since(world, world.leases[UUID(str(fields["session"]))][0])
        if since is None or world.sim.now - since < PUT_OUT_S[0]:
            raise Violation("put out", f"{world.slug}: saves fail since {since}, it is {world.sim.now:.2f}")


def show(world: SimulatedWorld, entity: Entity, gains: Gains) -> None:
    """A player is shown gains that are durable."""
    s = world.core.world.sessions.get(entity.session) if world.core is not None else None
    if s is not None and s.writer is not None and not world.is_restored:
        world.sim.ledger.show(
            world.slug, s.head.line, s.head.epoch, gains, world.disk.gains.get(s.head.line, {})
        )


def failing_since(world: SimulatedWorld, line: UUID) -> float | None:
    """Return since when this process knows that a line cannot be saved."""
    since = [world.refused_since.get(line), world.disk.failing_since]
    return min((instant for instant in since if instant is not None), default=None)


def answered(world: SimulatedWorld, call: UUID, answer: object) -> None:
    """The daemon hears what became of a write, or of those of an exchange."""
    request = world.asked.get(call)
    if isinstance(answer, uplink.Lease) and call in world.core.world.calls:  # no second copy of it
        world.refused_since.pop(answer.line, None)  # a new session, of which nothing was refused
    if not isinstance(request, uplink.Save | uplink.Exchange):
        return
    if isinstance(answer, uplink.Exchanged) and answer.refusal is not None:
        return  # that exchange is not to be: it says nothing of saves
    if isinstance(answer, Unreachable) and not is_newest(world, call):
        return  # given up long ago: the daemon has asked again since
    if not is_awaited(world, call, request):
        return  # of an earlier attempt, or of an earlier write
    is_refused = isinstance(answer, uplink.Refusal) or (isinstance(answer, uplink.Saved) and answer.refusal)
    for write in request.writes if isinstance(request, uplink.Exchange) else [request]:
        if is_refused:
            world.refused_since.setdefault(write.line, world.sim.now)
        else:
            world.refused_since.pop(write.line, None)


def is_newest(world: SimulatedWorld, call: UUID) -> bool:
    """Whether a call is the newest attempt of a write or an exchange."""
    w = world.core.world
    heads = (s.head.call for s in w.sessions.values() if s.writer is not None)
    return call in heads or call in (exchange.call for exchange in w.exchanges.values())


def is_awaited(world: SimulatedWorld, call: UUID, request: uplink.Save | uplink.Exchange) -> bool:
    """Whether an answer is about something that the daemon still waits for."""
    w = world.core.world
    if isinstance(request, uplink.Exchange):
        return call in w.exchange_calls
    outstanding = (s.head.outstanding for s in w.sessions.values() if s.writer is not None)
    return any(write.offer.op_id == request.op_id for write in outstanding if write is not None)


def check_gives(world: SimulatedWorld, cluster: Cluster, entity: Entity) -> None:
    """Nobody gains anything that cannot be saved."""
    s = world.core.world.sessions.get(entity.session) if world.core is not None else None
    if s is None or s.phase not in PLAYABLE or s.writer is None or home_entity(world, s) is not entity:
        return
    since = failing_since(world, s.head.line)
    if since is None or world.is_restored or world.sim.now < world.paused_until:
        return
    playing_since = world.sim.now - (world.clock() - s.since) / world.clock_rate
    known_at = max(since, world.woke_at, cluster.paused_until, playing_since)
    if world.sim.now - known_at > WITHHOLD_S:
        raise Violation("given", f"{world.slug}: saves fail since {since:.2f}, it is {world.sim.now:.2f}")


def check_stays(world: SimulatedWorld, s: Session) -> None:
    """Nobody stays for minutes who cannot be saved."""
    if s.writer is None or s.phase not in PLAYABLE:
        return
    if s.head.is_idle and not s.is_dirty:
        world.refused_since.pop(s.head.line, None)  # there is nothing to save any more
    since = failing_since(world, s.head.line)
    if since is None or world.is_restored or not s.is_dirty:
        world.unsaved_since.pop(s.id, None)
        return
    known_at = world.unsaved_since.setdefault(s.id, world.sim.now)
    if world.sim.now - max(since, world.woke_at, known_at) > PUT_OUT_S[1]:
        raise Violation("stayed", f"{world.slug}: saves fail since {since:.2f}, {s.phase}")


def check_deadlines(world: SimulatedWorld) -> None:
    if world.core is None:
        return
    now, may_fail = world.clock(), bool(world.refused_since) or world.disk.failing_since is not None
    if not may_fail:
        world.unsaved_since.clear()
    for s in world.core.world.sessions.values():
        if may_fail:
            check_stays(world, s)
        # After a pause a state can begin when its time is over: that of recovering goes on from try to try.
        if s.deadline is not None and now > max(s.deadline, s.since) + SLACK_S:
            raise Violation("stuck", f"{world.slug}: in {s.phase} since {s.since:.2f}, it is {now:.2f}")


def is_rightful(world: SimulatedWorld, s: Session) -> bool:
    """Whether a session has its line's newest lease, and its memory is of this time."""
    grant = world.sim.ledger.grants.get(s.head.line)
    is_mine = grant is not None and (grant.life, grant.epoch) == (world.life, s.head.epoch)
    return is_mine and not grant.is_over and not world.is_restored


def check_admit(world: SimulatedWorld, m: bus.Admit) -> None:
    s = world.core.world.sessions[m.session]
    if not is_rightful(world, s):
        return
    state, head = gains_of(m.state), world.sim.ledger.head_of(s.head.line)
    if not has_all(state, head):
        raise Violation("admitted", f"{world.slug}: {s.phase} with {dict(state)}, the head has {dict(head)}")
    if s.phase in (Phase.ADMITTING, Phase.ARRIVING) and not has_all(head, state):
        raise Violation("admitted", f"{world.slug}: {s.phase} with {dict(state)}, the head has {dict(head)}")
    if s.exchange is None:
        check_goods(world, world.sim.ledger.named(s.head.line, s.head.epoch)[0], m.state, "admitted")
    world.sim.ledger.check_entry(s.head.line, m.state)
    source = home_entity(world, s)
    if s.phase is Phase.ARRIVING and source is not None and not has_all(state, gains_of(source.state)):
        lost = f"{dict(gains_of(source.state))}, taken along {dict(state)}"
        raise Violation("handoff", f"{world.slug}: the source has {lost}")


def check_settled(world: SimulatedWorld, entity: Entity) -> None:
    """Whoever was in an exchange goes on with the master's document."""
    s = world.core.world.sessions.get(entity.session) if world.core is not None else None
    if s is None or s.writer is None or not is_rightful(world, s) or s.exchange is not None:
        return
    line = world.sim.ledger.named(s.head.line, s.head.epoch)[0]
    if entity.after != world.sim.master.repository.lines[line].exchange:
        return  # older, and late: it will be told again
    check_goods(world, line, entity.state, "settled")


def note_exchanges(world: SimulatedWorld) -> None:
    """Look at how the exchanges end that have begun."""
    for exchange in world.core.world.exchanges.values():
        if exchange.parts and exchange.id not in world.exchanges:
            world.exchanges.add(exchange.id)
            exchange.on_end = told(world, exchange.id, exchange.on_end)


def told(world: SimulatedWorld, exchange: UUID, on_end: Callable[..., None]) -> Callable[..., None]:
    def tell(w: World, verdict: Verdict) -> None:
        world.sim.counts[f"exchange {verdict.code or 'done'}"] += 1
        if verdict.is_known and not world.is_restored and world.slug not in world.sim.ledger.excused:
            world.sim.ledger.goods.tell(exchange, is_done=verdict.is_done)
        on_end(w, verdict)

    return tell


def check_gains_stay(world: SimulatedWorld, entity: Entity, before: Gains) -> None:
    """Nothing that a player had gained is gone after an exchange."""
    s = world.core.world.sessions.get(entity.session) if world.core is not None else None
    if s is None or s.writer is None or not is_rightful(world, s) or home_entity(world, s) is not entity:
        return
    if not has_all(gains_of(entity.state), before):
        raise Violation("lost", f"{world.slug}: {dict(gains_of(entity.state))}, before {dict(before)}")


def check_goods(world: SimulatedWorld, line: UUID, state: CharacterState, kind: str) -> None:
    """A document says the same of exchanges as the head."""
    here, head = content_of(state).balance, world.sim.ledger.goods.contents[line].balance
    if here != head:
        raise Violation(kind, f"{world.slug}: with {here}, the head has {head}")


def check_remove(world: SimulatedWorld, name: str, m: bus.Remove) -> None:
    """Whoever leaves stands in the zone until the master has all, or is told that it has not."""
    s = world.core.world.sessions.get(m.session)
    if s is None or s.phase not in (Phase.FREEZING_OUT, Phase.SAVING_OUT):
        return
    entity = (
        home_entity(world, s) if s.home and (s.home.cluster, s.home.instance) == (name, m.instance) else None
    )
    if entity is not None and is_rightful(world, s):
        here, head = gains_of(entity.state), world.sim.ledger.head_of(s.head.line)
        if not has_all(head, here):
            raise Violation("removed", f"{world.slug}: {s.phase}, {dict(here)}, the head has {dict(head)}")


def home_entity(world: SimulatedWorld, s: Session) -> Entity | None:
    """Return the entity where a session is at home, if it is still that."""
    home = s.home
    cluster = world.clusters.get(home.cluster) if home is not None else None
    if home is None or cluster is None or cluster.incarnation != home.incarnation:
        return None
    entity = cluster.entities.get((s.id, home.instance))
    return entity if entity is not None and entity.stay == home.order else None


def is_lost(world: SimulatedWorld, cluster: Cluster | None) -> bool:
    """Whether a process is gone, or somebody else has taken over from it: what only it had is lost."""
    if cluster is None or cluster.world is not world:
        return False
    return not cluster.is_current or (cluster.name, cluster.incarnation) in world.lost


def check_goodbye(world: SimulatedWorld, links: list[int], goodbye: Goodbye) -> None:
    """Whoever is told that all is saved, and does not play on, must have all saved."""
    if world.core is None or not goodbye.is_saved or world.is_restored:
        return
    for link in links:
        player = world.gateway.players.get(link)
        if player is None or player.link != link or not player.has_entered or not player.zone_token:
            continue  # nothing was played on this link
        s = world.core.world.sessions.get(world.core.world.by_character.get(player.character))
        if s is not None and (s.phase in PLAYABLE or s.leave is None):
            continue  # taken over by another link
        if player.seen_as != (s.id if s is not None else None) and is_lost(world, player.seen_in):
            continue  # of an earlier session, that was not told so; the ledger looks at what was durable
        line = world.sim.line_of(player)
        if line is not None:
            world.sim.ledger.promise(line.id, player.seen)
