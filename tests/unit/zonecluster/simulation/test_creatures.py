import numpy as np

from zonecluster.simulation.content import SpawnContent, Triggers
from zonecluster.simulation.creatures import REST_S, place_creatures, wander
from zonecluster.simulation.movement import move
from zonecluster.simulation.tables import Tables

DT = 0.05
SIZE = 100.0
SPAWNS = (SpawnContent("gull", "Gull", 2.0, 20, 50, 50, 8), SpawnContent("crab", "Crab", 1.0, 5, 2, 98, 6))


def opened(seed: int = 1) -> tuple[Tables, np.random.Generator]:
    tables, rng = Tables(), np.random.default_rng(seed)
    place = tables.open_place(1, 25, SIZE, Triggers.of(()))
    rows = place_creatures(tables, place, SPAWNS, rng)
    assert rows == list(range(25))
    return tables, rng


def run(tables: Tables, rng: np.random.Generator, ticks: int) -> np.ndarray:
    """Return the places (ticks, n, 2) on the way."""
    places = []
    for _ in range(ticks):
        tables.tick += 1
        wander(tables, DT, rng)
        move(tables, DT)
        places.append(tables.position[:, :2].copy())
    return np.array(places)


def test_creatures_stay_in_their_disc_and_zone_and_keep_their_speed() -> None:
    tables, rng = opened()
    places = run(tables, rng, 2000)
    assert (np.linalg.norm(places - tables.home, axis=2) <= tables.roam + 0.5).all()
    assert (places >= 0).all() and (places <= SIZE).all()
    steps = np.linalg.norm(np.diff(places, axis=0), axis=2)
    assert (steps <= tables.top_speed * DT + 1e-4).all()


def test_every_creature_wanders_and_rests() -> None:
    tables, rng = opened()
    places = run(tables, rng, 2000)
    moves = np.linalg.norm(np.diff(places[:, :25], axis=0), axis=2) > 1e-4
    assert moves.any(axis=0).all()
    assert (~moves[: int(REST_S[0] / DT)]).all()  # each begins with a rest
    assert np.ptp(places[:, :25], axis=0).max(axis=1).min() > 0.5


def test_heading_is_where_it_goes() -> None:
    tables, rng = opened()
    run(tables, rng, 400)
    going = np.linalg.norm(tables.velocity, axis=1) > 0.1
    assert going.any()
    east, north = tables.velocity[going, :2].T
    difference = np.degrees(np.arctan2(east, north)) - tables.heading_deg[going]
    assert (np.abs((difference + 180) % 360 - 180) < 10).all()


def test_zone_without_creatures_is_fine() -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    place = tables.open_place(1, 1, SIZE, Triggers.of(()))
    assert place_creatures(tables, place, (), rng) == []
    wander(tables, DT, rng)
    assert not tables.wish.any()
