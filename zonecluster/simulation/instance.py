"""A zone instance: one running copy of a zone. Content, tables and names, and the only door to them.

Called by the zone cluster's daemon. Rows are given out by `admit` and stay valid until `remove`.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from zonecluster.simulation.content import LinkContent, Triggers, ZoneContent
from zonecluster.simulation.creatures import place_creatures
from zonecluster.simulation.inputs import NO_INPUTS, Inputs
from zonecluster.simulation.interest import nearest_others, within_earshot
from zonecluster.simulation.portals import PortalEntries, mark_pending, rearm
from zonecluster.simulation.snapshots import Clock, Snapshots, take_snapshots
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import PLAYER, Tables

EARSHOT_M = 30.0


class InstanceFull(RuntimeError):
    """The zone has as many players as its content allows."""


@dataclass(frozen=True)
class Stand:
    """Where somebody stands: x, y, z in metres in the zone's frame, heading 0..360, 0 = +y, clockwise."""

    position: tuple[float, float, float]
    heading_deg: float


@dataclass(frozen=True)
class Sight:
    """One entity as told to a player. Distance in metres."""

    entity: int
    name: str
    is_player: bool
    distance: float


class ZoneInstance:
    """One running copy of a zone."""

    def __init__(self, number: int, content: ZoneContent, rng: np.random.Generator) -> None:
        """Open the instance with its creatures.

        Raises: ValueError: the content asks for more entities than an instance can hold.
        """
        self.number = number
        self.content = content
        self.rng = rng
        self.triggers = Triggers.of(content.links)
        self.tables = Tables(content.creature_count() + content.max_players, len(content.links))
        self.names = [""] * self.tables.capacity
        creatures = place_creatures(self.tables, content.spawns, content.size, rng)
        kinds = [spawn.name for spawn in content.spawns for _ in range(spawn.count)]
        for row, name in zip(creatures, kinds, strict=True):
            self.names[row] = name

    # ------------------------------------------------------------ players come and go

    @property
    def player_count(self) -> int:
        """How many players are in, linked or not."""
        return int(np.count_nonzero(self.tables.alive & (self.tables.kind == PLAYER)))

    def admit(self, name: str, stand: Stand | None, health: float = 1.0) -> int:
        """Put a player in; without a usable stand at the zone's entry point.

        Returns: the row.
        Raises: InstanceFull.
        """
        if self.player_count >= self.content.max_players:
            raise InstanceFull(f"{self.content.name} is full: {self.content.max_players} players are in it")
        row = self.tables.take_row(PLAYER)
        self.names[row] = name
        self.tables.top_speed[row] = self.content.top_speed
        self.tables.health[row] = health
        self.place(row, stand)
        return row

    def place(self, row: int, stand: Stand | None) -> None:
        """Stand a player somewhere at once; triggers it stands in are silent until it has left them."""
        tables, stand = self.tables, self._usable(stand)
        tables.position[row] = stand.position
        tables.velocity[row] = 0
        tables.wish[row] = 0
        tables.heading_deg[row] = stand.heading_deg
        self._note_triggers(row)
        rearm(tables, np.array([row]), TICK_S)

    def _note_triggers(self, row: int) -> None:
        """Whatever trigger the player stands in now, it has to leave before it fires."""
        self.tables.was_inside[row] = self.triggers.contain(self.tables.position[row : row + 1])[0]

    def _usable(self, stand: Stand | None) -> Stand:
        """Return the stand within the zone, or the entry point if it is none."""
        content = self.content
        if stand is None or not all(map(isfinite, (*stand.position, stand.heading_deg))):
            return Stand((content.entry_x, content.entry_y, 0.0), content.entry_heading_deg % 360)
        x, y = (min(max(value, 0.0), content.size) for value in stand.position[:2])
        z = min(max(stand.position[2], -500.0), 500.0)  # what a snapshot can show
        return Stand((x, y, z), stand.heading_deg % 360)

    def remove(self, row: int) -> None:
        """Take somebody out."""
        self.tables.free_row(row)
        self.names[row] = ""

    def freeze(self, row: int) -> None:
        """Stop a player from changing in any way."""
        self.tables.is_frozen[row] = True
        self.tables.wish[row] = 0
        self.tables.velocity[row] = 0

    def thaw(self, row: int) -> None:
        """Let a player go on; a trigger it stands in fires again only once it has left."""
        self.tables.is_frozen[row] = False
        rearm(self.tables, np.array([row]), TICK_S)

    def set_links(self, row: int, *, has_zone_link: bool, has_world_link: bool) -> None:
        """Tell which links a player has; it moves only with both. A new zone link counts inputs from 1."""
        if has_zone_link and not self.tables.has_zone_link[row]:
            self.restart_inputs(row)
        self.tables.has_zone_link[row] = has_zone_link
        self.tables.has_world_link[row] = has_world_link
        if not (has_zone_link and has_world_link):
            self.tables.wish[row] = 0

    def restart_inputs(self, row: int) -> None:
        """Forget the last input: the player's next one may have any `seq` from 1."""
        self.tables.input_seq[row] = 0
        self.tables.wish[row] = 0

    # ------------------------------------------------------------ a tick

    def step(self, inputs: Inputs = NO_INPUTS) -> PortalEntries:
        """Advance by one tick."""
        return step(self.tables, self.triggers, self.content.size, inputs, TICK_S, self.rng)

    def snapshots(self, clock: Clock) -> Snapshots:
        """Encode what every player with a zone link sees."""
        return take_snapshots(self.tables, self.number, self.content.size, clock)

    def take_metres(self, row: int) -> int:
        """Return the whole metres walked since the last call; what is left of a metre stays."""
        whole = int(self.tables.metres_walked[row])
        self.tables.metres_walked[row] -= whole
        return whole

    # ------------------------------------------------------------ questions

    def stand_of(self, row: int) -> Stand:
        """Return where somebody stands."""
        x, y, z = self.tables.position[row].tolist()
        return Stand((x, y, z), float(self.tables.heading_deg[row]) % 360)

    def nearby(self, row: int) -> list[Sight]:
        """Return the nearest others of one player, nearest first."""
        everybody = np.flatnonzero(self.tables.alive)
        viewer = np.searchsorted(everybody, [row])
        others = everybody[nearest_others(self.tables.position[everybody], viewer)[0]]
        return self._sights(row, others)

    def describe(self, row: int, entities: list[int]) -> list[Sight]:
        """Return those of the entity ids that exist, in the order asked."""
        found = [other for entity in entities if (other := self.tables.row_of(entity)) is not None]
        return self._sights(row, np.array(found, np.int64))

    def _sights(self, row: int, others: np.ndarray) -> list[Sight]:
        offsets = self.tables.position[others] - self.tables.position[row]
        distances = np.sqrt(np.einsum("ni,ni->n", offsets, offsets))
        return [
            Sight(
                self.tables.entity_id(other),
                self.names[other],
                bool(self.tables.kind[other] == PLAYER),
                distance,
            )
            for other, distance in zip(others.tolist(), distances.tolist(), strict=True)
        ]

    def hearers(self, row: int) -> np.ndarray:
        """Return the rows of the players within earshot of one, itself left out."""
        rows = self.tables.player_rows()
        heard = rows[within_earshot(self.tables.position[rows], int(np.searchsorted(rows, row)), EARSHOT_M)]
        return heard[heard != row]

    def link_at(self, row: int, slug: str) -> LinkContent | None:
        """Return the zone link of that slug if the player stands within its trigger."""
        inside = self.triggers.contain(self.tables.position[row : row + 1])[0]
        for link, is_inside in zip(self.content.links, inside, strict=True):
            if link.slug == slug and is_inside:
                return link
        return None

    def use_portal(self, row: int) -> bool:
        """Remember that the daemon is told of this player's portal; False if it has been told already."""
        if self.tables.is_portal_pending[row] or self.tables.is_frozen[row]:
            return False
        self._note_triggers(row)
        mark_pending(self.tables, np.array([row]))
        return True
