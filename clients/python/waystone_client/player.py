"""A player in a world: world link, zone link and what is known of the surroundings, as one object.

async with Master("http://127.0.0.1:8000") as master:
    await master.log_in(email, password)
    player = await Player.enter(master, "demo", "Alice")
    await player.say("Hello!")
    await player.walk_through("to-the-causeway")
    await player.log_out()
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import numpy as np

from waystone_client.belongings import Alliance, Belongings
from waystone_client.errors import LinkLost, Refusal, WaystoneError, ZoneLinkFailed
from waystone_client.exchanges import Mail, Trade
from waystone_client.interpolation import Shown
from waystone_client.rest import Master
from waystone_client.sky import Sky
from waystone_client.world_link import Event, LinkDown, LinkOver, LinkUp, WorldLink
from waystone_client.zone_link import Snapshot, ZoneLink
from zonecluster.protocol.effects import effect_names
from zonecluster.protocol.from_client import Cast, Describe, Look, Say, Select, UsePortal, ZoneTokenRequest
from zonecluster.protocol.to_client import (
    ENTITY_KINDS,
    CharacterSummary,
    Described,
    EditionIs,
    Exit,
    Goodbye,
    Heard,
    NearbyEntity,
    Notice,
    Queued,
    Refused,
    Result,
    SkyIs,
    Surroundings,
    TradeChanged,
    TradeEnded,
    Welcome,
    ZoneAssigned,
)
from zonecluster.protocol.zone_payloads import KIND_BITS

ARRIVED_M = 0.4  # walk_to ends this near to its goal
SLOW_M = 1.5  # and slows down from here
TOKEN_RETRY_S = (1.0, 1.0, 2.0, 4.0)  # waits before asking for a fresh connect token; the last one repeats
MAX_HEARD = 1000
MAX_DESCRIBED = 64  # entities in one Describe

Point = tuple[float, float]


@dataclass(frozen=True)
class Sight:
    """One entity in view. Position in metres; `name` is empty until `describe_unknown` has asked for it."""

    id: int
    name: str
    is_player: bool
    x: float
    y: float
    distance: float
    health: float  # 0..1
    heading_deg: float = 0.0  # 0 north, clockwise
    animation: int = 0  # as docs/protocol.md numbers them
    effects: tuple[str, ...] = ()  # spell effects on it
    kind: str = ""  # player, creature, item, chest, vendor; empty: one that this client does not know


class Player:
    """One character in play. Made by `enter` or `resume`. `goods`, `alliance`, `trade`, `mail`: commands."""

    def __init__(self, link: WorldLink) -> None:
        self.link = link
        self.goods = Belongings(link)
        self.alliance = Alliance(link)
        self.trade = Trade(link)
        self.mail = Mail(link)
        self.sky = Sky()
        self.zone_link: ZoneLink | None = None
        self.zone: ZoneAssigned | None = None
        self.edition: EditionIs | None = None  # what changed of it since the log-in; None: nothing
        self.character: UUID | None = None
        self.name = ""
        self.is_over = False
        self._is_leaving = False
        self.goodbye: Goodbye | None = None
        self.zones_entered = 0
        self.snapshots = 0
        self.selected = 0  # entity id; 0: nobody
        self.errors: deque[str] = deque(maxlen=100)
        self.heard: deque[Event] = deque(maxlen=MAX_HEARD)
        self.news: asyncio.Queue[Event] = asyncio.Queue(MAX_HEARD)
        self._names: dict[int, NearbyEntity] = {}
        self._changed = asyncio.Event()
        self._assigned: asyncio.Queue[ZoneAssigned | None] = asyncio.Queue()  # None: the zone link closed
        self._tasks: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------ coming and going

    @classmethod
    async def enter(
        cls,
        master: Master,
        world: str,
        character: str | UUID,
        *,
        on_queued: Callable[[Queued], None] | None = None,
        **link: object,
    ) -> Self:
        """Get a ticket, open the world link, play a character (by name or id), and wait for its zone.

        A full world lets wait; `on_queued` is told the place whenever it changes.

        Raises: MasterError, Refusal, LinkLost, ZoneLinkFailed.
        """
        ticket = await master.ticket(world)
        player = cls(WorldLink(ticket.gateway_url, **link))  # type: ignore[arg-type]
        try:
            welcome = await player.link.open(ticket=ticket.ticket)
            await player._begin(_choose(welcome, character), on_queued=on_queued)
        except BaseException:
            await player.leave()
            raise
        return player

    @classmethod
    async def resume(cls, gateway_url: str, token: str, **link: object) -> Self:
        """Come back to the character in play with the resume token of an earlier link, without a log-in.

        Raises: Refusal: the token is not known any more. LinkLost, ZoneLinkFailed.
        """
        player = cls(WorldLink(gateway_url, **link))  # type: ignore[arg-type]
        try:
            welcome = await player.link.open(resume=token)
            await player._begin(_choose(welcome, welcome.playing), is_playing=True)
        except BaseException:
            await player.leave()
            raise
        return player

    async def _begin(
        self,
        chosen: CharacterSummary,
        *,
        is_playing: bool = False,
        on_queued: Callable[[Queued], None] | None = None,
    ) -> None:
        self.character, self.name = chosen.id, chosen.name
        self._tasks = [asyncio.create_task(self._follow_events(), name="player-events")]
        if not is_playing:
            await self.link.enter(chosen.id, on_queued)
        self._tasks.append(asyncio.create_task(self._keep_zone_link(), name="player-zone"))
        await self.wait_until(lambda: self.snapshot is not None, 30.0, "a first snapshot of the zone")

    async def log_out(self) -> Goodbye:
        """Leave the world with a log-out; the answer tells whether everything is saved.

        Raises: LinkLost.
        """
        self._is_leaving = True  # a zone link that ends now is not to be asked for again
        try:
            self.goodbye = await self.link.log_out()
        except WaystoneError:
            self._is_leaving = False
            raise
        await self.leave()
        return self.goodbye

    async def leave(self) -> None:
        """Close both links without a log-out."""
        self.is_over = True
        await self.link.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.zone_link is not None:
            await self.zone_link.close()

    async def crash(self) -> None:
        """Vanish as a killed process would: nothing is said on either link."""
        self.is_over = True
        for task in self._tasks:
            task.cancel()
        self.link.abort()
        if self.zone_link is not None:
            self.zone_link.abort()
        await self.link.close()

    @property
    def may_enter_premium_zones(self) -> bool:
        """Whether the account's edition opens zones that ask for one, as far as the client was told."""
        if self.edition is not None:
            return self.edition.may_enter_premium_zones
        return self.link.welcome is not None and self.link.welcome.edition == "premium"

    @property
    def zone_address(self) -> tuple[str, int] | None:
        """The UDP address of the zone cluster that the zone link goes to."""
        return self.zone_link.address if self.zone_link else None

    @property
    def resume_token(self) -> str:
        """What `resume` needs; keep it like a password."""
        return self.link.welcome.resume if self.link.welcome else ""

    # ------------------------------------------------------------ looking

    @property
    def place(self) -> tuple[str, int]:
        """Zone slug and number of the instance; ("", 0) before the first zone."""
        return (self.zone.zone, self.zone.instance) if self.zone else ("", 0)

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot of the present zone."""
        return self.zone_link.snapshot if self.zone_link else None

    @property
    def position(self) -> tuple[float, float, float]:
        """Where the character stands by the client's own clock, in metres: foreseen (prediction.py).

        Where the server had it last is in `snapshot`. Raises: ZoneLinkFailed: nothing has been seen yet.
        """
        if self.zone_link is None or not self.zone_link.prediction.is_known:
            raise ZoneLinkFailed("no_snapshot", "There is no snapshot of the zone yet.")
        return self.zone_link.prediction.position

    def visible(self) -> list[Sight]:
        """Return the other entities in view, nearest first, where they are to be shown (interpolation.py)."""
        if self.zone_link is None or not self.zone_link.prediction.is_known:
            return []
        shown, here = self.zone_link.others(), self.position
        distances = np.hypot(shown.positions[:, 0] - here[0], shown.positions[:, 1] - here[1])
        order = np.argsort(distances, kind="stable").tolist()
        return [self._sight(shown, i, float(distances[i])) for i in order]

    def _sight(self, shown: Shown, i: int, distance: float) -> Sight:
        record, known = shown.entities[i], self._names.get(int(shown.entities["id"][i]))
        kind = int(record["kind_flags"]) & KIND_BITS
        return Sight(
            id=int(record["id"]),
            name=known.name if known else "",
            is_player=kind == 0,
            kind=ENTITY_KINDS[kind] if kind < len(ENTITY_KINDS) else "",
            x=float(shown.positions[i, 0]),
            y=float(shown.positions[i, 1]),
            distance=distance,
            health=int(record["health"]) / 255.0,
            heading_deg=float(shown.headings_deg[i]),
            animation=int(record["animation"]),
            effects=effect_names(int(record["effects"])),
        )

    @property
    def effects(self) -> tuple[str, ...]:
        """The names of the spell effects on the player itself."""
        return effect_names(int(self.snapshot.entities["effects"][0])) if self.snapshot else ()

    async def describe_unknown(self) -> None:
        """Ask for the names of what is in view and not known yet. Raises: Refusal, LinkLost."""
        unknown = [sight.id for sight in self.visible() if not sight.name][:MAX_DESCRIBED]
        if not unknown:
            return
        answer = await self.link.command(Describe, entities=unknown)
        if isinstance(answer, Described):
            self._names.update({entity.id: entity for entity in answer.entities})

    async def look(self) -> Surroundings:
        """Describe the zone, who is near, and the ways out. Raises: Refusal, LinkLost."""
        answer = await self.link.command(Look)
        assert isinstance(answer, Surroundings)
        self._names.update({entity.id: entity for entity in answer.nearby})
        return answer

    # ------------------------------------------------------------ acting

    async def say(self, text: str) -> Result:
        """Speak to everybody within earshot. Raises: Refusal, LinkLost."""
        answer = await self.link.command(Say, text=text)
        assert isinstance(answer, Result)
        return answer

    async def select(self, entity: int) -> Result:
        """Select an entity in view, or nobody (0): it is shown first, and spells go to it.

        Raises: Refusal, LinkLost.
        """
        answer = await self.link.command(Select, entity=entity)
        assert isinstance(answer, Result)
        if answer.ok:
            self.selected = entity
        return answer

    async def cast(self, spell: str, target: int = 0) -> Result:
        """Cast a spell on an entity; 0: on the selected one if it needs a target, otherwise on oneself.

        Raises: Refusal, LinkLost.
        """
        answer = await self.link.command(Cast, spell=spell, target=target)
        assert isinstance(answer, Result)
        return answer

    def walk(self, x: float, y: float) -> None:
        """Walk in a direction (x east, y north; length 1 is the top speed) until told otherwise."""
        if self.zone_link is not None:
            self.zone_link.wish(x, y)

    def stop(self) -> None:
        """Stand still."""
        self.walk(0, 0)

    async def walk_to(
        self, x: float, y: float, *, within: float = ARRIVED_M, deadline_s: float = 120.0
    ) -> None:
        """Walk straight to a point of the present zone; ends early if the zone changes on the way.

        Raises: WaystoneError: not there within the deadline (metres, seconds).
        """
        place = self.place

        def is_there() -> bool:
            if self.place != place:
                return True
            if self.snapshot is None:
                return False
            here = self.position
            dx, dy = x - here[0], y - here[1]
            distance = math.hypot(dx, dy)
            if distance <= within:
                return True
            pace = min(1.0, max(0.15, distance / SLOW_M)) / distance
            self.walk(dx * pace, dy * pace)
            return False

        try:
            await self.wait_until(is_there, deadline_s, f"to be at {x:.0f}, {y:.0f}")
        finally:
            self.stop()
        await self._come_to_rest(deadline_s)

    async def _come_to_rest(self, deadline_s: float) -> None:
        """Wait until the server has played the stop too: then all see the character where it sees itself."""
        link = self.zone_link
        tick = link.prediction.tick + 1 if link else 0

        def is_at_rest() -> bool:
            seen = link.snapshot if link is not None and link is self.zone_link else None
            return seen is None or seen.is_frozen or seen.input_ack >= tick

        await self.wait_until(is_at_rest, deadline_s, "to stand still")

    async def use_portal(self, link: str) -> Result:
        """Go through a zone link whose disc the character stands in. Raises: Refusal, LinkLost."""
        answer = await self.link.command(UsePortal, link=link)
        assert isinstance(answer, Result)
        return answer

    async def find_exit(self, name: str) -> Exit:
        """Return the exit with this slug, label or target zone. Raises: WaystoneError: there is none."""
        exits = (await self.look()).exits
        wanted = name.casefold()
        for found in exits:
            if wanted in (found.link, found.target_zone, found.label.casefold()):
                return found
        known = ", ".join(found.link for found in exits) or "none"
        raise WaystoneError("no_such_exit", f"There is no way {name!r} here.", f"Ways out: {known}.")

    async def walk_through(self, name: str, *, deadline_s: float = 60.0) -> ZoneAssigned:
        """Walk to an exit, go through, and wait for the first snapshot of the zone behind it.

        Raises: WaystoneError: no such exit, or not through within the deadline.
        """
        before = self.zone
        way = await self.find_exit(name)
        await self.walk_to(way.x, way.y, within=max(0.5, way.radius * 0.5), deadline_s=deadline_s)
        if self.zone is before:
            # Walking into the disc is enough; asking as well helps who began inside it. Refused: on the way.
            with contextlib.suppress(Refusal):
                await self.use_portal(way.link)

        def is_through() -> bool:
            is_new = self.zone is not before and self.snapshot is not None
            return is_new and self.place[0] == way.target_zone

        await self.wait_until(is_through, deadline_s, f"to be through {way.link}")
        assert self.zone is not None
        return self.zone

    async def wait_until(self, condition: Callable[[], bool], deadline_s: float, what: str) -> None:
        """Wait for a condition, asked whenever something has changed.

        Raises: WaystoneError: not within deadline_s, or the link is over.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while not condition():
                    if self.is_over:
                        raise LinkLost("link_over", f"The world link is over; waited for {what}.")
                    await self._changed.wait()
        except TimeoutError as error:
            last = f" Last trouble: {self.errors[-1]}" if self.errors else ""
            raise WaystoneError("deadline", f"Waited {deadline_s:.0f} s for {what}.{last}") from error

    # ------------------------------------------------------------ what comes

    async def _follow_events(self) -> None:
        """Sort what comes on the world link: zones to open, speech and notices to keep, the end."""
        async for event in self.link.events():
            match event:
                case ZoneAssigned():
                    self._assigned.put_nowait(event)
                case LinkOver(reason=reason):
                    self.is_over = True
                    self.errors.append(reason)
                case LinkDown(cause=cause):
                    self.errors.append(f"world link lost: {cause}")
                case SkyIs():
                    self.sky.hear(event)
                case EditionIs():
                    self.edition = event
                case Goodbye():
                    pass
                case Heard() | Notice() | Refused():
                    self.heard.append(event)
                case LinkUp() | TradeChanged() | TradeEnded():
                    self.trade.hear(event)
            self._tell(event)

    def _tell(self, event: Event) -> None:
        if self.news.full():
            self.news.get_nowait()
        self.news.put_nowait(event)
        self._wake()

    def _wake(self) -> None:
        """Let everybody in `wait_until` look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots += 1
        self._wake()

    async def _keep_zone_link(self) -> None:
        """Open a zone link for each ZoneAssigned; ask for a fresh token while there is none."""
        while True:
            assigned = await self._next_assignment()
            link = ZoneLink(
                assigned.connect_token, assigned.size, self._take_snapshot, self._zone_link_closed
            )
            try:
                await link.open()
            except ZoneLinkFailed as error:
                self.errors.append(str(error))
                continue
            old = self.zone_link
            if (
                self.zone is None
                or old is None
                or _is_another_copy(self.zone, old.address, assigned, link.address)
            ):
                self._names.clear()
                self.selected = 0
            self.zone, self.zone_link = assigned, link
            self.zones_entered += 1
            self._wake()
            if old is not None:
                await old.close()

    def _zone_link_closed(self) -> None:
        self._assigned.put_nowait(None)

    async def _next_assignment(self) -> ZoneAssigned:
        """Wait for the newest ZoneAssigned; while no zone link is open, ask for one again and again."""
        requests = 0
        while True:
            is_open = self.zone_link is not None and self.zone_link.is_connected
            is_content = is_open or self._is_leaving
            patience = None if is_content else TOKEN_RETRY_S[min(requests, len(TOKEN_RETRY_S) - 1)]
            try:
                async with asyncio.timeout(patience):
                    assigned = await self._assigned.get()
            except TimeoutError:
                requests += 1
                with contextlib.suppress(LinkLost):  # the link is being resumed; ZoneAssigned follows that
                    await self.link.send(ZoneTokenRequest())
                continue
            while not self._assigned.empty():
                assigned = self._assigned.get_nowait() or assigned
            if assigned is not None:
                return assigned


def _is_another_copy(
    before: ZoneAssigned, old: tuple[str, int] | None, now: ZoneAssigned, new: tuple[str, int] | None
) -> bool:
    """Whether entity ids mean others from now on: an instance may go on at another cluster, too."""
    return (before.zone, before.instance, before.entity, old) != (now.zone, now.instance, now.entity, new)


def _choose(welcome: Welcome, wanted: str | UUID | None) -> CharacterSummary:
    """Return the character with this name or id. Raises: WaystoneError: the account has none such here."""
    for character in welcome.characters:
        if wanted == character.id or (
            isinstance(wanted, str) and wanted.casefold() == character.name.casefold()
        ):
            return character
    names = ", ".join(character.name for character in welcome.characters) or "none"
    raise WaystoneError("unknown_character", f"There is no character {wanted}.", f"Yours: {names}.")
