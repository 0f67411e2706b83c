"""Many instances in one table: they come, grow and go, and none sees or disturbs another."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from zonecluster.daemon.views import scene_of
from zonecluster.interest.tree import TreeInterest
from zonecluster.simulation.content import LinkContent, SpawnContent, ZoneContent
from zonecluster.simulation.inputs import NO_INPUTS
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import COLUMNS, Tables

SIZES = (16.0, 100.0, 4096.0)


def content(size: float, creatures: int, portals: int) -> ZoneContent:
    spawn = SpawnContent("gull", "Gull", 2.0, creatures, 8, 8, 5)
    links = tuple(LinkContent(f"p{n}", "P", "x", n, 3, 1.0) for n in range(portals))
    return ZoneContent("z", "Z", "", size, 8.0, 8.0, max_players=100, spawns=(spawn,), links=links)


class ComingAndGoing(RuleBasedStateMachine):
    """Whatever opens, closes and grows, everybody stays who and where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.tables, self.rng = Tables(), np.random.default_rng(1)
        self.instances: list[ZoneInstance] = []
        self.players: dict[tuple[int, int], tuple[ZoneInstance, int, float]] = {}  # by number and entity id
        self.opened = 0

    @rule(size=st.sampled_from(SIZES), creatures=st.integers(0, 50), portals=st.integers(0, 3))
    def open(self, size: float, creatures: int, portals: int) -> None:
        self.opened += 1
        zone = content(size, creatures, portals)
        self.instances.append(ZoneInstance(self.opened, zone, self.tables, self.rng))

    @precondition(lambda self: self.instances)
    @rule(data=st.data(), count=st.integers(1, 70))
    def admit(self, data: st.DataObject, count: int) -> None:
        instance = data.draw(st.sampled_from(self.instances))
        for _ in range(min(count, 100 - instance.player_count)):
            mark = float(len(self.players) % 300)
            row = instance.admit(f"Bob {mark}", Stand((mark / 300 * instance.content.size, 0, mark), 0))
            identity = instance.number, int(self.tables.entity[row])
            assert identity not in self.players
            self.players[identity] = instance, row, mark

    @precondition(lambda self: self.players)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        identity = data.draw(st.sampled_from(sorted(self.players)))
        instance, row, _ = self.players.pop(identity)
        instance.remove(row)
        assert instance.row_of(identity[1]) is None

    @precondition(lambda self: self.instances)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(self.instances))
        self.instances.remove(instance)
        for identity in [each for each in self.players if each[0] == instance.number]:
            del self.players[identity]
        instance.close()

    @rule()
    def tick(self) -> None:
        step(self.tables, NO_INPUTS, TICK_S, self.rng)

    @invariant()
    def everybody_is_who_and_where_they_were(self) -> None:
        for (number, entity), (instance, row, mark) in self.players.items():
            assert instance.row_of(entity) == row and instance.names[row] == f"Bob {mark}"
            assert self.tables.position[row, 2] == mark
            assert self.tables.places.numbers[self.tables.place[row]] == number

    @invariant()
    def nobody_else_is_there(self) -> None:
        tables = self.tables
        creatures = sum(instance.content.creature_count() for instance in self.instances)
        assert np.count_nonzero(tables.alive) == creatures + len(self.players)
        assert np.array_equal(tables.alive, tables.place >= 0)
        for name, column in COLUMNS.items():
            if name != "generation":
                assert (getattr(tables, name)[~tables.alive] == column.nobody).all(), name
        ids = np.stack([tables.place, tables.entity.astype(np.int64)], axis=1)[tables.alive]
        assert len(np.unique(ids, axis=0)) == len(ids)

    @invariant()
    def nobody_sees_another_zone(self) -> None:
        rows = np.array(sorted(row for _, row, _ in self.players.values()), np.int64)
        seen, counts = TreeInterest().nearest(scene_of(self.tables), rows)
        for row, others, count in zip(rows, seen, counts.tolist(), strict=True):
            assert (self.tables.place[others[:count]] == self.tables.place[row]).all()


TestComingAndGoing = ComingAndGoing.TestCase
TestComingAndGoing.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_what_happens_in_one_zone_changes_nothing_in_another() -> None:
    """The other zone plays the same whether this one is crowded or empty: it draws no random numbers."""
    ways = []
    for is_crowded in (False, True):
        tables, rng = Tables(), np.random.default_rng(1)
        quiet = ZoneInstance(1, content(100.0, 0, 2), tables, rng)
        alice = quiet.admit("Alice", Stand((1.0, 50.0, 0.0), 0.0))
        busy = ZoneInstance(2, content(4096.0, 0, 3), tables, rng)
        quiet.set_links(alice, has_zone_link=True, has_world_link=True)
        if is_crowded:
            for number in range(90):
                row = busy.admit("Mallory", Stand((number, 3.0, 0.0), 0.0))
                busy.set_links(row, has_zone_link=True, has_world_link=True)
                tables.wish[row] = 0.5, -0.5
        way = []
        for _ in range(60):
            tables.input_tick[:] = tables.tick  # nobody is silent
            tables.wish[alice] = 0.0, -1.0
            entries = step(tables, NO_INPUTS, TICK_S, rng)
            way.append((tables.position[alice].tolist(), alice in entries.rows.tolist()))
        ways.append(way)
    assert ways[0] == ways[1]
