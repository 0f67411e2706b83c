"""What interest costs: microseconds of CPU for each viewer, compiled and plain, where crowds are hard.

    PYTHONPATH=.:platform python tests/benchmark/interest.py [--json]

Both answer the same scenes in turn, several rounds; the best round of each counts.
"""

import argparse
import json
from collections.abc import Callable
from time import thread_time

import numpy as np

from zonecluster.interest.grid import GridInterest
from zonecluster.interest.scene import Interest, Scene
from zonecluster.interest.tree import TreeInterest

ROUNDS = 7
Points = np.ndarray


def scene_of(points: Points, places: int = 1) -> Scene:
    """Return a scene of points (n, 2), metres, dealt out to places in turn."""
    count = len(points)
    position = np.zeros((count, 3), np.float32)
    position[:, :2] = points
    nobody = np.zeros(count, bool)
    place = (np.arange(count) * places // count).astype(np.int32)
    return Scene(position, place, np.full(places, 4096, np.float32), nobody, nobody.copy())


def spread(count: int, size: float, rng: np.random.Generator) -> Points:
    """Return points all over a square."""
    return rng.uniform(0, size, (count, 2))


def hot_spot(count: int, size: float, rng: np.random.Generator) -> Points:
    """Return points all over a square, half of them within 100 m."""
    points = spread(count, size, rng)
    turns, radii = rng.uniform(0, 2 * np.pi, count // 2), 50 * np.sqrt(rng.uniform(0, 1, count // 2))
    points[::2][: count // 2] = size / 2 + np.column_stack([radii * np.cos(turns), radii * np.sin(turns)])
    return points


def cases() -> dict[str, tuple[Scene, int]]:
    """Return scenes, and how many of their rows, the first ones, look."""
    rng = np.random.default_rng(1)
    return {
        "1,000 spread": (scene_of(spread(1000, 1024, rng)), 1000),
        "4,000 spread": (scene_of(spread(4000, 1024, rng)), 4000),
        "4,000, half within 100 m": (scene_of(hot_spot(4000, 1024, rng)), 4000),
        "4,000 in a box of 64 m": (scene_of(spread(4000, 64, rng)), 4000),
        "4,000 on one spot": (scene_of(np.full((4000, 2), 77.0)), 4000),
        "20,000 on one spot": (scene_of(np.full((20_000, 2), 77.0)), 20_000),
        "20,000, half within 100 m": (scene_of(hot_spot(20_000, 1024, rng)), 20_000),
        "500 and 2,000 creatures": (scene_of(spread(2500, 512, rng)), 500),
        "64 places of 30": (scene_of(spread(1920, 512, rng), 64), 1920),
        "1 place of 1,920": (scene_of(spread(1920, 512, rng)), 1920),
    }


def microseconds(interest: Interest, scene: Scene, viewers: np.ndarray) -> float:
    """Return what one viewer cost in one call."""
    began = thread_time()
    interest.nearest(scene, viewers)
    return (thread_time() - began) * 1e6 / len(viewers)


def measure(tell: Callable[[str], None] = lambda _: None) -> dict[str, dict[str, float]]:
    """Return by case: grid and tree, in µs a viewer, and the ratio tree : grid."""
    grid, tree = GridInterest(), TreeInterest()
    results = {}
    for name, (scene, count) in cases().items():
        viewers = np.arange(count)
        if not np.array_equal(grid.nearest(scene, viewers).rows, tree.nearest(scene, viewers).rows):
            raise AssertionError(f"{name}: grid and tree disagree")
        rounds = [
            (microseconds(grid, scene, viewers), microseconds(tree, scene, viewers)) for _ in range(ROUNDS)
        ]
        best = [min(each) for each in zip(*rounds, strict=True)]
        results[name] = {"grid_us": best[0], "tree_us": best[1], "ratio": best[1] / best[0]}
        tell(f"{name:28} grid {best[0]:6.2f} µs   tree {best[1]:6.2f} µs   {best[1] / best[0]:5.1f} : 1")
    return results


def main() -> None:
    """Measure and tell."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--json", action="store_true", help="Tell as one JSON document.")
    as_json = arguments.parse_args().json
    results = measure((lambda _: None) if as_json else print)
    if as_json:
        print(json.dumps(results, indent=1))  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
