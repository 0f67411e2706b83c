"""When a backup is due, which are kept, and what they are called. Pure: no clock, no database, no disk.

A backup is due by the clock alone. Nothing that players do is an argument of anything here: in the system
that Waystone follows, each save put the next backup off, and the game ended with a disk failure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIXED_HOUR = 4  # UTC; until a world's own quiet hour is known
LEARNED_FROM_HOURS = 3 * 24  # of population before an hour is believed to be quiet
AT_THE_LATEST = timedelta(hours=25)  # since the last one, should the quiet hour wander
ALARM_AFTER = timedelta(hours=26)  # without a backup that was proven by a restore
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=1)
_NAME = re.compile(r"(?P<label>[a-z0-9][a-z0-9-]{0,39})-(?P<at>\d{8}T\d{6}Z)")


@dataclass(frozen=True)
class Kept:
    """A backup whose files are there."""

    name: str
    started_at: datetime
    is_proven: bool


def backup_name(label: str, at: datetime) -> str:
    """Return what a backup of this instant is called. Args: label: master, or the world's slug."""
    return f"{label}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def is_backup_name(name: str) -> bool:
    """Return whether this is a name of ours: what else lies in a folder is not touched."""
    return _NAME.fullmatch(name) is not None


def quietest_hour(population: Iterable[tuple[datetime, float]]) -> int:
    """Return the hour of the day, UTC, in which the fewest play. Args: population: (hour, mean players)."""
    by_hour: dict[int, list[float]] = {}
    counted = 0
    for at, players in population:
        by_hour.setdefault(at.astimezone(UTC).hour, []).append(players)
        counted += 1
    if counted < LEARNED_FROM_HOURS or len(by_hour) < 24:
        return FIXED_HOUR
    means = {hour: sum(each) / len(each) for hour, each in by_hour.items()}
    # Of equal hours the one that is nearest to the fixed one: a world where nobody plays does not wander.
    return min(means, key=lambda hour: (means[hour], min((hour - FIXED_HOUR) % 24, (FIXED_HOUR - hour) % 24)))


def newest_slot(now: datetime, hour: int) -> datetime:
    """Return the last instant, at or before now, at which that hour of UTC began."""
    today = now.astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def is_due(
    now: datetime, hour: int, born: datetime, last_good: datetime | None, failed: Sequence[datetime]
) -> bool:
    """Return whether a backup is to be begun now.

    Args:
        born: when the deployment began: its first backup is made in the first quiet hour after that.
        last_good: when the newest one began that was made. failed: when those ended that failed since.
    """
    since = last_good or born
    is_wanted = since < newest_slot(now, hour) or now - since >= AT_THE_LATEST
    return is_wanted and (not failed or now >= max(failed) + retry_after(len(failed)))


def retry_after(failures: int) -> timedelta:
    """Return how long is waited after so many failures one after the other."""
    return min(FIRST_RETRY * 2 ** (min(failures, 10) - 1), LONGEST_RETRY)


def is_too_old(now: datetime, born: datetime, last_proven: datetime | None) -> bool:
    """Return whether the newest backup that was proven by a restore is so old that somebody must look."""
    return now - (last_proven or born) > ALARM_AFTER


def to_delete(kept: Iterable[Kept], now: datetime, *, days: int, weeks: int) -> list[str]:
    """Return the names of those that are to go: all stay for `days`, one of each week for `weeks`.

    Of a week the newest proven one stays (else its newest); always the newest, and the newest proven.
    """
    newest_first = sorted(kept, key=lambda each: each.started_at, reverse=True)
    proven = [each for each in newest_first if each.is_proven]
    stays = {each.name for each in newest_first[:1] + proven[:1]}
    stays |= {each.name for each in newest_first if now - each.started_at < timedelta(days=days)}
    by_week: dict[tuple[int, int], list[Kept]] = {}
    for each in newest_first:
        if now - each.started_at < timedelta(weeks=weeks):
            by_week.setdefault(each.started_at.astimezone(UTC).isocalendar()[:2], []).append(each)
    for week in by_week.values():
        stays.add(next((each for each in week if each.is_proven), week[0]).name)
    return [each.name for each in newest_first if each.name not in stays]
