"""When a world is restarted by itself, and when its players are told: rules on plain values.

Pure: no clock, no rows, no settings. A restart has a local time, in the zone that the operator has set, and
a local date, which its weekdays and blackout days are about. All instants are aware datetimes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

HORIZON = timedelta(days=60)  # a policy that cannot fire within so long never will, as far as anybody cares
LEAD = timedelta(minutes=15)  # a restart is planned no nearer than this: players are to hear of it
LATE = timedelta(minutes=15)  # one that nobody has begun by then is missed: its quiet hour is over
QUIET_BY_DEFAULT = time(4)  # local; until enough is known of a world
SLOTS = 7 * 24
SLOTS_NEEDED = 150  # hours of the week, of 168, that must have been counted before the quietest is learned
MINUTES_NEEDED = 30  # of an hour that must have been counted for it to say anything
PRIOR_WEEKS = 2.0  # an hour of the week counts as much as the same hour of all days once it was seen so often
MAX_BLACKOUT_DAYS = 400
NOTICE_MINUTES = (60, 30, 15, 5, 1)
EVERY_DAY = 0b1111111

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


class NeverDue(ValueError):
    """A policy that can never fire; the text says why, and what to change."""


@dataclass(frozen=True)
class Policy:
    """When a world is restarted by itself. `weekdays`: bit 0 is Monday. `at`: local, of a fixed restart."""

    when: Literal["never", "fixed", "off_peak"] = "never"
    at: time | None = None
    time_zone: str = "UTC"
    weekdays: int = EVERY_DAY
    min_uptime: timedelta = timedelta(hours=20)
    blackout_days: frozenset[date] = frozenset()


@dataclass(frozen=True)
class HourSample:
    """How many played in one hour that began at `at`, UTC: their mean over `minutes` that were counted."""

    at: datetime
    mean: float
    minutes: int


@dataclass
class _Slot:
    total: float = 0.0
    weight: float = 0.0  # hours

    def add(self, mean: float, weight: float) -> None:
        self.total += mean * weight
        self.weight += weight


@dataclass(frozen=True)
class Profile:
    """What is known of a world's population by local hour of the week: 168 slots, Monday 00:00 first."""

    slots: tuple[_Slot, ...] = field(default_factory=lambda: tuple(_Slot() for _ in range(SLOTS)))

    @property
    def known(self) -> int:
        """Return how many hours of the week were counted."""
        return sum(slot.weight > 0 for slot in self.slots)

    @property
    def is_enough(self) -> bool:
        """Whether the quietest hour can be told from this."""
        return self.known >= SLOTS_NEEDED

    def expected(self, weekday: int, hour: int) -> float | None:
        """Return how many are likely to play then; None if nothing is known of this hour on any day.

        An hour of the week that was seen in few weeks leans on the same hour of the other days.
        """
        same_hour = [self.slots[day * 24 + hour] for day in range(7)]
        weight = sum(slot.weight for slot in same_hour)
        if weight == 0:
            return None
        prior = sum(slot.total for slot in same_hour) / weight
        slot = self.slots[weekday * 24 + hour]
        return (slot.total + PRIOR_WEEKS * prior) / (slot.weight + PRIOR_WEEKS)


@dataclass(frozen=True)
class Due:
    """The next restart. `why`: for the staff, in words."""

    at: datetime
    why: str


def learn(samples: Iterable[HourSample], time_zone: str) -> Profile:
    """Return a world's profile, by the hours of its own week. Raises: NeverDue: no such time zone."""
    zone = zone_of(time_zone)
    profile = Profile()
    for sample in samples:
        if sample.minutes < MINUTES_NEEDED or not sample.mean >= 0:
            continue
        local = sample.at.astimezone(zone)
        profile.slots[local.weekday() * 24 + local.hour].add(sample.mean, min(sample.minutes, 60) / 60)
    return profile


def zone_of(name: str) -> ZoneInfo:
    """Return an IANA time zone. Raises: NeverDue: there is none of this name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown; no name at all; a folder of the database
        raise NeverDue(
            f"There is no time zone {name[:64]!r}. Use a name as Europe/Berlin, or UTC."
        ) from error


def blackout_of(value: object) -> frozenset[date]:
    """Read blackout days. Args: value: a list of dates as "2026-12-24". Raises: NeverDue: it is not."""
    if not isinstance(value, list | tuple) or len(value) > MAX_BLACKOUT_DAYS:
        raise NeverDue(f"Blackout days are a list of at most {MAX_BLACKOUT_DAYS} dates.")
    try:
        return frozenset(date.fromisoformat(day) for day in value)
    except (TypeError, ValueError) as error:
        raise NeverDue('Blackout days are dates as "2026-12-24".') from error


def local_instant(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """Return the instant of a local time, UTC. None: the zone left the whole day out.

    A time that the clocks skip is the instant at which they do; of one that comes twice it is the first.
    """
    naive = datetime.combine(day, at.replace(tzinfo=None, fold=0))
    instant = naive.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == naive:
        return instant
    instant = _end_of_gap(naive, zone)
    return instant if instant.astimezone(zone).date() == day else None


def _end_of_gap(naive: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant at which the clocks skip a local time: found by halving, to the second."""
    early = (naive.replace(tzinfo=zone, fold=1)).astimezone(UTC)  # by the offset after the gap
    late = (naive.replace(tzinfo=zone, fold=0)).astimezone(UTC)  # by the one before
    offset = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle <= early:
            break
        early, late = (middle, late) if middle.astimezone(zone).utcoffset() == offset else (early, middle)
    return late.replace(microsecond=0)


