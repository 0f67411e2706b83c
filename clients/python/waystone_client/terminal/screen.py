"""Play on a whole terminal screen: a map, who is near, the story, a line to type in. By prompt_toolkit."""

import asyncio
import math
import time

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import HSplit, Layout, VSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import TextArea

from waystone_client.player import Player
from waystone_client.terminal.commands import GoTo, Step, WalkTo, parse
from waystone_client.terminal.story import Story
from waystone_client.terminal.surroundings_map import ARROWS, bearing, draw

REDRAW_S = 0.1
KEY_WALK_S = 0.5  # an arrow key walks for so long; held down, it repeats sooner than that
ARROW_KEYS = {"up": (0.0, 1.0), "down": (0.0, -1.0), "left": (-1.0, 0.0), "right": (1.0, 0.0)}
SIDE_COLUMNS = 34
EFFECT_MARKS = {"haste": "»", "slow": "~", "root": "+", "light": "*", "shield": "°"}  # behind a name
WORDS = [
    *("say", "select", "cast", "look", "who", "exits", "where", "walk to", "go", "stop", "help", "quit"),
    *("inventory", "wares", "buy", "sell", "loot", "take", "drop", "equip", "unequip", "deposit", "withdraw"),
    *("invite", "accept", "decline", "leave", "time"),
]

STYLE = Style.from_dict(
    {
        "header": "bg:#1d3b4d #e8f1f5 bold",
        "rule": "#3c5a6b",
        "title": "#8fb8cc bold",
        "dim": "#7d8b93",
        "self": "#ffd75f bold",
        "player": "#5fd7ff bold",
        "creature": "#87af5f",
        "item": "#ffd75f",
        "chest": "#d7af5f",
        "vendor": "#5fafaf bold",
        "exit": "#d787ff bold",
        "ground": "#4e5a4e",
        "outside": "#30383c",
        "speech": "#ffffff",
        "notice": "#8fd0a0",
        "warning": "#ff8f6b",
        "answer": "#c8d3d9",
        "place": "#d787ff bold",
        "echo": "#7d8b93",
        "prompt": "#ffd75f bold",
        "health": "#d75f5f",
    }
)


