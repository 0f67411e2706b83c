"""Who is in play on this cluster: one record for each player, and the roster that finds them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from zonecluster.protocol.bus import Admit, Held, LineKind, encoder
from zonecluster.protocol.character import CharacterState, Place
from zonecluster.protocol.from_client import Command
from zonecluster.protocol.to_client import ServerMessage
from zonecluster.rules.budget import Bucket
from zonecluster.rules.character import with_place
from zonecluster.rules.experience import is_capped
from zonecluster.rules.turns import Queue
from zonecluster.rules.wayfaring import is_known, visited, walked
from zonecluster.simulation.instance import Stand, ZoneInstance

_decoder = msgspec.msgpack.Decoder(CharacterState)

REMEMBERED = 8  # answered requests, minted tokens and sent documents, kept for each player


@dataclass(frozen=True)
class News:
    """What waits for the document of that serial: a message to be told, or a thing to be shown."""

    serial: int
    message: ServerMessage | None = None
    shows: int = 0  # entity id of a thing on the ground; waits for the master's word


@dataclass(frozen=True)
class Asked:
    """A command that waits, and since when, in monotonic seconds."""

    command: Command
    at: float


@dataclass(eq=False)
class Player:
    """One player in one zone instance. The document is kept here; what changes each tick is in the tables."""

    session: UUID
    character: UUID
    name: str
    state: CharacterState
    gateway: str
    link: int | None
    instance: ZoneInstance
    row: int
    stay: int = 0  # order of the Admit that made the entity
    client_id: int | None = None  # of the zone link that is up
    minted: list[int] = field(default_factory=list)  # client ids of connect tokens, oldest first
    answers: dict[UUID, bytes] = field(default_factory=dict)  # admit and mint requests → connect token
    revision: int = 1  # rises with each durable change
    saved_revision: int = 1
    serial: int = 0  # of the last document sent
    sent: dict[int, int] = field(default_factory=dict)  # serial → revision
    news: list[News] = field(default_factory=list)  # told when their document is durable
    commit_tick: int = 0  # no change is sent to be saved before: several go together
    is_withheld: bool = False  # the character cannot be saved: nothing durable is given
    withhold_order: int = 0  # the newest order about that
    silenced: str = ""  # why nobody hears what the player says; empty: they are heard
    held: Held | None = None  # the answer to Hold: nothing durable changes until Settle
    metres_owed: int = 0  # walked during a hold, to be counted after it
    after: UUID | None = None  # the newest exchange that the document knows
    line: LineKind = "main"
    level_cap: int | None = None  # of the account's edition
    is_told_of_cap: bool = False
    cpu_ns: int = 0  # spent on this player's commands
    commands_run: int = 0
    bucket: Bucket = field(default_factory=Bucket)  # CPU time that it may still order
    commands: "Queue[Player, Asked]" = field(init=False)  # that wait

    def __post_init__(self) -> None:
        self.commands = Queue(self)

    @property
    def is_frozen(self) -> bool:
        """Whether a handoff or a logout is under way."""
        return bool(self.instance.tables.is_frozen[self.row])

    @property
    def is_dirty(self) -> bool:
        """Whether something durable changed since the last accepted checkpoint."""
        has_walked = self.held is None and bool(self.instance.tables.metres_walked[self.row] >= 1)
        return self.has_unsaved or has_walked

    @property
    def has_unsaved(self) -> bool:
        """Whether the document changed since; what the tables count is not in it yet."""
        return self.revision > self.saved_revision

    def entity(self) -> int:
        """Return the player's entity id."""
        return int(self.instance.tables.entity[self.row])

    def update_links(self) -> None:
        """Tell the simulation which links are up."""
        self.instance.set_links(
            self.row, has_zone_link=self.client_id is not None, has_world_link=self.link is not None
        )

    def document(self, world: str) -> CharacterState:
        """Fold what the arrays hold into the document and return it, with the place in `world`.

        Raises: msgspec.ValidationError: the rules have made one against the schema; no reader would take a
            batch of the bus with that in it, and others are told of in the same.
        """
        if self.held is None:
            self._count_metres()
        stand = self.instance.stand_of(self.row)
        place = Place(self.instance.content.slug, stand.position, stand.heading_deg)
        self.serial += 1
        self.sent[self.serial] = self.revision
        forget_oldest(self.sent)
        return sendable(with_place(self.state, world, place))

    def record_visit(self) -> bool:
        """Write down that the player reached this zone; True if it was for the first time."""
        if self.is_withheld or self.held is not None:
            return False
        before = self.revision
        self._change(visited(self.state, self.instance.content.slug, self.level_cap))
        return self.revision > before

    def hold_to(self, level_cap: int | None) -> None:
        """Have another level cap from now on; what it ends is told again."""
        if level_cap != self.level_cap:
            self.level_cap, self.is_told_of_cap = level_cap, False

    def misses_visit(self) -> bool:
        """Whether the zone would have been found, but for the level cap."""
        is_new = not is_known(self.state, self.instance.content.slug)
        return is_new and is_capped(self.state, self.level_cap)

    def replace(self, state: CharacterState, after: UUID | None) -> None:
        """Have the document that an exchange has left, which is the master's."""
        self._change(state)
        self.saved_revision = self.revision
        self.after = after

    def _count_metres(self) -> None:
        """Fold the metres walked into the document; a character that is withheld gains none."""
        metres = self._metres_that_count() + self.metres_owed
        self.metres_owed = 0
        self._change(walked(self.state, metres))

    def _metres_that_count(self) -> int:
        metres = self.instance.take_metres(self.row)
        return 0 if self.is_withheld else metres

    def _change(self, state: CharacterState) -> None:
        if state is not self.state:
            self.state = state
            self.revision += 1

    def saved(self, serial: int) -> None:
        """The repository accepted the document of that serial; 0: the last one sent. Never runs backwards."""
        self.saved_revision = max(self.saved_revision, self.sent.get(serial or self.serial, 0))

    def withhold(self, is_on: bool) -> None:
        """Give nothing durable from now on, or give again; what was walked before counts as it did then."""
        if is_on != self.is_withheld:
            if self.held is None:
                self._count_metres()
            else:
                self.metres_owed += self._metres_that_count()
            self.is_withheld = is_on

    def add_news(self, message: ServerMessage) -> None:
        """Keep what may be told once the last document that was sent is durable."""
        self.news.append(News(self.serial, message))

    def change(self, state: CharacterState, message: ServerMessage, *, shows: int = 0) -> None:
        """Change the document. Told once the next document that is sent is durable: this is in it.

        Args: shows: entity id of a thing on the ground, which is hidden until the master has the document.
        """
        self._change(state)
        self.news.append(News(self.serial + 1, message))
        if shows:
            self.news.append(News(self.serial + 1, shows=shows))

    def take_news(self, serial: int, *, is_accepted: bool) -> list["News"]:
        """Return what may be told now that the document of that serial is durable, once.

        Args: is_accepted: by the master, and not only in the world's journal.
        """
        told = [news for news in self.news if news.serial <= serial and (is_accepted or not news.shows)]
        self.news = [news for news in self.news if news not in told]
        return told

    def remember_answer(self, request: UUID, token: bytes) -> None:
        """Keep an answer, so that a repeated request gets it again."""
        self.answers[request] = token
        forget_oldest(self.answers)


