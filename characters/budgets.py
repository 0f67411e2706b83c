"""What a verified world may gain a character on main, per hour and per day. Pure.

A gain is what one write adds: losses before it or after it do not count against it, so that a world cannot
make room by taking away. An hour is a clock hour, UTC; a day is that hour and the 23 before it.

What is not counted: other attributes than experience and level, skills, quests. A rollback undoes them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta

from zonecluster.protocol.character import CharacterState
from zonecluster.rules.character import FIRST_LEVEL

XP_OF_A_LEVEL = 500  # what a level counts as, whatever experience it comes with
HOURS_OF_A_DAY = 24


@dataclass(frozen=True)
class Gain:
    """What was gained, or may be. `valuables`: things with an id; `items`: all others, piece by piece."""

    xp: int = 0
    money: int = 0
    valuables: int = 0
    items: int = 0

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return any(astuple(self))


@dataclass(frozen=True)
class Limits:
    """The most that one world's writes may gain one character."""

    hour: Gain
    day: Gain


# What an honest player of the demo world can gain in an hour, with all chests for themselves: about 80 xp,
# 900 coins and what is sold, 300 items, a valuable every twelve hours. Worlds that give more ask the staff.
DEFAULTS = Limits(
    hour=Gain(xp=2_000, money=5_000, valuables=10, items=2_000),
    day=Gain(xp=10_000, money=25_000, valuables=30, items=10_000),
)


def gain_of(before: CharacterState, after: CharacterState) -> Gain:
    """Return what a document has more of than the one before it."""
    levels = _rise(before, after, "level", FIRST_LEVEL)
    valuables, items = _more_things(before, after) if before.bags != after.bags else (0, 0)
    return Gain(
        xp=_rise(before, after, "xp", 0) + levels * XP_OF_A_LEVEL,
        money=max(after.money - before.money, 0),
        valuables=valuables,
        items=items,
    )


def _rise(before: CharacterState, after: CharacterState, attribute: str, new: int) -> int:
    return max(after.attributes.get(attribute, new) - before.attributes.get(attribute, new), 0)


def _more_things(before: CharacterState, after: CharacterState) -> tuple[int, int]:
    """Return how many valuables, and how many other things, were not there before; in whatever bag."""
    had_ids, had = _things(before)
    has_ids, has = _things(after)
    return len(has_ids - had_ids), (has - had).total()


def _things(state: CharacterState) -> tuple[set[object], Counter[str]]:
    ids: set[object] = set()
    plain: Counter[str] = Counter()
    for bag in state.bags.values():
        for item in bag:
            if item.id is not None:
                ids.add(item.id)
            else:
                plain[item.kind] += item.count
    return ids, plain


def hour_of(now: datetime) -> datetime:
    """Return the begin of the hour that a gain counts in."""
    return now.replace(minute=0, second=0, microsecond=0)


def first_hour_of_day(now: datetime) -> datetime:
    """Return the oldest hour that a day's budget counts."""
    return hour_of(now) - timedelta(hours=HOURS_OF_A_DAY - 1)


def added(gains: Iterable[Gain]) -> Gain:
    """Return the sum."""
    rows = [astuple(gain) for gain in gains]
    return Gain(*(sum(column) for column in zip(*rows, strict=True))) if rows else Gain()


def over(spent_hour: Gain, spent_day: Gain, gain: Gain, limits: Limits) -> str:
    """Return what a gain is over, in words, such as `money per hour`; empty: it is within the budget.

    What does not rise is never over, also if the staff has lowered the limit below what was spent.
    """
    for name, spent, most in (("hour", spent_hour, limits.hour), ("day", spent_day, limits.day)):
        for field in fields(Gain):
            more = getattr(gain, field.name)
            if more and getattr(spent, field.name) + more > getattr(most, field.name):
                return f"{field.name} per {name}"
    return ""
