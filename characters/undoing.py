"""What a rollback of one world would do to one line. Pure: the facts of versions in, a decision out.

A version builds on the one before it, but one that brings an older one back builds on that, and a fork begun
anew builds on main. So a rollback that was done, or a restore to before, leaves nothing to do: what the head
builds on is looked at, not what was ever written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Step:
    """One version of a line. Worlds are any comparable keys; None: the master itself."""

    version: int
    world: object
    at: datetime
    is_written: bool  # by a world; not a fork, restore or the like
    is_begin: bool = False  # made, or forked (again) from main: builds on nothing of this line
    source: int | None = None  # the version of this line that it brings back


@dataclass(frozen=True)
class Undo:
    """What is to be undone on one line: the versions of the world, and what others have built on them."""

    first: int  # the oldest version that goes
    undone: tuple[int, ...]
    built_on: tuple[int, ...]  # other worlds' versions on top of it: staff decides


def living(steps: Mapping[int, Step], head: int) -> Iterator[int]:
    """Yield the versions that the head builds on, newest first, as far back as `steps` go."""
    version: int | None = head
    while version is not None and (step := steps.get(version)) is not None:
        yield version
        if step.is_begin:
            return
        version = step.source if step.source is not None else version - 1


def undo_of(steps: Mapping[int, Step], *, head: int, world: object, since: datetime) -> Undo | None:
    """Return what a rollback of `world` since then undoes of a line; None: the head has nothing of it.

    Args: steps: at least from the oldest version on that the world wrote since then.
    """
    alive = list(living(steps, head))
    undone = [n for n in alive if steps[n].world == world and steps[n].is_written and steps[n].at >= since]
    if not undone:
        return None
    first = min(undone)
    built_on = [n for n in alive if n > first and steps[n].is_written and steps[n].world != world]
    return Undo(first, tuple(sorted(undone)), tuple(sorted(built_on)))
