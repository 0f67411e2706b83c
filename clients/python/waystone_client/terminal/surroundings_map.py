"""A little map of what is around a player. Pure: positions in, text out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from waystone_client.player import Sight
from zonecluster.protocol.to_client import Exit

METRES_PER_COLUMN = 1.5
METRES_PER_ROW = 3.0  # a terminal's cells are about twice as high as wide
GRAIN = (7, 3)  # every so many columns and rows a speck of ground, so that walking is seen
COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
ARROWS = ("↑", "↗", "→", "↘", "↓", "↙", "←", "↖")
GLYPHS = {"item": "!", "chest": "▣", "vendor": "$"}  # others: the first letter of their name

Cell = tuple[str, str]  # kind (for colours) and character


@dataclass(frozen=True)
class Ground:
    """What is drawn beneath everybody: the zone's size in metres, and its exits."""

    size: float
    exits: Sequence[Exit]


def bearing(dx: float, dy: float) -> int:
    """Return 0..7 for north, north-east, … Args: dx east, dy north, metres."""
    return round(math.atan2(dx, dy) / math.tau * 8) % 8


def draw(
    here: tuple[float, float], sights: Sequence[Sight], ground: Ground, columns: int, rows: int
) -> list[list[Cell]]:
    """Return `rows` lines of `columns` cells, north up, the player in the middle."""
    centre_column = math.floor(here[0] / METRES_PER_COLUMN)
    centre_row = math.floor(here[1] / METRES_PER_ROW)
    west, north = centre_column - columns // 2, centre_row + rows // 2

    lines = [[_ground(west + i, north - j, ground) for i in range(columns)] for j in range(rows)]

    def put(x: float, y: float, cell: Cell) -> None:
        column = math.floor(x / METRES_PER_COLUMN) - west
        row = north - math.floor(y / METRES_PER_ROW)
        if 0 <= column < columns and 0 <= row < rows:
            lines[row][column] = cell

    for way in ground.exits:
        put(way.x, way.y, ("exit", "◎"))
    for sight in reversed(sights):  # the nearest last, on top
        put(sight.x, sight.y, _glyph(sight))
    put(*here, ("self", "@"))
    return lines


def _ground(column: int, row: int, ground: Ground) -> Cell:
    x, y = column * METRES_PER_COLUMN, row * METRES_PER_ROW
    if not (-METRES_PER_COLUMN < x < ground.size and -METRES_PER_ROW < y < ground.size):
        return ("outside", "░")
    if column % GRAIN[0] == 0 and row % GRAIN[1] == 0:
        return ("ground", "·")
    return ("ground", " ")


def _glyph(sight: Sight) -> Cell:
    if sight.is_player:
        return ("player", sight.name[:1].upper() or "?")
    if sight.kind in GLYPHS:
        return (sight.kind, GLYPHS[sight.kind])
    return ("creature", sight.name[:1].lower() or "•")


def plain(lines: Sequence[Sequence[Cell]]) -> str:
    """Return the map as text without colours."""
    return "\n".join("".join(character for _, character in line).rstrip() for line in lines)
