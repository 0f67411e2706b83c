"""Reads what was counted: of one world, of many at once, of the platform. Two queries each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from worlds.models import Availability
from worlds.status.rules import (
    DAYS_SHOWN,
    FRESH_FOR,
    HOURS_SHOWN,
    Bar,
    Minutes,
    together,
    verdict_of,
    with_gaps,
)
from worlds.status.sampling import BACKGROUND, SITE

_COLUMNS = ("samples", "up", "planned", "players", "most")
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class History:
    """How something went: the oldest first, up to now."""

    days: Sequence[Bar]
    hours: Sequence[Bar]

    @property
    def day(self) -> float | None:
        """Return the share of the last 24 hours."""
        return together(bar.minutes for bar in self.hours[-24:]).share

    @property
    def week(self) -> float | None:
        """Return the share of the last 7 days."""
        return together(bar.minutes for bar in self.days[-7:]).share

    @property
    def quarter(self) -> float | None:
        """Return the share of the last 90 days."""
        return together(bar.minutes for bar in self.days).share

    @property
    def most(self) -> int:
        """Return the most players of the hours shown."""
        return max((bar.minutes.most for bar in self.hours), default=0)


@dataclass(frozen=True)
class Part:
    """A part of the platform."""

    key: str
    name: str
    is_up: bool | None  # None: it has not been counted lately
    history: History


def history_of(world_id: int, now: datetime) -> History:
    """Return a world's history. Two queries."""
    return _histories({"world_id": world_id}, now)[world_id, ""]


def days_of(world_ids: Iterable[int], now: datetime) -> dict[int, list[Bar]]:
    """Return the days of several worlds. One query."""
    wanted = list(world_ids)
    first = _days(now)[0]
    counted: dict[int, dict[date, Minutes]] = {world: {} for world in wanted}
    rows = Availability.objects.filter(world_id__in=wanted, span=Availability.Span.DAY, at__gte=first)
    for world, at, *values in rows.values_list("world_id", "at", *_COLUMNS):
        counted[world][at.date()] = Minutes(*values)
    return {world: _bars(_days(now), by_day) for world, by_day in counted.items()}


def platform_parts(now: datetime) -> list[Part]:
    """Return the parts of the platform. What counts is a part itself: its gaps are when it was away."""
    histories = _histories({"world_id": None}, now)
    newest = {
        part: (last_at, was_up)
        for part, last_at, was_up in Availability.objects.filter(
            world=None, span=Availability.Span.DAY, at__gte=_days(now)[0]
        )
        .order_by("at")
        .values_list("part", "last_at", "was_up")
    }
    counts = {part: now - at <= FRESH_FOR for part, (at, _) in newest.items()}
    site = newest[SITE][1] if counts.get(SITE) else None
    background = _gaps(histories[None, BACKGROUND], now)
    return [
        Part(SITE, "Website and log-in", site, histories[None, SITE]),
        Part(BACKGROUND, "Background work", counts.get(BACKGROUND), background),
    ]


def measured_at(now: datetime) -> datetime | None:
    """Return when minutes were counted last."""
    rows = Availability.objects.filter(world=None, part=BACKGROUND, span=Availability.Span.DAY)
    return rows.order_by("-at").values_list("last_at", flat=True).first()


def _gaps(history: History, now: datetime) -> History:
    """Return the history of what counts: after its first day, minutes not counted are minutes away."""
    begun = next((bar.at for bar in history.days if bar.minutes.samples), None)
    if begun is None:
        return history
    return History(
        [_with_gaps(bar, timedelta(days=1), begun, now) for bar in history.days],
        [_with_gaps(bar, timedelta(hours=1), begun, now) for bar in history.hours],
    )


def _with_gaps(bar: Bar, length: timedelta, begun: date | datetime, now: datetime) -> Bar:
    start = (
        bar.at
        if isinstance(bar.at, datetime)
        else datetime(bar.at.year, bar.at.month, bar.at.day, tzinfo=UTC)
    )
    day = bar.at.date() if isinstance(bar.at, datetime) else bar.at
    if day <= begun:  # its first day is not whole: what was counted is all that is known
        return bar
    elapsed = int((min(start + length, now - FRESH_FOR) - start) / _MINUTE)
    minutes = with_gaps(bar.minutes, max(0, elapsed))
    return Bar(bar.at, minutes, verdict_of(minutes))


def _histories(filters: Mapping[str, int | None], now: datetime) -> dict[tuple[int | None, str], History]:
    world = filters["world_id"]
    days = _counted(world, Availability.Span.DAY, _days(now)[0])
    hours = _counted(world, Availability.Span.HOUR, _hours(now)[0])
    parts = ("",) if world is not None else (SITE, BACKGROUND)
    return {
        (world, part): History(
            _bars(_days(now), {at.date(): minutes for at, minutes in days.get(part, {}).items()}),
            _bars(_hours(now), hours.get(part, {})),
        )
        for part in parts
    }


def _counted(world: int | None, span: str, first: datetime) -> dict[str, dict[datetime, Minutes]]:
    found: dict[str, dict[datetime, Minutes]] = {}
    whose = {"world_id": world} if world is not None else {"world": None}
    rows = Availability.objects.filter(**whose, span=span, at__gte=first)
    for part, at, *values in rows.values_list("part", "at", *_COLUMNS):
        found.setdefault(part, {})[at] = Minutes(*values)
    return found


def _bars(spans: Sequence[datetime], counted: Mapping) -> list[Bar]:
    is_by_day = len(spans) == DAYS_SHOWN
    bars = []
    for at in spans:
        key = at.date() if is_by_day else at
        minutes = counted.get(key, Minutes())
        bars.append(Bar(key, minutes, verdict_of(minutes)))
    return bars


def _days(now: datetime) -> list[datetime]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in range(DAYS_SHOWN - 1, -1, -1)]


def _hours(now: datetime) -> list[datetime]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return [hour - timedelta(hours=back) for back in range(HOURS_SHOWN - 1, -1, -1)]
