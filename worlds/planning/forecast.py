"""What a zone will cost in each hour of the week: what was learned, and what is seen just now. Pure."""

from collections.abc import Mapping

import numpy as np

from worlds.planning.model import HOURS, Week

AHEAD_H = 6  # how far what is seen now changes what is expected; it counts for less with each hour
LEAST_MS = 1.0  # below this a cost is noise: no ratio is made of it


def week_of(known: Mapping[int, float]) -> Week:
    """Return a whole week from the hours that are known, CPU ms/s by hour of the week.

    An hour that was not seen yet is taken as the mean of the same hour of other days, else as that of all.
    """
    week = np.full(HOURS, np.nan)
    for hour, cost in known.items():
        week[hour] = cost
    if np.isnan(week).all():
        return np.zeros(HOURS)
    seen = ~np.isnan(week).reshape(7, 24)
    days = np.where(seen, week.reshape(7, 24), 0.0)
    counts = seen.sum(axis=0)
    same_hour = np.where(counts > 0, days.sum(axis=0) / np.maximum(counts, 1), np.nanmean(week))
    return np.where(np.isnan(week), np.tile(same_hour, 7), week)


def with_present(week: Week, hour: int, now_ms: float) -> Week:
    """Return the week with the next hours changed by what the zone costs now, in this hour of the week.

    If it costs more than is known of this hour, it will for a while; by how much more, fades over AHEAD_H.
    Less than expected changes nothing: it is planned for what is usual.
    """
    extra = now_ms - week[hour]
    if now_ms < LEAST_MS or extra <= 0:
        return week
    changed = week.copy()
    hours = (hour + np.arange(AHEAD_H)) % HOURS
    changed[hours] += extra * (1.0 - np.arange(AHEAD_H) / AHEAD_H)
    return changed
