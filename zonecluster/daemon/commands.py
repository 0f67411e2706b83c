"""Runs players' commands: a bounded queue for each, served in turns by CPU time, within each one's budget."""

from collections.abc import Callable
from time import thread_time_ns
from typing import get_args
from uuid import UUID

import structlog

from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.goods import change_goods, tell_inventory, tell_wares
from zonecluster.daemon.players import Asked, Player
from zonecluster.daemon.spellcasting import cast, select
from zonecluster.protocol.bus import PortalEntered
from zonecluster.protocol.from_client import (
    Cast,
    ChangeOfGoods,
    Command,
    Describe,
    Inventory,
    Look,
    Say,
    Select,
    UsePortal,
    Wares,
)
from zonecluster.protocol.to_client import (
    ENTITY_KINDS,
    Described,
    Exit,
    Heard,
    NearbyEntity,
    RefusalCode,
    Refused,
    Result,
    Surroundings,
)
from zonecluster.rules.budget import grant
from zonecluster.rules.speech import clean_speech
from zonecluster.rules.turns import Turns
from zonecluster.simulation.instance import Sight

log = structlog.get_logger(__name__)

MAX_WAITING = 32  # commands of one player; more are refused
MAX_WAIT_S = 5.0  # then a command is refused: the player learns more from that than from silence
ON_DOCUMENT = Inventory | ChangeOfGoods  # what is raised in these is raised on the player's document
BUDGET_NS = 15_000_000  # CPU time for commands in one tick: 30 % of it; the rest waits for the next
# Of it, for those whose own budget is used up: the others cannot keep them waiting for ever.
RESERVED_NS = 2_500_000
ROOM_TO_SPARE = 0.75  # of a tick's time: ticks that take less leave something to be borrowed
LENT_MORE_NS = 250_000  # in each tick
KINDS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(Command)}


class CommandQueues:
    """Commands that wait, by player, served in turns by CPU time (rules/turns.py).

    First those whose budget is not used up. The others get what is left, as far as the core would be idle:
    that is borrowed from nobody and costs them nothing.
    """

    def __init__(self, cluster: Cluster, clock_ns: Callable[[], int] = thread_time_ns) -> None:
        self._cluster = cluster
        self._clock_ns = clock_ns
        self._turns: Turns[Player, Asked] = Turns()
        self._granted = 0.0  # to each player, ns in a second
        self._now = 0.0
        self._swept_at = 0.0
        self._lent_ns = BUDGET_NS  # in a tick, to those whose budget is used up
        self._early_ns = 0  # spent since the last tick, of what the next one has

    def put(self, session: UUID, command: Command) -> None:
        """Queue a command; refused at once where the player may not act or has too much waiting."""
        player = self._cluster.roster.find(session)
        if player is None:
            self._cluster.unknown(session, None)
            return
        self._cluster.accounts.note_asked(player.row)
        if player.is_frozen:
            reason = "You are between two places just now."
            self._refuse(player, command, "not_now", reason, "Try again in a moment.")
        elif KINDS[type(command)] in self._cluster.handlers.off:
            self._cluster.counters["commands_off"] += 1
            reason = f"{KINDS[type(command)]!r} takes too long on this world just now and is switched off."
            self._refuse(player, command, "not_now", reason, "The world's staff knows; try it again later.")
        elif len(player.commands) >= MAX_WAITING:
            self._refuse_for_haste(player, command, f"{MAX_WAITING} of your commands are waiting already.")
        else:
            self._turns.put(player.commands, Asked(command, self._cluster.clock()))

    def run_early(self) -> None:
        """Between two ticks: run what waits of those who have budget, on the account of the next tick.

        Most commands are answered by this, at once instead of after half a tick.
        """
        if len(self._turns):
            self._serve_those_with_budget()

    def run(self) -> None:
        """Run what waits, in turns, until nothing does or the tick's budget is spent."""
        if len(self._turns):
            self._serve_all()
        self._early_ns = 0

    def _serve_those_with_budget(self) -> None:
        self._now, self._granted = self._cluster.clock(), grant(len(self._cluster.roster))
        left = BUDGET_NS - RESERVED_NS - self._early_ns
        self._early_ns += self._turns.serve(left, self._run_on_budget, self._has_budget)

    def _serve_all(self) -> None:
        self._serve_those_with_budget()
        self._learn_what_is_idle()
        left = min(BUDGET_NS - self._early_ns, RESERVED_NS + self._lent_ns)
        self._turns.serve(left, self._run_one)
        if self._now - self._swept_at >= 1.0 or self._now < self._swept_at:
            self._swept_at = self._now
            self._refuse_overdue()

    def _learn_what_is_idle(self) -> None:
        """Lend more while ticks have room to spare, half as much as soon as they have not.

        By wall time: what this process leaves idle another may use, and time shall go slower for nobody.
        """
        pace = self._cluster.pace
        if pace.dilation == 1 and pace.tick_ms < ROOM_TO_SPARE * pace.dt * 1000:
            self._lent_ns = min(self._lent_ns + LENT_MORE_NS, BUDGET_NS)
        else:
            self._lent_ns //= 2

    def _has_budget(self, player: Player) -> bool:
        player.bucket.fill(self._now, self._granted, self._cluster.accounts.tick_ns_of(player.row))
        return not player.bucket.is_empty

    def _run_on_budget(self, player: Player, asked: Asked) -> int:
        """Run one command and take what it took out of the player's budget."""
        took = self._run_one(player, asked)
        player.bucket.take(took)
        return took

    def _run_one(self, player: Player, asked: Asked) -> int:
        """Run one command, whatever it does, on the player's account; returns the CPU time it took, in ns."""
        before, command = self._clock_ns(), asked.command
        try:
            run_command(self._cluster, player, command)
        except Exception as error:  # one player's command must not stop the zone for the others
            if isinstance(command, ON_DOCUMENT):
                where = f"command:{type(command).__name__.lower()}"
                self._cluster.poisoned(player, where, error)
                return self._account(player, command, before)
            self._cluster.counters["commands_failed"] += 1
            log.exception("command_failed", session=str(player.session), command=type(command).__name__)
            self._refuse(
                player,
                command,
                "not_now",
                "That went wrong on our side.",
                "It is logged; try something else.",
            )
        return self._account(player, command, before)

    def _account(self, player: Player, command: Command, before: int) -> int:
        took = self._clock_ns() - before
        player.cpu_ns += took
        player.commands_run += 1
        self._cluster.accounts.note_command(player.row, took)
        self._cluster.handlers.note(KINDS[type(command)], took)
        self._cluster.counters["commands"] += 1
        return took

    def _refuse_overdue(self) -> None:
        """Refuse what has waited for too long."""
        for queue in self._turns:
            while queue.work and self._now - queue.work[0].at > MAX_WAIT_S:
                reason = f"This zone had no time for it for {MAX_WAIT_S:g} s."
                self._refuse_for_haste(queue.owner, queue.work.popleft().command, reason)

    def _refuse_for_haste(self, player: Player, command: Command, reason: str) -> None:
        """Refuse a command of somebody who gives more of them than there is time for."""
        self._cluster.counters["commands_too_fast"] += 1
        if player.bucket.is_empty:
            self._cluster.counters["commands_over_budget"] += 1
            reason = f"{reason} Your share of its computing time is used up."
        self._refuse(player, command, "too_fast", reason, "Wait for the answers, then send more.")

    def _refuse(self, player: Player, command: Command, code: RefusalCode, reason: str, advice: str) -> None:
        self._cluster.tell(player, Refused(code, reason, advice, command.seq))


