"""Does what other processes ask of the cluster: one function for each message of the bus.

Messages may come twice, late or not at all, so each of these may be repeated.
"""

from collections.abc import Callable
from typing import Any

import structlog
from msgspec import Struct

from zonecluster.daemon.announce import announce
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import CommandQueues
from zonecluster.daemon.holds import hold, line_is, settle
from zonecluster.daemon.moving import (
    activate_instance,
    begin_plain,
    begin_vacant,
    export_instance,
    import_instance,
    may_open_anew,
    resume_instance,
)
from zonecluster.daemon.players import Player, stand_in
from zonecluster.daemon.slow_handlers import handlers_off
from zonecluster.interest.visibility import LineOfSight
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice
from zonecluster.rules.character import health_fraction
from zonecluster.simulation.content import ZoneContent
from zonecluster.simulation.instance import InstanceFull, Stand, ZoneInstance

log = structlog.get_logger(__name__)

# What is raised in these is raised on the player's document.
ON_DOCUMENT = (bus.Freeze, bus.TakeCheckpoint, bus.Withhold, bus.Hold, bus.Settle, bus.LimitsAre)


class Requests:
    """Dispatches bus messages. None of them can stop the cluster."""

    def __init__(self, cluster: Cluster, queues: CommandQueues) -> None:
        self._cluster = cluster
        self._queues = queues

    def handle(self, message: Struct) -> None:
        """Do what one message asks."""
        cluster = self._cluster
        try:
            if isinstance(message, bus.SessionCommand):
                self._queues.put(message.session, message.command)
            elif getattr(message, "incarnation", 0) not in (0, cluster.incarnation):
                cluster.counters["for_another_incarnation"] += (
                    1  # meant for the process that died here before
                )
            elif self._is_outdated(message):
                cluster.counters["orders_outdated"] += 1
            else:
                HANDLERS[type(message)](cluster, message)
        except Exception as error:  # one message must not stop the zones of everybody
            if isinstance(message, ON_DOCUMENT) and self._put_out(message, error):
                return
            cluster.counters["requests_failed"] += 1
            session = getattr(message, "session", None)
            log.exception("request_failed", request=type(message).__name__, session=str(session))
            player = cluster.roster.find(session) if session is not None else None
            if player is not None:
                cluster.tell(player, Notice("Something went wrong on our side; it is logged.", "warning"))

    def _put_out(self, message: Any, error: Exception) -> bool:
        """Take out the player on whose document something was raised. Returns: whether there is one."""
        players = self._cluster.roster.of_session(message.session)
        stay = getattr(message, "stay", 0)
        of_stay = [player for player in players if stay in (0, player.stay)]
        for player in of_stay[:1]:
            self._cluster.poisoned(player, type(message).__name__.lower(), error)
        return bool(of_stay)

    def _is_outdated(self, message: Any) -> bool:
        """Whether this is an order about a session of which a newer one was here already."""
        order = getattr(message, "order", 0)
        return bool(order) and self._cluster.orders.is_outdated(message.session, order, self._cluster.clock())


# ---------------------------------------------------------------- instances


def open_instance(cluster: Cluster, message: bus.OpenInstance) -> None:
    """Answer for an instance that runs; else have the service load the zone's content."""
    running = cluster.instances.get(message.instance)
    if message.move and cluster.copies.is_over(message.instance, message.move):
        return  # late
    if running is not None and message.move:
        if fault := may_open_anew(cluster, message):
            instance_opened(cluster, message.instance, fault)
            return
        running = cluster.instances.get(message.instance)
    if running is None:
        if all(waiting.instance != message.instance for waiting in cluster.openings):
            cluster.openings.append(message)
    elif running.content.slug == message.zone:
        if not message.move:
            begin_plain(cluster, message.instance)
        instance_opened(cluster, message.instance)
    else:
        instance_opened(cluster, message.instance, f"instance {message.instance} runs {running.content.slug}")


def zone_loaded(
    cluster: Cluster,
    message: bus.OpenInstance,
    content: ZoneContent,
    sight: LineOfSight | None = None,
) -> None:
    """Open the instance whose content has come, and with it who is in sight there."""
    number = message.instance
    if number not in cluster.instances:
        cluster.open(number, content, sight)
        if message.is_again:  # what was in its chests may have been taken
            cluster.instances[number].goods.empty_chests()
        if message.move:
            begin_vacant(cluster, number, message.move)
        log.info("instance_opened", instance=number, zone=content.slug)
    elif not message.move:
        begin_plain(cluster, number)
    instance_opened(cluster, number)


