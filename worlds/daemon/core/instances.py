"""Which copy of a zone somebody goes into: of a shared one the first with room, else the alliance's own.

An instance's number is zone number × 1000 + copy. Who plays in a copy already stays with it, so that moves,
recoveries and portals within a zone part nobody.
"""

from collections import Counter
from collections.abc import Iterator

from worlds.daemon.core.catalog import COPIES, ZoneInfo
from worlds.daemon.core.clusters import Instance
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import World


def choose_copy(w: World, zone: ZoneInfo, s: Session | None) -> int | None:
    """Return the number of the instance that a player shall go into, open or not yet.

    Returns: None: as many copies are open as there may be, and none is for this player.
    """
    if zone.is_by_alliance and s is not None:
        return _of_alliance(w, zone, s)
    return _shared(w, zone, s)


def owner_of(zone: ZoneInfo, s: Session | None) -> str:
    """Return whose a copy is that is opened for a player; "": everybody's."""
    if s is None or not zone.is_by_alliance:
        return ""
    return f"alliance {s.alliance}" if s.alliance else f"session {s.id}"


def crowd(w: World) -> Counter[int]:
    """Return how many players are in each instance or on their way into it."""
    return Counter(number for s in w.sessions.values() if (number := whereabouts(s)))


def whereabouts(s: Session) -> int:
    """Return the instance that a player is in, or on the way into; 0: none."""
    stay = s.target or s.home
    return stay.instance if stay is not None else 0


def of_zone(w: World, zone: ZoneInfo) -> list[Instance]:
    """Return the copies of a zone that are open or being opened, by number."""
    rows = w.clusters.instances.values()
    return sorted((row for row in rows if row.number // COPIES == zone.number), key=lambda row: row.number)


def _shared(w: World, zone: ZoneInfo, s: Session | None) -> int:
    numbers = [row.number for row in of_zone(w, zone)]
    if not numbers:
        return s.copy if s is not None and _is_of(zone, s.copy) else zone.instance()
    present = crowd(w)
    if s is not None:
        present[whereabouts(s)] -= 1
        wanted = [s.copy, *sorted(whereabouts(mate) for mate in _mates(w, s))]
        for number in wanted:
            if number in numbers and (present[number] < zone.max_players or s.is_following):
                return number
    for number in numbers:
        if present[number] < zone.max_players:
            return number
    fresh = _next_copy(zone, numbers)
    # All are full: the cluster says so to whoever comes.
    return fresh if fresh is not None else min(numbers, key=lambda number: (present[number], number))


def _of_alliance(w: World, zone: ZoneInfo, s: Session) -> int | None:
    rows = {row.number: row for row in of_zone(w, zone)}
    if s.is_following and s.copy in rows:  # before any mate: the move ends when everybody is across
        return s.copy
    for mate in _mates(w, s):
        if whereabouts(mate) in rows:
            return whereabouts(mate)
    if s.copy in rows and whereabouts(s) == s.copy:
        return s.copy
    owner = owner_of(zone, s)
    owned = next((number for number, row in rows.items() if row.owner == owner), None)
    return owned if owned is not None else _next_copy(zone, list(rows))


def _next_copy(zone: ZoneInfo, numbers: list[int]) -> int | None:
    free = (zone.instance(copy) for copy in range(1, zone.max_instances + 1))
    return next((number for number in free if number not in numbers), None)


def _mates(w: World, s: Session) -> Iterator[Session]:
    alliance = w.alliances.get(s.alliance)
    for member in alliance.members if alliance is not None else ():
        mate = w.find(member)
        if mate is not None and mate is not s:
            yield mate


def _is_of(zone: ZoneInfo, number: int) -> bool:
    return number // COPIES == zone.number
