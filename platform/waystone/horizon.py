"""A world's own horizon: hills, a sun and a few stones that follow from its slug alone. Pure.

So that a list of worlds shows places and not rows before anybody has drawn a picture. Colours are classes of
the style sheet (tone-0 to tone-4), never written into the drawing.
"""

import hashlib
import math
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 96  # units of the drawing
STEP = 24  # between points of a ridge, which are then joined smoothly
TONES = 5
LAYERS = ((58.0, 20.0), (70.0, 15.0), (82.0, 10.0))  # height of the line, and of its waves; far to near


@dataclass(frozen=True)
class Stone:
    """A standing stone: its foot and its size."""

    x: int
    y: int
    size: float


@dataclass(frozen=True)
class Horizon:
    """What a template draws."""

    tone: int
    sun_x: int
    sun_y: int
    sun_radius: int
    ridges: list[str]  # path data, far to near
    stones: list[Stone]


def horizon_of(slug: str) -> Horizon:
    """Return the horizon that belongs to a slug."""
    dice = hashlib.sha256(slug.encode()).digest()
    stones = []
    for number in range(1 + dice[20] % 3):
        x = 30 + 110 * number + dice[21 + number] * 80 // 255  # each in a third of its own
        stones.append(Stone(x, round(_height(dice, 1, x)) + 3, 0.7 + dice[25 + number] / 400))
    return Horizon(
        tone=dice[0] % TONES,
        sun_x=40 + dice[1] % (WIDTH - 80),
        sun_y=36 + dice[2] % 18,
        sun_radius=9 + dice[3] % 9,
        ridges=[_ridge(dice, layer) for layer in range(len(LAYERS))],
        stones=stones,
    )


def _height(dice: bytes, layer: int, x: float) -> float:
    """Return the y of a ridge: three waves, whose phases and lengths are the slug's."""
    line, size = LAYERS[layer]
    phases = dice[4 + 5 * layer : 9 + 5 * layer]
    slow = math.sin(x / (52 + phases[0] / 6) + phases[1] / 20)
    quick = math.sin(x / (21 + phases[2] / 20) + phases[3] / 20) * 0.35
    fine = math.sin(x / 9 + phases[4] / 20) * 0.08
    return line - size * (slow + quick + fine) * 0.7


def _ridge(dice: bytes, layer: int) -> str:
    points = [(x, round(_height(dice, layer, x), 1)) for x in range(-STEP, WIDTH + 2 * STEP, STEP)]
    path = f"M{-STEP} {HEIGHT}L{points[0][0]} {points[0][1]}"
    for (x, y), (next_x, next_y) in zip(points[1:-1], points[2:], strict=True):
        path += f"Q{x} {y:g} {(x + next_x) / 2:g} {round((y + next_y) / 2, 1):g}"
    return f"{path}V{HEIGHT}Z"
