"""A whole instance: determinism, snapshots decoded again, who may be where."""

import math
from dataclasses import replace

import numpy as np
import pytest

from zonecluster.daemon.views import Views
from zonecluster.interest.visibility import SightFault
from zonecluster.protocol.snapshot_view import Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, NO_ZONE_LINK
from zonecluster.simulation.content import LinkContent, SpawnContent, ZoneContent
from zonecluster.simulation.inputs import NO_INPUTS, decode_inputs
from zonecluster.simulation.instance import InstanceFull, Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import Tables
from zonecluster.snapshots.parts import Clock

CONTENT = ZoneContent(
    slug="harbour",
    name="Harbour",
    description="",
    size=200.0,
    entry_x=100.0,
    entry_y=90.0,
    entry_heading_deg=45.0,
    max_players=100,
    links=(LinkContent("up", "Up", "hill", 100, 100, 2),),
    spawns=(SpawnContent("gull", "Gull", 2.0, 10, 50, 50, 8),),
)


def opened(seed: int = 1, content: ZoneContent = CONTENT, tables: Tables | None = None) -> ZoneInstance:
    tables = Tables() if tables is None else tables
    return ZoneInstance(7, content, tables, np.random.default_rng(seed))


def linked(instance: ZoneInstance, name: str, stand: Stand | None = None) -> int:
    """Admit a player with both links."""
    row = instance.admit(name, stand)
    instance.set_links(row, has_zone_link=True, has_world_link=True)
    return row


def play(seed: int, inputs_seed: int) -> bytes:
    """Play 200 ticks of two zones and 30 players who come, go, walk and freeze; return the state's digest."""
    tables, rng, wishes = Tables(), np.random.default_rng(seed), np.random.default_rng(inputs_seed)
    instances = [ZoneInstance(number, CONTENT, tables, rng) for number in (7, 8)]
    instance = instances[0]
    rows = [linked(instances[number % 2], f"Bob {number}") for number in range(30)]
    for tick in range(1, 200):
        header = np.array((INPUT, 1, 0), INPUT_HEADER).tobytes()
        payloads = [
            header
            + np.array(
                (tick, *wishes.integers(-128, 128, 2), wishes.integers(256), 0), INPUT_RECORD
            ).tobytes()
            for _ in rows
        ]
        step(tables, decode_inputs(rows, payloads), TICK_S, rng)
        if tick == 50:
            instance.freeze(rows[2])
        if tick == 100:
            instances[1].remove(rows.pop())
            instance.thaw(rows[2])
            rows.append(linked(instance, "Alice", Stand((1.0, 2.0, 3.0), 9.0)))
        if tick == 150:
            ZoneInstance(9, CONTENT, tables, rng)
    return tables.digest()


def test_same_seed_openings_and_inputs_give_the_same_state() -> None:
    assert play(1, 2) == play(1, 2)


def test_another_seed_or_other_inputs_give_another_state() -> None:
    assert len({play(1, 2), play(2, 2), play(1, 3)}) == 3


def shown(tables: Tables, viewers: list[int], clock: Clock) -> list[Snapshot]:
    """Return what each of the rows sees."""
    rows = np.array(viewers)
    faults: list[SightFault] = []
    views = Views("plain", len(rows), sights={}, tell_fault=faults.append)
    slots = np.arange(len(rows))
    payloads, lengths = views.snapshots(tables, rows, slots, clock, lambda phase: None)
    found = []
    for payload, length in zip(payloads, lengths.tolist(), strict=True):
        snapshot = SnapshotReader().read(payload[:length].tobytes())
        assert isinstance(snapshot, Snapshot), snapshot
        found.append(snapshot)
    return found


def test_snapshot_decodes_to_what_is_there() -> None:
    instance = opened()
    alice = linked(instance, "Alice", Stand((150.0, 50.0, 12.5), 90.0))
    bob = instance.admit("Bob", Stand((200.0, 0.0, -3.0), 359.9), health=0.5)
    instance.tables.corrections[alice] = 65535
    instance.freeze(alice)
    step(instance.tables, NO_INPUTS, TICK_S, np.random.default_rng(1))
    [snapshot] = shown(instance.tables, [alice], Clock(2, 123_456_789_012, 0.5))
    assert (snapshot.tick, snapshot.time_ms, snapshot.dilation) == (2, 123_456_789_012, 0.5)
    assert (snapshot.is_frozen, snapshot.corrections, snapshot.instance) == (True, 65535, 7)
    assert snapshot.top_speed == 5.0
    entities = snapshot.entities
    assert len(entities) == 12
    own = entities[0]
    assert own["id"] == instance.tables.entity[alice]
    assert (own["x"], own["y"], own["z"]) == (49151, 16384, 800)
    assert (own["heading"], own["animation"], own["kind_flags"], own["health"]) == (64, 3, 0, 255)
    other = entities[entities["id"] == instance.tables.entity[bob]][0]
    assert (other["x"], other["y"], other["z"], other["heading"]) == (65535, 0, -192, 0)
    assert (other["health"], other["kind_flags"]) == (128, NO_ZONE_LINK)
    assert (snapshot.kinds() == 1).sum() == 10


def test_snapshot_of_a_crowd_is_the_nearest_64() -> None:
    instance = opened()
    rng, tables = np.random.default_rng(3), instance.tables
    rows = [linked(instance, "Bob", Stand((*rng.uniform(0, 200, 2).tolist(), 0.0), 0.0)) for _ in range(100)]
    for row, snapshot in zip(rows, shown(tables, rows, Clock(1, 1)), strict=True):
        seen = [instance.row_of(entity) for entity in snapshot.entities["id"].tolist()]
        assert seen[0] == row and len(set(seen)) == 65
        distances = np.linalg.norm(tables.position - tables.position[row], axis=1)
        alive = np.sort(distances[tables.alive])
        assert np.allclose(np.sort(distances[seen]), alive[:65], atol=1e-4)