class Screen:
    """The screen of one player."""

    def __init__(self, player: Player, world_name: str) -> None:
        self._player = player
        self._world_name = world_name
        self._story = Story(player, lambda _: None)
        self._walking: asyncio.Task[None] | None = None
        self._orders: set[asyncio.Task[None]] = set()
        self._keys_until = 0.0
        self._input = TextArea(
            height=1,
            prompt=[("class:prompt", "› ")],
            multiline=False,
            history=InMemoryHistory(),
            completer=WordCompleter(self._completions, sentence=True),
            complete_while_typing=False,
            accept_handler=self._accept,
        )
        self._app: Application[None] = Application(
            layout=Layout(self._layout(), focused_element=self._input),
            key_bindings=self._bindings(),
            style=STYLE,
            full_screen=True,
            refresh_interval=REDRAW_S,
        )

    async def run(self) -> None:
        """Play until the person quits or the world ends the link."""
        self._story.add("notice", "Arrow keys walk. Type help for the commands, quit to leave.")
        background = [
            asyncio.create_task(self._story.follow()),
            asyncio.create_task(self._story.keep_names()),
            asyncio.create_task(self._stop_after_keys()),
            asyncio.create_task(self._end_when_over()),
        ]
        try:
            await self._app.run_async()
        finally:
            for task in [*background, *self._orders]:
                task.cancel()
            await asyncio.gather(*background, *self._orders, return_exceptions=True)

    @property
    def last_lines(self) -> list[str]:
        """The end of the story, to be left on the terminal afterwards."""
        return [line.text for line in list(self._story.lines)[-3:]]

    async def _end_when_over(self) -> None:
        while not self._story.is_over:
            await asyncio.sleep(REDRAW_S)
        self._app.exit()

    # ------------------------------------------------------------ keys and orders

    def _accept(self, buffer: Buffer) -> bool:
        order = parse(buffer.text)
        if order is None:
            return False
        self._story.add("echo", f"› {buffer.text.strip()}")
        if isinstance(order, Step | WalkTo | GoTo) or getattr(order, "word", "") == "stop":
            self._stop_walking()
        task = asyncio.get_running_loop().create_task(self._story.carry_out(order))
        if isinstance(order, Step | WalkTo | GoTo):
            self._walking = task
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)
        return False

    def _stop_walking(self) -> None:
        if self._walking is not None:
            self._walking.cancel()
            self._walking = None

    def _completions(self) -> list[str]:
        names = [sight.name for sight in self._player.visible() if sight.name and sight.is_player]
        ways = [f"go {way.link}" for way in self._story.exits]
        return WORDS + ways + [f"walk to {name}" for name in names]

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()
        is_empty = Condition(lambda: not self._input.text)

        @bindings.add("c-c")
        @bindings.add("c-d")
        def _quit(event: KeyPressEvent) -> None:
            if self._story.is_over:
                event.app.exit()
                return
            self._orders.add(asyncio.get_running_loop().create_task(self._quit()))

        for key, (x, y) in ARROW_KEYS.items():

            @bindings.add(key, filter=is_empty)
            def _walk(event: KeyPressEvent, x: float = x, y: float = y) -> None:
                self._stop_walking()
                self._player.walk(x, y)
                self._keys_until = time.monotonic() + KEY_WALK_S

        return bindings

    async def _quit(self) -> None:
        await self._story.carry_out(parse("quit") or GoTo(""))
        self._story.is_over = True  # also when the world did not answer: the person wants to go

    async def _stop_after_keys(self) -> None:
        while True:
            await asyncio.sleep(REDRAW_S)
            if self._keys_until and time.monotonic() > self._keys_until:
                self._keys_until = 0.0
                self._player.stop()

    # ------------------------------------------------------------ drawing

    def _layout(self) -> HSplit:
        def window(text: object, **options: object) -> Window:
            return Window(FormattedTextControl(text), **options)  # type: ignore[arg-type]

        upper = VSplit(
            [
                window(self._draw_map, wrap_lines=False),
                window([("class:rule", "│")], width=1, char="│", style="class:rule"),
                window(self._draw_side, width=SIDE_COLUMNS, wrap_lines=False),
            ],
            height=lambda: Dimension.exact(self._map_rows()),
        )
        return HSplit(
            [
                window(self._draw_header, height=1, style="class:header"),
                upper,
                Window(height=1, char="─", style="class:rule"),
                window(self._draw_story, wrap_lines=True),
                Window(height=1, char="─", style="class:rule"),
                self._input,
            ]
        )

    def _size(self) -> tuple[int, int]:
        size = self._app.output.get_size()
        return size.columns, size.rows

    def _map_rows(self) -> int:
        return max(7, min(23, self._size()[1] * 11 // 20))

    def _draw_header(self) -> StyleAndTextTuples:
        player = self._player
        zone = player.zone.zone_name if player.zone else "…"
        sky = f" · {player.sky}" if player.sky.told is not None else ""
        left = f" {self._world_name} · {zone} · {player.name}{sky}"
        right = ""
        if player.snapshot is not None:
            x, y, _ = player.position
            pace = (
                "" if player.snapshot.dilation > 0.97 else f" · time runs at {player.snapshot.dilation:.0%}"
            )
            frozen = " · held for a moment" if player.snapshot.is_frozen else ""
            effects = "".join(f" · {effect}" for effect in player.effects)
            right = f"{x:.0f} m E, {y:.0f} m N{effects}{pace}{frozen} "
        gap = max(1, self._size()[0] - get_cwidth(left) - get_cwidth(right))
        return [("", left + " " * gap + right)]

    def _draw_map(self) -> StyleAndTextTuples:
        player = self._player
        if player.snapshot is None:
            return [("class:dim", "\n  Looking around …")]
        columns = max(20, self._size()[0] - SIDE_COLUMNS - 1)
        lines = draw(player.position[:2], player.visible(), self._story.ground, columns, self._map_rows())
        fragments: StyleAndTextTuples = []
        for line in lines:
            fragments.extend((f"class:{kind}", character) for kind, character in line)
            fragments.append(("", "\n"))
        return fragments[:-1]

    def _draw_side(self) -> StyleAndTextTuples:
        fragments: StyleAndTextTuples = [("class:title", " Ways out\n")]
        if self._player.snapshot is None:
            return fragments
        here = self._player.position
        for way in self._story.exits[:6]:
            dx, dy = way.x - here[0], way.y - here[1]
            fragments += self._entry("exit", way.link, dx, dy, math.hypot(dx, dy))
        fragments.append(("class:title", "\n Near\n"))
        for sight in self._player.visible()[: max(2, self._map_rows() - len(self._story.exits) - 4)]:
            kind = sight.kind or "creature"
            marks = "".join(EFFECT_MARKS.get(effect, "") for effect in sight.effects)
            name = ("› " if sight.id == self._player.selected else "") + (sight.name or "…") + marks
            fragments += self._entry(kind, name, sight.x - here[0], sight.y - here[1], sight.distance)
        return fragments

    def _entry(self, kind: str, name: str, dx: float, dy: float, distance: float) -> StyleAndTextTuples:
        width = SIDE_COLUMNS - 12
        shown = name if len(name) <= width else name[: width - 1] + "…"
        arrow = ARROWS[bearing(dx, dy)] if distance >= 1 else "·"
        return [
            (f"class:{kind}", f"  {shown:<{width}}"),
            ("class:dim", f" {arrow} {distance:4.0f} m\n"),
        ]

    def _draw_story(self) -> StyleAndTextTuples:
        columns, rows = self._size()
        room = max(3, rows - self._map_rows() - 4)
        chosen: list[tuple[str, str]] = []
        for line in reversed(self._story.lines):
            room -= max(1, math.ceil(get_cwidth(line.text) / max(1, columns)))
            if room < 0:
                break
            chosen.append((f"class:{line.kind}", line.text + "\n"))
        return list(reversed(chosen))
