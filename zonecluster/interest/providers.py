"""Which line-of-sight provider a zone has: an operator's own, that of its content's walls, or none.

An operator's code is found by Python's own means: an installed package whose metadata has an entry point of
the group "waystone.sights", named like the zone, that leads to a function from ZoneContent to LineOfSight.
docs/zone.md, "Lines of sight".
"""

from importlib.metadata import entry_points

from zonecluster.interest.visibility import LineOfSight
from zonecluster.interest.walls import WallSight
from zonecluster.simulation.content import ZoneContent

GROUP = "waystone.sights"


class SightUnusable(RuntimeError):
    """An operator's provider cannot be made; the text says which and why."""


def sight_of(content: ZoneContent) -> LineOfSight | None:
    """Return what says who is in sight in a zone; None: everybody is.

    Raises: SightUnusable: an entry point is there, but loading or calling it failed.
    """
    found = entry_points(group=GROUP, name=content.slug)
    if found:
        entry = next(iter(found))
        try:
            sight: LineOfSight = entry.load()(content)
        except Exception as error:  # foreign code: whatever it raises
            raise SightUnusable(f"{entry.value} for zone {content.slug!r}: {error!r}") from error
        if not callable(sight):
            raise SightUnusable(f"{entry.value} for zone {content.slug!r} gave no function: {sight!r}")
        return sight
    return (
        WallSight([(wall.x, wall.y, wall.to_x, wall.to_y) for wall in content.walls])
        if content.walls
        else None
    )