def run_command(cluster: Cluster, player: Player, command: Command) -> None:
    """Run one command of a player who is here and not frozen."""
    match command:
        case _ if player.is_frozen:  # frozen while the command waited
            cluster.tell(player, Result(command.seq, False, "You are between two places just now."))
        case Say():
            say(cluster, player, command)
        case Look():
            look(cluster, player, command)
        case Describe():
            sights = player.instance.describe(player.row, command.entities)
            cluster.tell(player, Described(command.seq, list(map(_nearby, sights))))
        case UsePortal():
            use_portal(cluster, player, command)
        case Select():
            select(cluster, player, command)
        case Cast():
            cast(cluster, player, command)
        case Inventory():
            tell_inventory(cluster, player, command)
        case Wares():
            tell_wares(cluster, player, command)
        case _:
            change_goods(cluster, player, command)


def say(cluster: Cluster, player: Player, command: Say) -> None:
    """Let everybody within earshot hear it."""
    if player.silenced:
        cluster.tell(player, Result(command.seq, False, player.silenced))
        return
    text = clean_speech(command.text)
    if not text:
        cluster.tell(
            player, Result(command.seq, False, "There was nothing to say: no letter of it can be shown.")
        )
        return
    rows = player.instance.hearers(player.row).tolist()
    hearers = [hearer for row in rows if (hearer := cluster.roster.at_row(row)) is not None]
    cluster.tell_all(hearers, Heard(player.name, player.entity(), text))
    cluster.tell(player, Result(command.seq, True, "" if hearers else "Nobody is near enough to hear you."))


def look(cluster: Cluster, player: Player, command: Look) -> None:
    """Tell the player of the zone, of who is near, and of the ways out."""
    content = player.instance.content
    x, y, z = player.instance.stand_of(player.row).position
    exits = [
        Exit(each.slug, each.label, each.target_zone, each.x, each.y, each.radius, each.edition)
        for each in content.links
    ]
    nearby = list(map(_nearby, player.instance.nearby(player.row)))
    message = Surroundings(
        seq=command.seq,
        zone=content.slug,
        zone_name=content.name,
        description=content.description,
        x=x,
        y=y,
        z=z,
        nearby=nearby,
        exits=exits,
    )
    cluster.tell(player, message)


def use_portal(cluster: Cluster, player: Player, command: UsePortal) -> None:
    """Ask the daemon to take the player through a portal it stands in."""
    link = player.instance.link_at(player.row, command.link)
    if link is None:
        known = {each.slug: each.label for each in player.instance.content.links}
        if command.link in known:
            text = f"You are too far from it. Walk up to: {known[command.link]}."
        else:
            text = f"There is no way {command.link!r} here. Ways out: {', '.join(known) or 'none'}."
        cluster.tell(player, Result(command.seq, False, text))
    elif not player.instance.use_portal(player.row, link):
        cluster.tell(player, Result(command.seq, False, "You are on your way already."))
    else:
        cluster.to_daemon(PortalEntered(cluster.config.name, player.session, link.slug, player.stay))
        cluster.tell(player, Result(command.seq, True, f"You take the way: {link.label}."))


def _nearby(sight: Sight) -> NearbyEntity:
    return NearbyEntity(sight.entity, sight.name, ENTITY_KINDS[sight.kind], round(sight.distance, 1))
