"""What a new character's document is, and how its fields are read. For the repository and the zone cluster.

A new document names no place: a character without one in a world begins at that world's entry zone.
"""

from msgspec.structs import replace

from zonecluster.protocol.character import CharacterState, Place

FIRST_LEVEL = 1
FULL_HEALTH = 100  # hit points of a new character


def new_character_state() -> CharacterState:
    """Return the document of a character that has done nothing yet."""
    return CharacterState(
        attributes={"level": FIRST_LEVEL, "xp": 0, "hp": FULL_HEALTH, "hp_max": FULL_HEALTH},
        skills={"wayfaring": 0},
    )


def level_of(state: CharacterState) -> int:
    """Return the character's level; a document without one counts as new."""
    return state.attributes.get("level", FIRST_LEVEL)


def health_fraction(state: CharacterState) -> float:
    """Return hit points as a fraction of the maximum, 0..1; a document without them counts as unhurt."""
    most = state.attributes.get("hp_max", FULL_HEALTH)
    return min(max(state.attributes.get("hp", most) / most, 0.0), 1.0) if most > 0 else 1.0


def with_place(state: CharacterState, world: str, place: Place) -> CharacterState:
    """Return the document with where the character stands in `world` (a slug); other places stay."""
    return replace(state, places={**state.places, world: place})
