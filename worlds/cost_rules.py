"""What zones cost: how a minute that was measured goes into what is known of an hour. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# A week counts this much beside all weeks before it: what happened a month ago has faded to a quarter.
WEEK_WEIGHT = 0.3
FORGET = 1 - (1 - WEEK_WEIGHT) ** (1 / 60)  # of one minute
NEW_WEEK = timedelta(days=1)  # since the last minute of the same hour of the week: that was another week
HOURS = 168


@dataclass(frozen=True)
class Cost:
    """What a zone costs: CPU time in a second, ms; players; commands in a second."""

    cpu_ms: float = 0.0
    players: float = 0.0
    commands: float = 0.0


@dataclass(frozen=True)
class Average:
    """What is known of one hour of the week."""

    cost: Cost
    weeks: int
    minutes: int
    updated_at: datetime


@dataclass(frozen=True)
class Population:
    """How many played in one hour, by the minutes that were counted."""

    mean: float = 0.0
    most: int = 0
    samples: int = 0


def handler_alarm(kind: str) -> str:
    """Return the key of the alarm that stands while a kind of command is off."""
    return f"handler_slow:{kind}"


def hour_of_week(at: datetime) -> int:
    """Return 0..167: 0 is Monday 00:00 to 01:00. `at` in UTC."""
    return at.weekday() * 24 + at.hour


def averaged(before: Average | None, minute: Cost, now: datetime) -> Average:
    """Return the average with one minute more: a plain mean at first, then one that forgets slowly."""
    if before is None:
        return Average(minute, 1, 1, now)
    weight = max(1 / (before.minutes + 1), FORGET)
    old = before.cost
    cost = Cost(
        old.cpu_ms + (minute.cpu_ms - old.cpu_ms) * weight,
        old.players + (minute.players - old.players) * weight,
        old.commands + (minute.commands - old.commands) * weight,
    )
    weeks = before.weeks + (now - before.updated_at >= NEW_WEEK)
    return Average(cost, weeks, before.minutes + 1, now)


def counted(before: Population, players: int) -> Population:
    """Return the hour with one minute more."""
    samples = before.samples + 1
    mean = before.mean + (players - before.mean) / samples
    return Population(mean, max(before.most, players), samples)