def instance_opened(cluster: Cluster, number: int, error: str = "") -> None:
    """Answer OpenInstance."""
    cluster.to_daemon(bus.InstanceOpened(cluster.config.name, cluster.incarnation, number, error))


def close_instance(cluster: Cluster, message: bus.CloseInstance) -> None:
    """Stop an instance; one with players in it goes on."""
    instance = cluster.instances.get(message.instance)
    if instance is None:
        return
    if instance.player_count:
        log.warning("instance_not_closed", instance=message.instance, players=instance.player_count)
        return
    cluster.close(message.instance)
    log.info("instance_closed", instance=message.instance)


# ---------------------------------------------------------------- players come


def admit(cluster: Cluster, message: bus.Admit) -> None:
    """Take a player in, or say why not. The same request again gets the same answer."""
    if reports := cluster.reports.of_session(message.session):  # what they say is newer than this state
        for report in reports:
            cluster.to_daemon(report)
        return
    player = cluster.roster.find(message.session, message.instance)
    if player is not None and message.request in player.answers:
        _answer_with_token(cluster, player, message.request)
        return
    instance = cluster.instances.get(message.instance)
    reason = refusal(cluster, message, instance)
    if instance is not None and not reason:
        if player is not None:  # what stands there is older than what the daemon knows
            cluster.remove(player)
        try:
            stand = stand_in(message.state, cluster.config.world, instance.content.slug)
            health = health_fraction(message.state)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is of this one document; logged there)
            cluster.poisoned(message, "admit", error)
            return
        reason = _enter(cluster, message, instance, stand, health)
    if reason:
        cluster.to_daemon(bus.AdmitRefused(cluster.config.name, message.session, message.request, reason))
        log.info("admit_refused", session=str(message.session), reason=reason)


def refusal(cluster: Cluster, message: bus.Admit, instance: ZoneInstance | None) -> str:
    """Return why this player is not let in; empty: it is."""
    if cluster.is_stopping:
        return "the cluster is stopping"
    if instance is None:
        return f"instance {message.instance} is not open"
    if len(cluster.roster) >= cluster.config.max_players and cluster.roster.find(message.session) is None:
        return f"the cluster is full: {cluster.config.max_players} players are on it"
    return ""


def _enter(
    cluster: Cluster, message: bus.Admit, instance: ZoneInstance, stand: Stand | None, health: float
) -> str:
    """Stand the player in the instance and answer; returns why not, if it is full."""
    try:
        row = instance.admit(message.name, stand, health)
    except InstanceFull as full:
        return str(full)
    source = cluster.roster.active.get(message.session)
    if source is not None:  # a handoff within this cluster: the source waits for Remove or Thaw
        source.instance.freeze(source.row)
    player = cluster.roster.add(message, instance, row)
    log.info("admitted", session=str(message.session), instance=message.instance, name=message.name)
    _answer_with_token(cluster, player, message.request)
    return ""


def mint_token(cluster: Cluster, message: bus.MintToken) -> None:
    """Give a player who is here a fresh connect token."""
    player = cluster.roster.find(message.session)
    if player is None:
        cluster.unknown(message.session, message.request)
    else:
        _answer_with_token(cluster, player, message.request)


def _answer_with_token(cluster: Cluster, player: Player, request: Any) -> None:
    token = player.answers.get(request)
    if token is None:
        client_id, token = cluster.links.mint(player.session)
        cluster.roster.add_client(player, client_id)
        player.remember_answer(request, token)
    cluster.to_daemon(
        bus.Admitted(
            cluster.config.name, cluster.incarnation, player.session, request, player.entity(), token
        )
    )


def attach(cluster: Cluster, message: bus.Attach) -> None:
    """The player's world link is another one now, or gone."""
    roster = cluster.roster
    found = [each.get(message.session) for each in (roster.active, roster.leaving)]
    for player in filter(None, found):
        player.gateway, player.link = message.gateway, message.link
        player.update_links()
    if not any(found):
        cluster.unknown(message.session, None)


# ---------------------------------------------------------------- players go


def freeze(cluster: Cluster, message: bus.Freeze) -> None:
    """Stop changing a player and tell its state."""
    player = cluster.roster.find(message.session, message.instance)
    if player is None:
        cluster.unknown(message.session, message.request)
        return
    player.instance.freeze(player.row)
    state = player.document(cluster.config.world)
    session, request = message.session, message.request
    answer = bus.Frozen(cluster.config.name, session, request, state, player.serial, player.after)
    cluster.to_daemon(answer)


