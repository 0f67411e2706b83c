"""Runs players' commands: a bounded queue for each, served in turns, its CPU time measured and kept."""

from collections import deque
from collections.abc import Callable
from time import thread_time_ns
from uuid import UUID

import structlog

from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.goods import change_goods, tell_inventory, tell_wares
from zonecluster.daemon.players import Player
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
from zonecluster.rules.speech import clean_speech
from zonecluster.simulation.instance import Sight

log = structlog.get_logger(__name__)

MAX_WAITING = 32  # commands of one player; more are refused
ON_DOCUMENT = Inventory | ChangeOfGoods  # what is raised in these is raised on the player's document
BUDGET_NS = 15_000_000  # CPU time for commands in one tick: 30 % of it; the rest waits for the next


class CommandQueues:
    """Commands that wait, by player. Everybody with something waiting gets one command run in each turn."""

    def __init__(self, cluster: Cluster, clock_ns: Callable[[], int] = thread_time_ns) -> None:
        self._cluster = cluster
        self._clock_ns = clock_ns
        self._turns: deque[Player] = deque()

    def put(self, session: UUID, command: Command) -> None:
        """Queue a command; refused at once where the player may not act or has too much waiting."""
        player = self._cluster.roster.find(session)
        if player is None:
            self._cluster.unknown(session, None)
        elif player.is_frozen:
            reason = "You are between two places just now."
            self._refuse(player, command, "not_now", reason, "Try again in a moment.")
        elif len(player.commands) >= MAX_WAITING:
            self._cluster.counters["commands_too_fast"] += 1
            reason = f"{MAX_WAITING} of your commands are waiting already."
            self._refuse(player, command, "too_fast", reason, "Wait for the answers, then send more.")
        else:
            if not player.commands:
                self._turns.append(player)
            player.commands.append(command)

    def run(self) -> None:
        """Run what waits, in turns, until nothing does or the tick's budget is spent."""
        spent = 0
        while self._turns and spent < BUDGET_NS:
            player = self._turns.popleft()
            if not player.commands:  # removed meanwhile
                continue
            spent += self._run_one(player, player.commands.popleft())
            if player.commands:
                self._turns.append(player)

    def _run_one(self, player: Player, command: Command) -> int:
        """Run one command, whatever it does, on the player's account; returns the CPU time it took, in ns."""
        before = self._clock_ns()
        try:
            run_command(self._cluster, player, command)
        except Exception as error:  # one player's command must not stop the zone for the others
            if isinstance(command, ON_DOCUMENT):
                where = f"command:{type(command).__name__.lower()}"
                self._cluster.poisoned(player, where, error)
                return self._account(player, before)
            self._cluster.counters["commands_failed"] += 1
            log.exception("command_failed", session=str(player.session), command=type(command).__name__)
            self._refuse(
                player,
                command,
                "not_now",
                "That went wrong on our side.",
                "It is logged; try something else.",
            )
        return self._account(player, before)

    def _account(self, player: Player, before: int) -> int:
        took = self._clock_ns() - before
        player.cpu_ns += took
        player.commands_run += 1
        self._cluster.counters["commands"] += 1
        return took

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
        Exit(each.slug, each.label, each.target_zone, each.x, each.y, each.radius) for each in content.links
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
    elif not player.instance.use_portal(player.row):
        cluster.tell(player, Result(command.seq, False, "You are on your way already."))
    else:
        cluster.to_daemon(PortalEntered(cluster.config.name, player.session, link.slug, player.stay))
        cluster.tell(player, Result(command.seq, True, f"You take the way: {link.label}."))


def _nearby(sight: Sight) -> NearbyEntity:
    return NearbyEntity(sight.entity, sight.name, ENTITY_KINDS[sight.kind], round(sight.distance, 1))
