"""What happens to a player, told in lines; and the orders of a person, carried out. No terminal in here."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from waystone_client.errors import WaystoneError
from waystone_client.player import Player, Sight
from waystone_client.terminal import dealings
from waystone_client.terminal.bargaining import Bargaining
from waystone_client.terminal.bargains import Bargain, Post, Present, Write
from waystone_client.terminal.commands import (
    HELP,
    Ally,
    CastSpell,
    Choose,
    GoTo,
    Handle,
    Hint,
    Order,
    Plain,
    Speak,
    Step,
    WalkTo,
)
from waystone_client.terminal.entrance import place_in_words
from waystone_client.terminal.printable import printable
from waystone_client.terminal.surroundings_map import COMPASS, Ground, bearing, draw, plain
from waystone_client.world_link import LinkDown, LinkOver, LinkUp
from zonecluster.protocol.sky import Weather
from zonecluster.protocol.to_client import (
    AllianceChanged,
    AllianceInvited,
    Exit,
    Goodbye,
    Heard,
    Notice,
    Queued,
    Refused,
    SkyIs,
    Surroundings,
    TradeChanged,
    TradeEnded,
    TradeInvited,
    ZoneAssigned,
)

MAX_LINES = 2000
WEATHER_TURNS: dict[Weather, str] = {
    "clear": "The sky clears.",
    "cloudy": "Clouds come over.",
    "fog": "Fog rises.",
    "rain": "It begins to rain.",
    "storm": "A storm breaks.",
    "snow": "It begins to snow.",
}


@dataclass(frozen=True)
class Line:
    """One line of the story. kind: speech, notice, warning, answer, place, echo."""

    kind: str
    text: str


class Story:
    """One player's play. `carry_out` takes orders, `follow` turns events into lines.

    Args: tell: called with each new line, at once.
    """

    def __init__(self, player: Player, tell: Callable[[Line], None]) -> None:
        self.player = player
        self.lines: deque[Line] = deque(maxlen=MAX_LINES)
        self.surroundings: Surroundings | None = None
        self._bargaining = Bargaining(player)
        self._waiting: set[asyncio.Task[None]] = set()  # for what somebody else has a part in
        self.is_over = False
        self._is_quitting = False
        self._is_allied = False
        self._weather: Weather | None = None  # as last told in this zone
        self._tell = tell

    def add(self, kind: str, text: str) -> None:
        """Add lines to the story; what would steer the terminal is taken out."""
        for part in text.splitlines():
            line = Line(kind, printable(part))
            self.lines.append(line)
            self._tell(line)

    def _add_all(self, told: list[dealings.Told]) -> None:
        for kind, text in told:
            self.add(kind, text)

    @property
    def exits(self) -> list[Exit]:
        """The ways out of the present zone, as far as known."""
        if self.surroundings is None or self.surroundings.zone != self.player.place[0]:
            return []
        return self.surroundings.exits

    @property
    def ground(self) -> Ground:
        """What the map is drawn on."""
        return Ground(self.player.zone.size if self.player.zone else 0.0, self.exits)

    # ------------------------------------------------------------ orders

    async def carry_out(self, order: Order) -> None:
        """Do what was asked; what goes wrong is told, not raised."""
        try:
            if isinstance(order, Bargain) and order.verb == "confirm":  # answered when the other one has, too
                task = asyncio.create_task(self._bargain(order))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
            else:
                await self._do(order)
        except WaystoneError as error:
            self.add("warning", str(error))

    async def _do(self, order: Order) -> None:
        match order:
            case Hint(text=text):
                self.add("warning", text)
            case Speak(text=text):
                await self._say(text)
            case Step(dx=dx, dy=dy):
                x, y, _ = self.player.position
                await self._walk_to(x + dx, y + dy)
            case WalkTo(x=x, y=y):
                await self._walk_to(x, y)
            case GoTo(name=name):
                await self._go_to(name)
            case Choose(name=name):
                await self._select(name)
            case CastSpell(spell=spell, on=on):
                await self._cast(spell, on)
            case Handle():
                self._add_all(await dealings.handle(self.player, order))
            case Ally():
                self._add_all(await dealings.ally(self.player, order))
            case Bargain() | Present() | Post() | Write():
                self._add_all(await self._bargaining.carry_out(order))
            case Plain(word=word):
                await self._do_word(word)

    async def _bargain(self, order: Bargain) -> None:
        try:
            self._add_all(await self._bargaining.carry_out(order))
        except WaystoneError as error:
            if not self._is_quitting:
                self.add("warning", str(error))

    async def _do_word(self, word: str) -> None:
        match word:
            case "help":
                self.add("answer", HELP)
            case "look":
                await self._look()
            case "inventory":
                self._add_all(await dealings.inventory(self.player))
            case "who":
                await self._who()
            case "exits":
                await self.refresh()
                self.add("answer", "\n".join(self._exit_lines()) or "There is no way out.")
            case "where":
                x, y, _ = self.player.position
                zone = self.player.zone
                name = f"{zone.zone_name} (instance {zone.instance})" if zone else "nowhere"
                effects = f" On you: {', '.join(self.player.effects)}." if self.player.effects else ""
                self.add("answer", f"{name}, {x:.1f} m east and {y:.1f} m north.{effects}")
            case "time":
                told = str(self.player.sky)
                self.add("answer", f"It is {told}." if told else "Nobody has told the time yet.")
            case "map":
                here = self.player.position[:2]
                self.add("answer", plain(draw(here, self.player.visible(), self.ground, 61, 15)))
            case "stop":
                self.player.stop()
            case "quit":
                await self.quit()

    async def quit(self) -> None:
        """Log out; the story is over then."""
        self._is_quitting = True  # the goodbye is told once, here
        self.add("notice", "Logging out …")
        goodbye = await self.player.log_out()
        saved = "Everything is saved." if goodbye.is_saved else "The last changes could not be saved."
        self.add("notice", f"{goodbye.reason} {saved}".strip())
        self.is_over = True

    async def _say(self, text: str) -> None:
        result = await self.player.say(text)
        self.add("speech" if result.ok else "warning", f"You say: {text}" if result.ok else result.text)
        if result.ok and result.text:
            self.add("notice", result.text)

    async def _select(self, name: str) -> None:
        result = await self.player.select(self._find(name).id if name else 0)
        done = f"You have selected {name}." if name else "You have selected nobody."
        self.add("answer" if result.ok else "warning", done if result.ok else result.text)

    async def _cast(self, spell: str, on: str) -> None:
        result = await self.player.cast(spell, self._find(on).id if on else 0)
        self.add("notice" if result.ok else "warning", result.text)

    def _find(self, name: str) -> Sight:
        """Return the nearest in view of that name. Raises: WaystoneError: there is none."""
        for sight in self.player.visible():
            if sight.name.casefold() == name.casefold():
                return sight
        raise WaystoneError("nobody_of_that_name", f"You see nobody called {name}.")

    async def _walk_to(self, x: float, y: float) -> None:
        size = self.player.zone.size if self.player.zone else 0.0
        x, y = min(max(x, 0.0), size), min(max(y, 0.0), size)
        await self.player.walk_to(x, y)

    async def _go_to(self, name: str) -> None:
        for sight in self.player.visible():
            if sight.name.casefold() == name.casefold():
                await self.player.walk_to(sight.x, sight.y, within=2.0)
                return
        await self.player.walk_through(name)

    async def _who(self) -> None:
        await self.player.describe_unknown()
        people = [sight for sight in self.player.visible() if sight.is_player]
        if not people:
            self.add("answer", "You see nobody.")
        for sight in people:
            way = self._way(sight.x, sight.y)
            effects = f" ({', '.join(sight.effects)})" if sight.effects else ""
            self.add("answer", f"{sight.name or 'somebody'}{effects}, {sight.distance:.0f} m {way}")

    async def _look(self) -> None:
        await self.refresh()
        found = self.surroundings
        if found is None:
            return
        self.add("place", found.zone_name)
        self.add("answer", found.description or "There is nothing to say about this place.")
        self.add("answer", "\n".join(self._exit_lines()) or "There is no way out.")
        for near in found.nearby[:8]:
            self.add("answer", f"  {near.name}, {near.distance:.0f} m away")

    def _exit_lines(self) -> list[str]:
        x, y, _ = self.player.position
        return [
            f"  {way.link}: {way.label}, {((way.x - x) ** 2 + (way.y - y) ** 2) ** 0.5:.0f} m"
            f" {self._way(way.x, way.y)}{' (Premium)' if way.edition == 'premium' else ''}"
            for way in self.exits
        ]

    def _way(self, x: float, y: float) -> str:
        here = self.player.position
        return COMPASS[bearing(x - here[0], y - here[1])]

    async def refresh(self) -> None:
        """Ask for the surroundings, for exits and names."""
        self.surroundings = await self.player.look()

    # ------------------------------------------------------------ events

    async def follow(self) -> None:
        """Turn what comes into lines until the link is over."""
        while not self.is_over:
            event = await self.player.news.get()
            match event:
                case Heard(speaker=speaker, text=text):
                    self.add("speech", f"{speaker}: {text}")
                case Notice(text=text, level=level):
                    self.add("warning" if level == "warning" else "notice", text)
                case Refused(reason=reason, advice=advice):
                    self.add("warning", f"{reason} {advice}")
                case AllianceInvited(inviter=inviter, seconds=seconds):
                    text = f"{inviter} invites you into an alliance: accept {inviter}, or decline {inviter}."
                    self.add("notice", f"{text} ({seconds} s)")
                case AllianceChanged(leader=leader, members=members):
                    names = ", ".join(member.name for member in members)
                    text = f"Alliance of {leader}: {names}" if members else "You are in no alliance any more."
                    if members or self._is_allied:  # it is told again whenever a link is resumed
                        self.add("notice", text)
                    self._is_allied = bool(members)
                case TradeInvited() | TradeChanged() | TradeEnded():
                    self._add_all(self._bargaining.told(event))
                case ZoneAssigned(zone_name=name):
                    self.add("place", f"— {name} —")
                    self._weather = None
                case SkyIs(weather=weather):
                    if self._weather not in (None, weather):
                        self.add("notice", WEATHER_TURNS[weather])
                    self._weather = weather
                case Queued():
                    self.add("notice", place_in_words(event))
                case LinkDown():
                    self.add("warning", "The connection broke. Coming back by itself …")
                case LinkUp():
                    self.add("notice", "Connected again.")
                case Goodbye(reason=reason) if not self._is_quitting:
                    self.add("notice", reason)
                case LinkOver(reason=reason) if not self._is_quitting:
                    if self.lines and self.lines[-1].text != reason:
                        self.add("warning", reason)
                    self.is_over = True

    async def keep_names(self, every_s: float = 1.0) -> None:
        """Learn names and exits of what comes into view, for the map and the list of who is near."""
        place = ("", 0)
        while not self.is_over:
            with contextlib.suppress(WaystoneError):  # between two zones; the next round asks again
                if self.player.place != place:
                    await self.refresh()
                    place = self.player.place
                await self.player.describe_unknown()
            await asyncio.sleep(every_s)
