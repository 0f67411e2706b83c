"""Wayfaring: a skill that rises with the distance walked, and a small reward for the first visit of a zone.

Metres are counted by the simulation in arrays and folded into the document at a checkpoint.
"""

from math import isqrt

from msgspec.structs import replace

from zonecluster.protocol.character import CharacterState
from zonecluster.rules.experience import gained, is_capped

VISIT_XP = 10  # experience for the first visit of a zone
METRES_OF_FIRST_RANK = 100  # rank r is reached at 100·r² metres: 100 m, 400 m, 900 m, ...
MOST = 2**31  # attributes end here: 2.1 million kilometres


def wayfaring_rank(metres: int) -> int:
    """Return the rank of the skill for a distance in whole metres."""
    return isqrt(max(metres, 0) // METRES_OF_FIRST_RANK)


def walked(state: CharacterState, metres: int) -> CharacterState:
    """Return the document after walking so many more whole metres.

    Raises: ValueError: a negative distance.
    """
    if metres < 0:
        raise ValueError(f"a distance is not negative: {metres}")
    if metres == 0:
        return state
    total = min(state.attributes.get("metres_walked", 0) + metres, MOST)
    return replace(
        state,
        attributes={**state.attributes, "metres_walked": total},
        skills={**state.skills, "wayfaring": wayfaring_rank(total)},
    )


def visit_key(zone: str) -> str:
    """Return the quest that records the visit of a zone (its slug)."""
    return f"visited:{zone}"


def is_known(state: CharacterState, zone: str) -> bool:
    """Whether the character has been in a zone before."""
    return visit_key(zone) in state.quests


def visited(state: CharacterState, zone: str, level_cap: int | None = None) -> CharacterState:
    """Return the document after arriving in a zone: the same one, unless it is the first visit.

    At the level cap it is not noted either: once the cap is lifted, the zone is found after all.
    """
    if is_known(state, zone) or is_capped(state, level_cap):
        return state
    richer = gained(state, VISIT_XP, level_cap)
    return replace(richer, quests={**richer.quests, visit_key(zone): "done"})
