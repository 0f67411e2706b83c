"""What counted minutes mean, and how they are drawn. Pure: plain values, no ORM, no clock."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

DAYS_SHOWN = 90
HOURS_SHOWN = 48
GOOD_SHARE = 0.995  # of a day or an hour: less than this is drawn as "some"
POOR_SHARE = 0.9  # less than this is drawn as "down"
FRESH_FOR = timedelta(minutes=4)  # minutes are counted every minute; after this the figures are old
BAR_WIDTH, BAR_GAP, BAR_HEIGHT = 5, 2, 32  # units of the drawing


class Verdict(StrEnum):
    """How a span of time went."""

    UP = "up"
    SOME = "some"  # with interruptions
    DOWN = "down"
    PLANNED = "planned"  # away, as announced
    NONE = "none"  # nothing was counted


WORDS = {
    Verdict.UP: "no interruption",
    Verdict.SOME: "interruptions",
    Verdict.DOWN: "away for long",
    Verdict.PLANNED: "away as announced",
    Verdict.NONE: "not counted",
}


@dataclass(frozen=True)
class Minutes:
    """Counted minutes of a span."""

    samples: int = 0
    up: int = 0
    planned: int = 0
    players: int = 0  # summed over the minutes
    most: int = 0

    @property
    def share(self) -> float | None:
        """Return the share of minutes in which it could be used, but for those announced; None: none."""
        counted = self.samples - self.planned
        return min(1.0, self.up / counted) if counted > 0 else None

    @property
    def mean(self) -> float:
        """Return the mean number of players."""
        return self.players / self.samples if self.samples else 0.0


@dataclass(frozen=True)
class Bar:
    """One day or hour as it is drawn."""

    at: datetime | date
    minutes: Minutes
    verdict: Verdict

    @property
    def words(self) -> str:
        """Return how it went, for people."""
        share = percent(self.minutes.share)
        return f"{WORDS[self.verdict]}, {share}" if share else WORDS[self.verdict]


def verdict_of(minutes: Minutes) -> Verdict:
    """Return how a span went."""
    if not minutes.samples:
        return Verdict.NONE
    share = minutes.share
    if share is None:
        return Verdict.PLANNED
    if share >= GOOD_SHARE:
        return Verdict.UP
    return Verdict.SOME if share >= POOR_SHARE else Verdict.DOWN


def together(spans: Iterable[Minutes]) -> Minutes:
    """Return the minutes of several spans as one."""
    total = Minutes()
    for span in spans:
        total = Minutes(
            total.samples + span.samples,
            total.up + span.up,
            total.planned + span.planned,
            total.players + span.players,
            max(total.most, span.most),
        )
    return total


def percent(share: float | None) -> str:
    """Return a share for people, rounded down: 100 % means every minute. Empty: nothing was counted."""
    if share is None:
        return ""
    if share >= 1:
        return "100 %"
    hundredths = math.floor(share * 10_000) / 100
    return f"{hundredths:.2f} %" if share >= POOR_SHARE else f"{math.floor(share * 100)} %"


def with_gaps(minutes: Minutes, elapsed: int) -> Minutes:
    """Return what counts minutes itself: those that were not counted are those in which it was away.

    Args: elapsed: minutes of the span that have passed since counting began.
    """
    return Minutes(max(elapsed, minutes.samples), minutes.samples, 0, minutes.players, minutes.most)


def bars_of(verdicts: Sequence[Verdict]) -> dict[Verdict, str]:
    """Return the bars as one path for each verdict, in a box of bars_width(n) by BAR_HEIGHT."""
    paths: dict[Verdict, str] = {}
    for number, verdict in enumerate(verdicts):
        x = number * (BAR_WIDTH + BAR_GAP)
        bar = f"M{x} 0h{BAR_WIDTH}v{BAR_HEIGHT}h-{BAR_WIDTH}z"
        paths[verdict] = paths.get(verdict, "") + bar
    return paths


def bars_width(count: int) -> int:
    """Return the width of a drawing of so many bars."""
    return max(0, count * (BAR_WIDTH + BAR_GAP) - BAR_GAP)


def curve_of(values: Sequence[float], width: int, height: int) -> str:
    """Return the path of a curve over values from 0 up, in a box; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    top = max(max(values), 1.0)
    step = width / (len(values) - 1)
    points = [f"{round(i * step, 1):g} {round(height - v / top * height, 1):g}" for i, v in enumerate(values)]
    return "M" + "L".join(points)
