"""A zone instance: one running copy of a zone. Content, place in the tables, names; the only door to them.

Called by the zone cluster's daemon. Rows are rows of the tables that all instances of the process share; they
are given out by `admit` and stay valid until `remove`.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from zonecluster.protocol.character import Item
from zonecluster.rules.items import NotPossible
from zonecluster.rules.spells import Spell, Target, why_not
from zonecluster.simulation.content import LinkContent, Triggers, ZoneContent
from zonecluster.simulation.effects import add_effect, set_base_speed, show_casting
from zonecluster.simulation.goods import MAX_ON_GROUND, Goods
from zonecluster.simulation.nearby import nearest_to, players_within
from zonecluster.simulation.portals import mark_pending, rearm, triggers_at
from zonecluster.simulation.spawning import Nest
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import CREATURE, PLAYER, Tables

EARSHOT_M = 30.0
REACH_M = 3.0  # how far away vendors, chests and things on the ground may be


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
    kind: int  # as in snapshots
    distance: float

    @property
    def is_player(self) -> bool:
        """Whether it is a player."""
        return self.kind == PLAYER


class ZoneInstance:
    """One running copy of a zone."""

    def __init__(
        self,
        number: int,
        content: ZoneContent,
        tables: Tables,
        rng: np.random.Generator,
        *,
        is_filled: bool = True,
    ) -> None:
        """Open the instance, with its creatures or without: then they come by spawning.spawn_due.

        Raises: ValueError: the content is not sound, or asks for more entities than an instance can hold.
        """
        content.check()
        self.number = number
        self.content = content
        self.is_still = False  # by a move: creatures stand, goods do not change hands
        self.tables = tables
        goods = len(content.vendors) + len(content.chests) + MAX_ON_GROUND
        rows = content.creature_count() + content.max_players + goods
        self._ready_ticks: dict[int, dict[str, int]] = {}  # when each spell of a row may be cast again
        self.place_index = tables.open_place(number, rows, content.size, Triggers.of(content.links))
        try:
            self.names: dict[int, str] = {}  # by row
            self.nest = Nest(content.spawns, tables, self.place_index)
            if is_filled:
                self.nest.hatch(content.creature_count(), self.names, rng)
            self.goods = Goods(tables, self.place_index, content, self.names)
        except Exception:
            tables.close_place(self.place_index)  # the daemon asks again: each try would keep its rows
            raise

    def close(self) -> None:
        """Give all rows back. Nothing of this instance may be called any more."""
        self.tables.close_place(self.place_index)
        self.names.clear()

    # ------------------------------------------------------------ players come and go

    @property
    def player_count(self) -> int:
        """How many players are in, linked or not."""
        return int(np.count_nonzero((self.tables.place == self.place_index) & (self.tables.kind == PLAYER)))

    def admit(self, name: str, stand: Stand | None, health: float = 1.0) -> int:
        """Put a player in; without a usable stand at the zone's entry point.

        Returns: the row.
        Raises: InstanceFull.
        """
        if self.player_count >= self.content.max_players:
            raise InstanceFull(f"{self.content.name} is full: {self.content.max_players} players are in it")
        row = self.tables.take_row(self.place_index, PLAYER)
        self.names[row] = name
        set_base_speed(self.tables, np.array([row]), self.content.top_speed)
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
        self.tables.was_inside[row] = triggers_at(self.tables, np.array([row]))[0]
        self.tables.was_near_trigger[row] = True

    def _usable(self, stand: Stand | None) -> Stand:
        """Return the stand within the zone, or the entry point if it is none."""
        content = self.content
        if stand is None or not all(map(isfinite, (*stand.position, stand.heading_deg))):
            return Stand((content.entry_x, content.entry_y, 0.0), content.entry_heading_deg % 360)
        x, y = (min(max(value, 0.0), content.size) for value in stand.position[:2])
        z = min(max(stand.position[2], -500.0), 500.0)  # what a snapshot can show
        return Stand((x, y, z), stand.heading_deg % 360)

    def remove(self, row: int) -> None:
        """Take somebody out. Nobody has it selected any more."""
        tables = self.tables
        tables.selected[(tables.selected == tables.entity[row]) & (tables.place == self.place_index)] = 0
        tables.free_row(row)
        del self.names[row]
        self.goods.ground.pop(row, None)
        self.nest.gone(row)
        self._ready_ticks.pop(row, None)

    def freeze(self, row: int) -> None:
        """Stop a player from changing in any way. Its wishes are played on, and move it once it is thawed."""
        self.tables.is_frozen[row] = True
        self.tables.velocity[row] = 0

    def thaw(self, row: int) -> None:
        """Let a player go on; a trigger it stands in fires again only once it has left."""
        self.tables.is_frozen[row] = False
        rearm(self.tables, np.array([row]), TICK_S)

    def set_group(self, row: int, group: int) -> None:
        """Note a player's alliance, 0: none. Its members are shown to each other first."""
        self.tables.group[row] = group

    def set_links(self, row: int, *, has_zone_link: bool, has_world_link: bool) -> None:
        """Tell which links a player has; it moves only with both. A new zone link counts its inputs anew."""
        if has_zone_link and not self.tables.has_zone_link[row]:
            self.restart_inputs(row)
        self.tables.has_zone_link[row] = has_zone_link
        self.tables.has_world_link[row] = has_world_link

    def restart_inputs(self, row: int) -> None:
        """Forget all inputs: the player's next one may have any `seq`."""
        tables = self.tables
        tables.cursor[row] = tables.newest_seq[row] = tables.late_since_tick[row] = 0
        tables.playing[row] = tables.pending[row] = 0
        tables.wish[row] = 0

    # ------------------------------------------------------------ selecting and casting

    def select(self, row: int, entity: int) -> bool:
        """Let a player select an entity that it may see; 0: nobody. False: there is no such one."""
        other = self.row_of(entity)
        is_there = other is not None and self._may_see(row, other)
        if entity == 0 or is_there:
            self.tables.selected[row] = entity
        return entity == 0 or is_there

    def target_of(self, row: int, spell: Spell, entity: int) -> int | None:
        """Return the row that a spell would be cast on; None: nobody whom the caster may see.

        Args: entity: 0: whom the caster has selected if the spell needs a target, else the caster itself.
        """
        if entity == 0 and not spell.needs_target:
            return row
        other = self.row_of(entity or int(self.tables.selected[row]))
        if other is None or not self._may_see(row, other):
            return None
        return other if self.tables.kind[other] in (PLAYER, CREATURE) else None

    def cast(self, row: int, spell: Spell, other: int | None) -> str:
        """Cast a spell on somebody in the instance; returns why not, for people: empty if it was cast."""
        tables, ready_ticks = self.tables, self._ready_ticks.setdefault(row, {})
        refusal = why_not(
            spell, self._target(row, other), (ready_ticks.get(spell.name, 0) - tables.tick) * TICK_S
        )
        if not refusal and other is not None:
            ready_ticks[spell.name] = tables.tick + round(spell.cooldown / TICK_S)
            add_effect(tables, other, spell.effect, spell.seconds, TICK_S)
            show_casting(tables, row, TICK_S)
        return refusal

    def _target(self, row: int, other: int | None) -> Target | None:
        if other is None:
            return None
        tables = self.tables
        distance = float(np.linalg.norm(tables.position[other] - tables.position[row]))
        return Target(
            distance, other == row, bool(tables.kind[other] == PLAYER), bool(tables.is_frozen[other])
        )

    # ------------------------------------------------------------ vendors, chests, things on the ground

    def within_reach(self, row: int, entity: int, kind: int) -> int:
        """Return the row of a vendor, chest or item that a player may see and reach.

        Raises: NotPossible: there is none, or it is too far.
        """
        other = self.row_of(entity)
        if other is None or self.tables.kind[other] != kind or not self._may_see(row, other):
            raise NotPossible("nothing_there", "There is nothing like that here.")
        offset = self.tables.position[other, :2] - self.tables.position[row, :2]
        distance = float(np.hypot(*offset))
        if distance > REACH_M:
            text = f"{self.names[other]} is {distance:.0f} m away, and you reach {REACH_M:g} m."
            raise NotPossible("out_of_reach", text)
        return other

    def lay(self, row: int, item: Item) -> int:
        """Lay a thing where a player stands, hidden until `goods.show`; returns its entity id.

        Raises: NotPossible: too much lies around.
        """
        if not self.goods.has_room_on_ground:
            raise NotPossible("ground_full", "Too much lies around here already.")
        x, y, z = self.tables.position[row].tolist()
        laid = self.goods.lay(item, (x, y, z))  # before a column is named: the tables may grow
        return int(self.tables.entity[laid])

    def clear_ground(self) -> None:
        """Take away what has lain around for long enough."""
        for row in self.goods.vanishing():
            self.remove(row)

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
        return self._sights(row, nearest_to(self.tables, row))

    def describe(self, row: int, entities: list[int]) -> list[Sight]:
        """Return those of the entity ids that exist and may be seen, in the order asked."""
        rows = [self.row_of(entity) for entity in entities]
        found = [other for other in rows if other is not None and self._may_see(row, other)]
        return self._sights(row, np.array(found, np.int64))

    def row_of(self, entity: int) -> int | None:
        """Return the row of an entity id; None if it is nobody's here (any more). Any integer is safe."""
        return self.tables.row_of(self.place_index, entity)

    def _may_see(self, row: int, other: int) -> bool:
        return row == other or not self.tables.is_hidden[other]

    def _sights(self, row: int, others: np.ndarray) -> list[Sight]:
        offsets = self.tables.position[others] - self.tables.position[row]
        distances = np.sqrt(np.einsum("ni,ni->n", offsets, offsets))
        return [
            Sight(
                int(self.tables.entity[other]),
                self.names[other],
                int(self.tables.kind[other]),
                distance,
            )
            for other, distance in zip(others.tolist(), distances.tolist(), strict=True)
        ]

    def hearers(self, row: int) -> np.ndarray:
        """Return the rows of the players within earshot of one, itself left out."""
        return players_within(self.tables, row, EARSHOT_M)

    def link_at(self, row: int, slug: str) -> LinkContent | None:
        """Return the zone link of that slug if the player stands within its trigger."""
        inside = triggers_at(self.tables, np.array([row]))[0]
        for link, is_inside in zip(self.content.links, inside, strict=False):  # padded
            if link.slug == slug and is_inside:
                return link
        return None

    def use_portal(self, row: int, link: LinkContent) -> bool:
        """Remember that the daemon is told of this player's portal; False if it has been told already."""
        if self.tables.is_portal_pending[row] or self.tables.is_frozen[row]:
            return False
        self._note_triggers(row)
        mark_pending(self.tables, np.array([row]), np.array([self.content.links.index(link)]))
        return True