def thaw(cluster: Cluster, message: bus.Thaw) -> None:
    """Let a player go on here; an arrival of it elsewhere on this cluster is undone."""
    player = cluster.roster.leaving.get(message.session) or cluster.roster.active.get(message.session)
    if message.instance:
        player = cluster.roster.find(message.session, message.instance)
    if player is None:
        return
    for other in (cluster.roster.active.get(message.session), cluster.roster.leaving.get(message.session)):
        if other is not None and other is not player:
            cluster.remove(other)
    cluster.roster.reinstate(player)
    player.instance.thaw(player.row)
    cluster.record_arrival(player)
    if message.text:
        cluster.tell(player, Notice(message.text, "warning"))


def remove(cluster: Cluster, message: bus.Remove) -> None:
    """The player is elsewhere or gone."""
    for player in (cluster.roster.leaving.get(message.session), cluster.roster.active.get(message.session)):
        if player is not None and message.instance in (0, player.instance.number):
            cluster.remove(player)
            log.info("removed", session=str(message.session), instance=player.instance.number)
    if message.order:
        cluster.to_daemon(
            bus.Removed(cluster.config.name, cluster.incarnation, message.session, message.order)
        )


# ---------------------------------------------------------------- saves


def take_checkpoint(cluster: Cluster, message: bus.TakeCheckpoint) -> None:
    """Tell a player's state, to be saved."""
    player = cluster.roster.find(message.session)
    if player is None:
        cluster.unknown(message.session, None)
    else:
        cluster.checkpoint(player, message.kind)


def saved(cluster: Cluster, message: bus.Saved) -> None:
    """A checkpoint was accepted."""
    player = cluster.find_stay(message.session, message.stay)
    if player is not None:
        player.line = message.line or player.line
        player.saved(message.serial)
        cluster.tell_news(player, message.serial, is_accepted=True)


def journaled(cluster: Cluster, message: bus.Journaled) -> None:
    """A document is durable: what is new in it may be told."""
    player = cluster.find_stay(message.session, message.stay)
    if player is not None:
        cluster.tell_news(player, message.serial, is_accepted=False)


def withhold(cluster: Cluster, message: bus.Withhold) -> None:
    """The character cannot be saved, or can be again."""
    for player in cluster.roster.of_session(message.session):
        if message.order >= player.withhold_order:
            player.withhold_order = message.order
            player.withhold(message.is_on)


def limits_are(cluster: Cluster, message: bus.LimitsAre) -> None:
    """The account's edition allows more or less now: what waited for that is given at once."""
    for player in cluster.roster.of_session(message.session):
        player.hold_to(message.level_cap)
        cluster.record_arrival(player)


def silence(cluster: Cluster, message: bus.Silence) -> None:
    """The world's keepers have muted the player, or not any more."""
    for player in cluster.roster.of_session(message.session):
        player.silenced = message.text


def report_stored(cluster: Cluster, message: bus.ReportStored) -> None:
    """The daemon has a report on its disk."""
    cluster.reports.stored(message.session, message.stay)


def grouped(cluster: Cluster, message: bus.Grouped) -> None:
    """The player is in an alliance, or in none."""
    for player in cluster.roster.of_session(message.session):
        player.instance.set_group(player.row, message.group)


def hail(cluster: Cluster, message: bus.Hail) -> None:
    """A daemon began: tell it at once what is here."""
    announce(cluster)


def stand_down(cluster: Cluster, message: bus.StandDown) -> None:
    """Another process is this cluster: end."""
    log.error("stood_down", cluster=cluster.config.name, reason=message.reason)
    cluster.stood_down = message.reason


HANDLERS: dict[type, Callable[[Cluster, Any], None]] = {
    bus.OpenInstance: open_instance,
    bus.CloseInstance: close_instance,
    bus.ExportInstance: export_instance,
    bus.ImportInstance: import_instance,
    bus.ActivateInstance: activate_instance,
    bus.ResumeInstance: resume_instance,
    bus.Admit: admit,
    bus.MintToken: mint_token,
    bus.Attach: attach,
    bus.Freeze: freeze,
    bus.Thaw: thaw,
    bus.Remove: remove,
    bus.TakeCheckpoint: take_checkpoint,
    bus.Saved: saved,
    bus.Journaled: journaled,
    bus.Withhold: withhold,
    bus.Silence: silence,
    bus.Hold: hold,
    bus.Settle: settle,
    bus.LineIs: line_is,
    bus.LimitsAre: limits_are,
    bus.ReportStored: report_stored,
    bus.Grouped: grouped,
    bus.HandlersOff: handlers_off,
    bus.StandDown: stand_down,
    bus.Hail: hail,
}
