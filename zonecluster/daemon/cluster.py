"""The state of one zone cluster process, which everything in it works on: who is here, how to reach others.

Not the loop (service.py), not the handling of requests (requests.py) or ticks (ticks.py): they work on this.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

import numpy as np
import structlog

from worlds.bus import Outbox, daemon_channel, gateway_channel
from zonecluster.daemon.accounts import Accounts
from zonecluster.daemon.config import ClusterConfig
from zonecluster.daemon.copies import Copies
from zonecluster.daemon.orders import Orders
from zonecluster.daemon.pace import Pace
from zonecluster.daemon.phases import Phases
from zonecluster.daemon.players import Player, Roster
from zonecluster.daemon.poison import Reports, report_of
from zonecluster.daemon.zone_links import ZoneLinks
from zonecluster.interest.visibility import LineOfSight
from zonecluster.protocol.bus import (
    Admit,
    BusMessage,
    Checkpoint,
    OpenInstance,
    ToLinks,
    Unknown,
)
from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.figures import ClusterFigures
from zonecluster.protocol.to_client import Notice, ServerMessage
from zonecluster.rules.character import level_of
from zonecluster.rules.slowness import Handlers
from zonecluster.rules.wayfaring import VISIT_XP
from zonecluster.simulation.content import ZoneContent
from zonecluster.simulation.instance import ZoneInstance
from zonecluster.simulation.spawning import spawn_due
from zonecluster.simulation.tables import Tables

log = structlog.get_logger(__name__)

COMMIT_TICKS = 5  # between two documents that one player's commands send to be saved: a quarter of a second
CAPPED = (
    "Your edition goes up to level {level}: you gain no experience here. Nothing is lost by it; upgrade on "
    "the website, and it counts seconds later."
)


def found_text(zone: str, level: int, reached: int) -> str:
    """Return what a player is told of a first visit, and of the level that it brought."""
    found = f"You have found {zone}: {VISIT_XP} experience."
    return found if reached == level else f"{found} You are level {reached} now."


@dataclass
class Cluster:
    """One zone cluster. `incarnation` tells this process start from any other."""

    config: ClusterConfig
    links: ZoneLinks
    outbox: Outbox
    incarnation: int
    rng: np.random.Generator
    pace: Pace
    clock: Callable[[], float] = monotonic
    roster: Roster = field(default_factory=Roster)
    phases: Phases = field(default_factory=Phases)
    orders: Orders = field(default_factory=Orders)
    tables: Tables = field(default_factory=Tables)  # of all instances
    instances: dict[int, ZoneInstance] = field(default_factory=dict)
    sights: dict[int, LineOfSight] = field(default_factory=dict)  # by place, of instances that have one
    openings: list[OpenInstance] = field(default_factory=list)  # to be loaded by the service
    copies: Copies = field(default_factory=Copies)
    changed: dict[Player, None] = field(default_factory=dict)  # by commands, in their order; to be saved
    reports: Reports = field(default_factory=Reports)
    handlers: Handlers = field(default_factory=Handlers)  # of players' commands
    accounts: Accounts = field(init=False)  # whose CPU time it was
    counters: Counter[str] = field(default_factory=Counter)
    figures: ClusterFigures | None = None  # the newest
    metrics: str = ""  # host:port of /metrics
    is_stopping: bool = False
    stood_down: str = ""  # why another process is this cluster, and this one is to end

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.phases, self.tables)

    def settle(self, now: float) -> None:
        """Share out what CPU time has been spent; `now` in monotonic seconds."""
        self.accounts.settle(now, self.links.statistics()["datagrams_received"])

    def to_daemon(self, message: BusMessage) -> None:
        """Queue a message for the world daemon."""
        self.outbox.put(daemon_channel(self.config.world), message)

    def tell(self, player: Player, message: ServerMessage) -> None:
        """Queue a message for a player's world link; nobody hears it if there is none."""
        self.tell_all([player], message)

    def tell_all(self, players: Iterable[Player], message: ServerMessage) -> None:
        """Queue one message for many players: one bus message for each gateway."""
        links: dict[str, list[int]] = defaultdict(list)
        for player in players:
            if player.link is not None:
                links[player.gateway].append(player.link)
        for gateway, of_gateway in links.items():
            self.outbox.put(gateway_channel(gateway), ToLinks(of_gateway, message))

    def unknown(self, session: UUID, request: UUID | None) -> None:
        """Tell the daemon that this session is not here."""
        self.to_daemon(Unknown(self.config.name, self.incarnation, session, request))

    def checkpoint(self, player: Player, kind: str) -> None:
        """Send the player's document to be saved."""
        state = player.document(self.config.world)
        serial, stay = player.serial, player.stay
        message = Checkpoint(self.config.name, player.session, state, kind, serial, stay, player.after)
        self.to_daemon(message)

    def record_arrival(self, player: Player) -> None:
        """The player sees the zone: the first time of all is remembered, and saved at once."""
        if player.client_id is None or player.is_frozen:
            return
        with self.guarded(player, "visit"):
            level = level_of(player.state)
            if player.record_visit():
                reached = level_of(player.state)
                self.checkpoint(player, "level" if reached > level else "quest")
                player.add_news(Notice(found_text(player.instance.content.name, level, reached)))
            elif player.misses_visit() and not player.is_told_of_cap:
                player.is_told_of_cap = True
                self.tell(player, Notice(CAPPED.format(level=player.level_cap)))

    def change(
        self, player: Player, state: CharacterState, message: ServerMessage, *, shows: int = 0
    ) -> None:
        """Change a player's document; it is sent to be saved soon, and told when that is durable."""
        player.change(state, message, shows=shows)
        self.changed[player] = None

    def save_changes(self) -> None:
        """Send the documents that commands have changed, each at most every COMMIT_TICKS.

        One that goes for another reason meanwhile holds the change too; then this one is for nothing.
        """
        for player in [each for each in self.changed if each.commit_tick <= self.tables.tick]:
            del self.changed[player]
            if self.roster.at_row(player.row) is player and not player.is_frozen:
                player.commit_tick = self.tables.tick + COMMIT_TICKS
                with self.guarded(player, "checkpoint"):
                    self.checkpoint(player, "item")

    def tell_news(self, player: Player, serial: int, *, is_accepted: bool) -> None:
        """Tell what was waiting for that document to be durable (DESIGN.md section 5, rule 8)."""
        for news in player.take_news(serial, is_accepted=is_accepted):
            if news.message is not None:
                self.tell(player, news.message)
            if news.shows:
                player.instance.goods.show(news.shows, player.line)

    def find_stay(self, session: UUID, stay: int) -> Player | None:
        """Return the session's player of that stay: a late message may be about another one. 0: any."""
        players = self.roster.of_session(session)
        return next((player for player in players if stay in (0, player.stay)), None)

    @contextmanager
    def guarded(self, player: Player, where: str) -> Iterator[None]:
        """Work on a player's document: if that raises, the player is out, and the rest goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (whatever it is, it is of this one document; logged there)
            self.poisoned(player, where, error)

    def poisoned(self, who: Player | Admit, where: str, error: Exception) -> None:
        """Something was raised on a player's document: take the player out and report it to the daemon.

        Args: who: in play, or about to be. where: what was done.
        """
        self.counters["poisoned"] += 1
        session = str(who.session)
        log.error("document_poisoned", session=session, name=who.name, where=where, exc_info=error)
        report = report_of(who, where, error, self.config.name, self.incarnation)
        if isinstance(who, Player) and self.roster.at_row(who.row) is who:
            self.remove(who)
        if self.reports.add(report):
            self.counters["reports_dropped"] += 1
        self.to_daemon(report)

    def remove(self, player: Player) -> None:
        """Take a player out, with its zone link."""
        if player.client_id is not None:
            self.links.drop(player.client_id)
        self.roster.remove(player)

    def open(self, number: int, content: ZoneContent, sight: LineOfSight | None = None) -> None:
        """Run an instance from now on; its creatures come by `spawn`.

        Args: sight: who is in sight there; None: everybody.
        Raises: ValueError: the content is not sound.
        """
        instance = ZoneInstance(number, content, self.tables, self.rng, is_filled=False)
        self.instances[number] = instance
        if sight is not None:
            self.sights[instance.place_index] = sight

    def spawn(self) -> None:
        """Let creatures appear where some are missing, as many as one tick may have."""
        count = spawn_due(self.instances.values(), self.config.spawn_budget, self.rng)
        self.counters["creatures_spawned"] += count

    def close(self, number: int) -> None:
        """Run an instance, in which nobody is, no more."""
        instance = self.instances.pop(number)
        self.copies.forget(number)
        self.sights.pop(instance.place_index, None)
        instance.close()
