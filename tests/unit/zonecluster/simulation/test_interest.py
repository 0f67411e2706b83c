import numpy as np
import pytest

from zonecluster.simulation import interest
from zonecluster.simulation.interest import nearest_others


def crowd(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return positions (count, 3)."""
    positions = np.zeros((count, 3), np.float32)
    if kind == "spread":
        positions[:, :2] = rng.uniform(0, 1000, (count, 2))
    elif kind == "grid":  # many equal distances
        positions[:, :2] = rng.integers(0, 5, (count, 2))
    elif kind == "two spots":
        positions[: count // 2, 0] = 7
    return positions


@pytest.mark.parametrize("is_dense", [True, False])
@pytest.mark.parametrize("kind", ["spread", "grid", "one spot", "two spots"])
@pytest.mark.parametrize("count", [2, 3, 64, 65, 66, 300])
def test_same_distances_as_brute_force(
    kind: str, count: int, is_dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest, "DENSE_PAIRS", 10**9 if is_dense else 0)
    rng = np.random.default_rng(count)
    positions = crowd(kind, count, rng)
    viewers = np.sort(rng.permutation(count)[: max(count // 2, 1)])
    found = nearest_others(positions, viewers)
    assert found.shape == (len(viewers), min(64, count - 1))
    plane = positions[:, :2].astype(float)
    for viewer, others in zip(viewers, found, strict=True):
        assert viewer not in others and len(set(others.tolist())) == len(others)
        distances = np.linalg.norm(plane - plane[viewer], axis=1)
        expected = np.sort(np.delete(distances, viewer))[: len(others)]
        assert np.allclose(distances[others], expected, atol=1e-5)


def test_alone_sees_nobody() -> None:
    assert nearest_others(np.zeros((1, 3), np.float32), np.array([0])).shape == (1, 0)
    assert nearest_others(np.zeros((5, 3), np.float32), np.array([], np.int64)).shape == (0, 4)
