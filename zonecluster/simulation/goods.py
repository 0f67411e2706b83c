"""Vendors, chests and things on the ground of one zone instance: their rows, and what is in them.

Nothing here is durable: the ground is empty when the instance opens, and a chest full, or empty if the
instance ran before. What a character gets or gives is in its document alone.
"""

from dataclasses import dataclass, field

import numpy as np

from zonecluster.protocol.bus import LineKind
from zonecluster.protocol.character import Item
from zonecluster.rules.items import NotPossible
from zonecluster.simulation.content import ChestContent, VendorContent, ZoneContent
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import CHEST, ITEM, VENDOR, Tables

MAX_ON_GROUND = 256  # things that lie in one instance; more are not laid down
GROUND_S = 300.0  # so long a thing lies there for all to see, in game time
HIDDEN_S = 3600.0  # so long it waits to be shown: the master may be away


@dataclass
class Chest:
    """A chest, what is in it, and from which tick on it is filled anew, when somebody looks into it."""

    content: ChestContent
    items: list[Item] = field(default_factory=list)
    coins: int = 0
    fill_tick: int | None = 0  # None: it was filled, and its time begins when it is looted

    def look_into(self, tick: int, rng: np.random.Generator) -> None:
        """Fill the chest if it is time: each line of its loot has its own chance."""
        if self.fill_tick is None or tick < self.fill_tick:
            return
        content = self.content
        self.items = [
            Item(loot.kind, int(rng.integers(loot.least, loot.most, endpoint=True)))
            for loot in content.loot
            if rng.random() < loot.chance
        ]
        self.coins = int(rng.integers(content.least_coins, content.most_coins, endpoint=True))
        self.fill_tick = None

    def leave(self, items: list[Item], coins: int, tick: int) -> None:
        """Leave this in the chest; from the first time on that something was taken its time runs."""
        self.items, self.coins = items, coins
        if self.fill_tick is None or self.fill_tick <= tick:
            self.fill_tick = tick + round(self.content.refill_s / TICK_S)


@dataclass(frozen=True)
class Laid:
    """A thing on the ground, the tick at which it vanishes, and whose it may be: main and forks are apart."""

    item: Item
    end_tick: int
    line: LineKind = "main"


class Goods:
    """All of it, of one instance."""

    def __init__(self, tables: Tables, place: int, content: ZoneContent, names: dict[int, str]) -> None:
        """Stand vendors and chests in their places.

        Args: names: what players read, by row: the instance's; those of things are added to it.
        """
        self._tables = tables
        self._place = place
        self._names = names
        self.kinds = {kind.slug: kind for kind in content.kinds}
        self.vendors: dict[int, VendorContent] = {}
        self.chests: dict[int, Chest] = {}
        self.ground: dict[int, Laid] = {}
        for vendor in content.vendors:
            row = self._stand(VENDOR, (vendor.x, vendor.y, 0.0), vendor.name)
            tables.heading_deg[row] = vendor.heading_deg
            self.vendors[row] = vendor
        for chest in content.chests:
            self.chests[self._stand(CHEST, (chest.x, chest.y, 0.0), chest.name)] = Chest(chest)

    def _stand(self, kind: int, position: tuple[float, float, float], name: str) -> int:
        row = self._tables.take_row(self._place, kind)
        self._tables.position[row] = position
        self._tables.health[row] = 1.0
        self._names[row] = name
        return row

    @property
    def has_room_on_ground(self) -> bool:
        """Whether another thing may be laid down."""
        return len(self.ground) < MAX_ON_GROUND

    def lay(self, item: Item, position: tuple[float, float, float]) -> int:
        """Lay a thing down, hidden: nobody sees it or takes it until it is shown.

        Returns: its row. Raises: TableFull.
        """
        kind = self.kinds.get(item.kind)
        name = kind.name if kind is not None else item.kind
        row = self._stand(ITEM, position, f"{item.count} × {name}" if item.count > 1 else name)
        self._tables.is_hidden[row] = True
        self.ground[row] = Laid(item, self._tables.tick + round(HIDDEN_S / TICK_S))
        return row

    def show(self, entity: int, line: LineKind) -> None:
        """Let everybody see a thing that was laid down; nothing if it has vanished meanwhile.

        Args: line: of the document that it has left.
        """
        row = self._tables.row_of(self._place, entity)
        if row is not None and row in self.ground:
            self._tables.is_hidden[row] = False
            end_tick = self._tables.tick + round(GROUND_S / TICK_S)
            self.ground[row] = Laid(self.ground[row].item, end_tick, line)

    def show_until(self, row: int, line: LineKind, end_tick: int) -> None:
        """Let everybody see a thing that was shown elsewhere before, until it vanishes."""
        self._tables.is_hidden[row] = False
        self.ground[row] = Laid(self.ground[row].item, end_tick, line)

    def taken_by(self, row: int, line: LineKind) -> Item:
        """Return what lies there, for a character of that line. Raises: NotPossible: it is another line's."""
        laid = self.ground[row]
        if laid.line != line:
            whose = "the main line" if laid.line == "main" else "this world's own line"
            text = f"A character of {whose} has laid that down, and you do not play one."
            raise NotPossible("other_line", text)
        return laid.item

    def empty_chests(self) -> None:
        """Nobody knows what was taken of the chests: their time runs anew."""
        for chest in self.chests.values():
            chest.leave([], 0, self._tables.tick)

    def vanishing(self) -> list[int]:
        """Return the rows of things that have lain there long enough."""
        return [row for row, laid in self.ground.items() if laid.end_tick <= self._tables.tick]