def sendable(state: CharacterState) -> CharacterState:
    """Return a document that keeps to the schema. Raises: msgspec.ValidationError."""
    _decoder.decode(encoder.encode(state))
    return state


def forget_oldest(remembered: dict) -> None:
    """Keep the newest REMEMBERED entries."""
    while len(remembered) > REMEMBERED:
        del remembered[next(iter(remembered))]


def stand_in(state: CharacterState, world: str, zone: str) -> Stand | None:
    """Return where the document says the character stands in this zone; None if it says somewhere else."""
    place = state.places.get(world)
    return Stand(place.position, place.heading_deg) if place is not None and place.zone == zone else None


class Roster:
    """All players of a cluster, found by session, by connect token's client id, and by row.

    In a handoff between two instances of this cluster a session is here twice: the source is in `leaving`.
    """

    def __init__(self) -> None:
        self.active: dict[UUID, Player] = {}
        self.leaving: dict[UUID, Player] = {}
        self._by_client: dict[int, Player] = {}
        self._by_row: dict[int, Player] = {}

    def __iter__(self) -> Iterator[Player]:
        yield from self.active.values()
        yield from self.leaving.values()

    def __len__(self) -> int:
        return len(self.active) + len(self.leaving)

    def find(self, session: UUID, instance: int = 0) -> Player | None:
        """Return the session's player, in that instance if one is named."""
        for player in (self.active.get(session), self.leaving.get(session)):
            if player is not None and instance in (0, player.instance.number):
                return player
        return None

    def of_session(self, session: UUID) -> list[Player]:
        """Return all players of a session: two during a handoff within this cluster."""
        found = (self.active.get(session), self.leaving.get(session))
        return [player for player in found if player is not None]

    def at_row(self, row: int) -> Player | None:
        """Return the player of a row."""
        return self._by_row.get(row)

    def of_client(self, client_id: int) -> Player | None:
        """Return whose connect token had this client id."""
        return self._by_client.get(client_id)

    def add(self, message: Admit, instance: ZoneInstance, row: int) -> Player:
        """Enter a player whose entity stands in that row."""
        player = Player(
            session=message.session,
            character=message.character,
            name=message.name,
            state=message.state,
            gateway=message.gateway,
            link=message.link,
            instance=instance,
            row=row,
            stay=message.order,
            after=message.after,
            line=message.line,
            level_cap=message.level_cap,
        )
        if player.session in self.active:
            self.leaving[player.session] = self.active[player.session]
        self.active[player.session] = player
        self._by_row[row] = player
        player.update_links()
        return player

    def add_client(self, player: Player, client_id: int) -> None:
        """Remember the client id of a connect token; the oldest of the player without a link is forgotten."""
        self._by_client[client_id] = player
        player.minted.append(client_id)
        if len(player.minted) > REMEMBERED:
            forgotten = next(each for each in player.minted if each != player.client_id)
            player.minted.remove(forgotten)
            del self._by_client[forgotten]

    def remove(self, player: Player) -> None:
        """Take a player and its entity out."""
        for of_session in (self.active, self.leaving):
            if of_session.get(player.session) is player:
                del of_session[player.session]
        for client_id in player.minted:
            self._by_client.pop(client_id, None)
        del self._by_row[player.row]
        player.instance.remove(player.row)
        player.commands.work.clear()

    def reinstate(self, player: Player) -> None:
        """The leaving player stays after all: it is the session's only one again."""
        arrived = self.active.get(player.session)
        if arrived is not None and arrived is not player:
            self.remove(arrived)
        self.leaving.pop(player.session, None)
        self.active[player.session] = player