def next_due(
    policy: Policy,
    now: datetime,
    *,
    last: datetime | None = None,
    after: datetime | None = None,
    profile: Profile | None = None,
) -> Due:
    """Return the next restart of a policy.

    Args: last: when the last one was due. after: when the last one was that was called off, or failed.
        profile: what was learned; only off-peak ones need it.
    Raises: NeverDue: there is none in 60 days, or the policy is `never`.
    """
    zone = _checked(policy)
    earliest = now + LEAD
    if last is not None:
        earliest = max(earliest, last + policy.min_uptime)
    if after is not None:
        earliest = max(earliest, after + timedelta(seconds=1))
    first = earliest.astimezone(zone).date()
    for number in range(HORIZON.days):
        day = first + number * _DAY
        if not _is_allowed(policy, day):
            continue
        due = _due_on(policy, day, zone, earliest, profile)
        if due is not None:
            return due
    raise NeverDue(_why_never(policy, first))


def fault_of(policy: Policy, now: datetime) -> str:
    """Return why a policy can never fire; empty if it can, and for `never`, which does not mean to."""
    if policy.when == "never":
        return ""
    try:
        next_due(policy, now)
    except NeverDue as error:
        return str(error)
    return ""


def _checked(policy: Policy) -> ZoneInfo:
    zone = zone_of(policy.time_zone)
    if policy.when == "never":
        raise NeverDue("This world is never restarted by itself.")
    if policy.when == "fixed" and policy.at is None:
        raise NeverDue("A restart at a fixed time needs the time: set it, or choose the quietest hour.")
    if not policy.weekdays & EVERY_DAY:
        raise NeverDue("The policy is for no day of the week: choose one at least.")
    if policy.min_uptime >= HORIZON:
        raise NeverDue(f"The minimum uptime must be shorter than {HORIZON.days} days.")
    return zone


def _is_allowed(policy: Policy, day: date) -> bool:
    return bool(policy.weekdays >> day.weekday() & 1) and day not in policy.blackout_days


def _why_never(policy: Policy, first: date) -> str:
    days = [first + number * _DAY for number in range(HORIZON.days)]
    other = sum(not policy.weekdays >> day.weekday() & 1 for day in days)
    black = sum(_is_allowed(policy, day) is False for day in days) - other
    return (
        f"In the {HORIZON.days} days from {first} no restart is possible: {other} are other days of the "
        f"week, {black} are blackout days. Choose more days of the week, or take blackout days out."
    )


def _due_on(
    policy: Policy, day: date, zone: ZoneInfo, earliest: datetime, profile: Profile | None
) -> Due | None:
    """Return the restart on one local date, if it is not too early for it."""
    if policy.when == "off_peak" and profile is not None and profile.is_enough:
        return _quietest(day, zone, earliest, profile)
    at = policy.at if policy.at is not None else QUIET_BY_DEFAULT
    instant = local_instant(day, at, zone)
    if instant is None or instant < earliest:
        return None
    if policy.when == "fixed":
        return Due(instant, f"at {at:%H:%M}, {policy.time_zone}, as set")
    known = profile.known if profile is not None else 0
    why = (
        f"at {at:%H:%M}, {policy.time_zone}: the quietest hour is not known yet, {known} of {SLOTS} hours of "
        f"the week were counted and {SLOTS_NEEDED} are needed"
    )
    return Due(instant, why)


def _quietest(day: date, zone: ZoneInfo, earliest: datetime, profile: Profile) -> Due | None:
    """Return the quietest hour of a local date; None if that is too early: another day has its own."""
    hours = list(_hours_of(day, zone))
    if not hours:
        return None

    def busy(instant: datetime) -> tuple[float, int]:
        local = instant.astimezone(zone)
        expected = profile.expected(local.weekday(), local.hour)
        return (float("inf") if expected is None else round(expected, 2)), abs(
            local.hour - QUIET_BY_DEFAULT.hour
        )

    best = min(hours, key=busy)
    if best < earliest:
        return None
    local = best.astimezone(zone)
    weeks = max(1, round(profile.slots[local.weekday() * 24 + local.hour].weight))
    why = f"{local:%A %H:%M}, {zone.key}: {busy(best)[0]:.1f} players expected, learned from {weeks} weeks"
    return Due(best, why)


def _hours_of(day: date, zone: ZoneInfo) -> Iterable[datetime]:
    """Yield the whole hours, UTC, that begin on a local date: 23 to 25 of them."""
    begin = datetime.combine(day, time(), UTC) - 15 * _HOUR  # no zone is further from UTC
    for number in range(56):
        instant = begin + number * _HOUR
        if instant.astimezone(zone).date() == day:
            yield instant


def notice_due(due_at: datetime, now: datetime, told: Sequence[int]) -> int | None:
    """Return which of the notices (minutes before) is to be given now, if any.

    Those that were missed are not made up for: the newest stands for them. Nothing is said after the begin.
    Args: told: the notices that were given for this instant.
    """
    left = due_at - now
    if left <= timedelta(0):
        return None
    reached = [minutes for minutes in NOTICE_MINUTES if left <= timedelta(minutes=minutes)]
    if not reached or any(minutes <= reached[-1] for minutes in told):
        return None
    return reached[-1]


def minutes_left(due_at: datetime, now: datetime) -> int:
    """Return the whole minutes until then, as people say it: never too few, and at least one."""
    seconds = (due_at - now).total_seconds()
    return max(1, int(-(-seconds // 60)))
