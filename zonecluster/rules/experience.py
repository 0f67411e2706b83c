"""Experience and levels: how much a level takes, and where an edition's cap ends it.

At the cap a character gains no experience, and loses none: when the cap is lifted it goes on from there.
"""

from math import isqrt

from msgspec.structs import replace

from zonecluster.protocol.character import CharacterState
from zonecluster.rules.character import level_of

XP_STEP = 50  # level n is reached at 50·n·(n-1): 100, 300, 600, ... for level 2, 3, 4; 10,500 for level 15
MOST_XP = 2**31


def xp_of(level: int) -> int:
    """Return the experience at which a level is reached. Raises: ValueError: there is no such level."""
    if level < 1:
        raise ValueError(f"levels begin at 1: {level}")
    return XP_STEP * level * (level - 1)


def level_at(xp: int) -> int:
    """Return the level that so much experience makes."""
    return (1 + isqrt(1 + 4 * (max(xp, 0) // XP_STEP))) // 2


def is_capped(state: CharacterState, level_cap: int | None) -> bool:
    """Whether the character gains no experience. Args: level_cap: None: there is no cap."""
    return level_cap is not None and level_of(state) >= level_cap


def gained(state: CharacterState, xp: int, level_cap: int | None = None) -> CharacterState:
    """Return the document with more experience, and the level that follows; the same one at the cap.

    A level that the document has already is never taken away.

    Raises: ValueError: a negative gain.
    """
    if xp < 0:
        raise ValueError(f"experience is not taken away: {xp}")
    if xp == 0 or is_capped(state, level_cap):
        return state
    had = state.attributes.get("xp", 0)
    total = min(had + xp, MOST_XP)
    if level_cap is not None:
        total = min(total, max(had, xp_of(level_cap)))
    reached = level_at(total) if level_cap is None else min(level_at(total), level_cap)
    attributes = {**state.attributes, "xp": total}
    if reached > level_of(state):
        attributes["level"] = reached
    return replace(state, attributes=attributes)
