"""A whole instance: determinism, snapshots decoded again, who may be where."""

import math

import numpy as np
import pytest

from zonecluster.protocol.zone_payloads import (
    ENTITY,
    INPUT,
    INPUT_HEADER,
    INPUT_RECORD,
    MAX_PAYLOAD_BYTES,
    SNAPSHOT,
    SNAPSHOT_HEADER,
)
from zonecluster.simulation.content import LinkContent, SpawnContent, ZoneContent
from zonecluster.simulation.inputs import decode_inputs
from zonecluster.simulation.instance import InstanceFull, Stand, ZoneInstance
from zonecluster.simulation.snapshots import Clock

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


def opened(seed: int = 1, content: ZoneContent = CONTENT) -> ZoneInstance:
    return ZoneInstance(7, content, np.random.default_rng(seed))


def linked(instance: ZoneInstance, name: str, stand: Stand | None = None) -> int:
    """Admit a player with both links."""
    row = instance.admit(name, stand)
    instance.set_links(row, has_zone_link=True, has_world_link=True)
    return row


def play(seed: int, inputs_seed: int) -> bytes:
    """Play 200 ticks of 30 players who come, go, walk and freeze; return the state's digest."""
    instance, rng = opened(seed), np.random.default_rng(inputs_seed)
    rows = [linked(instance, f"Bob {number}") for number in range(30)]
    for tick in range(1, 200):
        header = np.array((INPUT, 1, 0), INPUT_HEADER).tobytes()
        payloads = [
            header
            + np.array((tick, *rng.integers(-128, 128, 2), rng.integers(256), 0), INPUT_RECORD).tobytes()
            for _ in rows
        ]
        instance.step(decode_inputs(rows, payloads))
        if tick == 50:
            instance.freeze(rows[3])
        if tick == 100:
            instance.remove(rows.pop())
            instance.thaw(rows[3])
            rows.append(linked(instance, "Alice", Stand((1.0, 2.0, 3.0), 9.0)))
    return instance.tables.digest()


def test_same_seed_and_inputs_give_the_same_state() -> None:
    assert play(1, 2) == play(1, 2)


def test_another_seed_or_other_inputs_give_another_state() -> None:
    assert len({play(1, 2), play(2, 2), play(1, 3)}) == 3


def test_snapshot_decodes_to_what_is_there() -> None:
    instance = opened()
    alice = linked(instance, "Alice", Stand((150.0, 50.0, 12.5), 90.0))
    bob = instance.admit("Bob", Stand((200.0, 0.0, -3.0), 359.9), health=0.5)
    instance.tables.corrections[alice] = 65535
    instance.tables.input_seq[alice] = 2**32 - 1
    instance.freeze(alice)
    instance.step()
    snapshots = instance.snapshots(Clock(123_456_789_012, 0.5))
    assert snapshots.rows.tolist() == [alice]
    data = snapshots.payloads[0].tobytes()
    header = np.frombuffer(data, SNAPSHOT_HEADER, 1)[0]
    assert header.tolist() == (SNAPSHOT, 1, 12, 2, 0, 2**32 - 1, 123_456_789_012, 500, 7, 65535)
    entities = np.frombuffer(data, ENTITY, offset=SNAPSHOT_HEADER.itemsize)
    assert len(entities) == 12
    own = entities[0]
    assert own["id"] == instance.tables.entity_id(alice)
    assert (own["x"], own["y"], own["z"]) == (49151, 16384, 800)
    assert (own["heading"], own["animation"], own["kind"], own["flags"], own["health"]) == (64, 3, 0, 0, 255)
    other = entities[entities["id"] == instance.tables.entity_id(bob)][0]
    assert (other["x"], other["y"], other["z"], other["heading"]) == (65535, 0, -192, 0)
    assert (other["health"], other["flags"]) == (128, 1)
    assert (entities["kind"] == 1).sum() == 10


def test_snapshot_of_a_crowd_is_the_nearest_64_and_fits() -> None:
    instance = opened()
    rng = np.random.default_rng(3)
    rows = [linked(instance, "Bob", Stand((*rng.uniform(0, 200, 2).tolist(), 0.0), 0.0)) for _ in range(100)]
    snapshots = instance.snapshots(Clock(1))
    assert (
        snapshots.payloads.shape == (100, 32 + 65 * 16) and snapshots.payloads.shape[1] <= MAX_PAYLOAD_BYTES
    )
    for row, payload in zip(rows, snapshots.payloads, strict=True):
        entities = np.frombuffer(payload.tobytes(), ENTITY, offset=32)
        seen = [instance.tables.row_of(entity) for entity in entities["id"].tolist()]
        assert seen[0] == row and len(set(seen)) == 65
        distances = np.linalg.norm(instance.tables.position - instance.tables.position[row], axis=1)
        alive = np.sort(distances[instance.tables.alive])
        assert np.allclose(distances[seen], alive[:65], atol=1e-4)


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


def test_new_zone_link_counts_its_inputs_from_one() -> None:
    instance = opened()
    row = linked(instance, "Alice")
    instance.tables.input_seq[row] = 500
    instance.set_links(row, has_zone_link=False, has_world_link=True)
    instance.set_links(row, has_zone_link=True, has_world_link=True)
    assert instance.tables.input_seq[row] == 0


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
    assert instance.describe(alice, [instance.tables.entity_id(mallory), 12345])[0].name == "Mallory"
    assert instance.describe(alice, []) == []
    assert instance.link_at(alice, "up") is None
    instance.place(alice, Stand((100, 101, 0), 0))
    link = instance.link_at(alice, "up")
    assert link is not None and link.target_zone == "hill"
    assert instance.use_portal(alice) and not instance.use_portal(alice)
