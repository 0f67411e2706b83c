"""What lists show of a document, so that one that cannot be read costs its own row and nobody else's.

A stored document was checked when it was written. One that cannot be read now was written under other rules,
or shows a fault in these: the log says so, and the rest of the list stands.
"""

from dataclasses import dataclass, field

import structlog

from characters.differences import ZoneName, differences, slugs_of
from zonecluster.protocol.character import CharacterState, decode_state
from zonecluster.rules.character import FIRST_LEVEL, level_of

log = structlog.get_logger(__name__)

UNREADABLE = "what cannot be read: staff can look at the documents"


@dataclass(frozen=True)
class Reading:
    """What a list shows of a document. `places`: world slug → zone slug."""

    level: int = FIRST_LEVEL
    places: dict[str, str] = field(default_factory=dict)
    is_readable: bool = True


def reading_of(data: bytes, line: object) -> Reading:
    """Return what a list shows of a stored document. Args: line: its id, for the log."""
    try:
        state = decode_state(data)
        return Reading(level_of(state), {world: place.zone for world, place in state.places.items()})
    except Exception:  # whatever the rules raise on this document, others are in the same list
        log.exception("document_unreadable", line=str(line))
        return Reading(is_readable=False)


def state_if_readable(data: bytes, line: object) -> CharacterState | None:
    """Return a stored document; None if it cannot be read (logged)."""
    try:
        return decode_state(data)
    except Exception:  # as above
        log.exception("document_unreadable", line=str(line))
        return None


def told_differences(
    before: CharacterState | None, after: CharacterState | None, zone_name: ZoneName = slugs_of
) -> tuple[str, ...]:
    """Return what changed from one state to another; None: one that cannot be read."""
    if before is None or after is None:
        return (UNREADABLE,)
    return differences(before, after, zone_name)