@pytest.mark.parametrize(
    ("stand", "position"),
    [
        (None, (100, 90, 0)),
        (Stand((math.nan, 1, 1), 0), (100, 90, 0)),
        (Stand((1, 1, 1), math.inf), (100, 90, 0)),
        (Stand((-5, 1e9, 1e9), 725.0), (0, 200, 500)),
    ],
)
def test_unusable_places_end_within_the_zone(
    stand: Stand | None, position: tuple[float, float, float]
) -> None:
    instance = opened()
    row = instance.admit("Mallory", stand)
    assert instance.stand_of(row).position == position
    assert 0 <= instance.stand_of(row).heading_deg < 360


def test_instance_is_full_at_its_number_of_players() -> None:
    instance = opened(content=ZoneContent("z", "Zed", "", 20.0, 1.0, 1.0, max_players=1))
    row = instance.admit("Alice", None)
    with pytest.raises(InstanceFull, match="Zed is full: 1 players are in it"):
        instance.admit("Bob", None)
    instance.remove(row)
    assert instance.admit("Bob", None) == row


def test_new_zone_link_counts_its_inputs_anew() -> None:
    instance = opened()
    row = linked(instance, "Alice")
    instance.tables.cursor[row] = instance.tables.newest_seq[row] = 500
    instance.set_links(row, has_zone_link=False, has_world_link=True)
    instance.set_links(row, has_zone_link=True, has_world_link=True)
    assert instance.tables.cursor[row] == 0 and instance.tables.newest_seq[row] == 0


def test_metres_are_taken_whole_and_the_rest_is_kept() -> None:
    instance = opened()
    row = linked(instance, "Alice")
    instance.tables.metres_walked[row] = 2.75
    assert instance.take_metres(row) == 2
    assert instance.take_metres(row) == 0
    assert instance.tables.metres_walked[row] == pytest.approx(0.75)


def test_questions_about_others() -> None:
    instance = opened()
    alice = linked(instance, "Alice", Stand((100, 90, 0), 0))
    bob = linked(instance, "Bob", Stand((103, 94, 0), 0))
    mallory = linked(instance, "Mallory", Stand((100, 121, 0), 0))
    assert instance.hearers(alice).tolist() == [bob]
    assert set(instance.hearers(bob).tolist()) == {alice, mallory}
    nearest = instance.nearby(alice)[0]
    assert (nearest.name, nearest.is_player, nearest.distance) == ("Bob", True, 5.0)
    assert instance.describe(alice, [int(instance.tables.entity[mallory]), 12345])[0].name == "Mallory"
    assert instance.describe(alice, []) == []
    assert instance.link_at(alice, "up") is None
    instance.place(alice, Stand((100, 101, 0), 0))
    link = instance.link_at(alice, "up")
    assert link is not None and link.target_zone == "hill"
    assert instance.use_portal(alice, link) and not instance.use_portal(alice, link)


def test_hidden_are_known_to_themselves_alone_and_the_far_may_be_always_visible() -> None:
    instance = opened()
    alice, bob, mallory = (linked(instance, name) for name in ("Alice", "Bob", "Mallory"))
    instance.place(bob, Stand((0, 0, 0), 0))
    instance.tables.is_hidden[mallory] = True
    instance.tables.is_always_visible[bob] = True
    ids = instance.tables.entity[[bob, mallory]].tolist()
    assert [sight.name for sight in instance.nearby(alice)][0] == "Bob"
    assert "Mallory" not in {sight.name for sight in instance.nearby(alice)}
    assert [sight.name for sight in instance.describe(alice, ids)] == ["Bob"]
    assert [sight.name for sight in instance.describe(mallory, ids)] == ["Bob", "Mallory"]


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0.0},
        {"size": math.nan},
        {"size": math.inf},
        {"entry_x": math.nan},
        {"top_speed": -1.0},
        {"top_speed": math.inf},
        {"links": (LinkContent("up", "Up", "hill", 100, 100, math.nan),)},
        {"links": (LinkContent("up", "Up", "hill", math.inf, 100, 2),)},
        {"spawns": (SpawnContent("gull", "Gull", math.nan, 10, 50, 50, 8),)},
        {"spawns": (SpawnContent("gull", "Gull", 1.0, -1, 50, 50, 8),)},
        {"max_players": 70_000},
    ],
)
def test_content_that_would_spoil_the_tables_is_refused_and_leaves_nothing(change: dict) -> None:
    tables = Tables()
    before = tables.digest()
    with pytest.raises(ValueError, match=r"zone 'harbour'|an instance has"):
        opened(content=replace(CONTENT, **change), tables=tables)
    assert tables.digest() == before and len(tables.places) == 0


def test_an_instance_that_cannot_be_furnished_keeps_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = Tables()
    before = tables.digest()

    def breaks(*_: object) -> None:
        raise KeyError("loot")

    with monkeypatch.context() as patched:
        patched.setattr("zonecluster.simulation.instance.Goods", breaks)
        for _ in range(100):
            with pytest.raises(KeyError):
                opened(tables=tables)
    assert not tables.alive.any()
    assert opened(tables=tables).place_index == opened(tables=Tables()).place_index
    assert before == Tables().digest()
