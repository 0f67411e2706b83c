"""What zones cost by hour of the week, and how many play by the hour: written by the daemon once a minute."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from worlds.cost_rules import Average, Cost, Population, averaged, counted, hour_of_week
from worlds.models import PopulationHour, World, Zone, ZoneCost

KEPT = timedelta(weeks=8)  # of hours


def record_minute(world: World, costs: Mapping[int, Cost], players: int, now: datetime) -> None:
    """Add one minute. A zone that is not named cost nothing.

    Args: costs: by the id of the zone's row; one that is there no more is left out. now: UTC.
    """
    record_costs(world, costs, now)
    count_players(world, players, now)


def record_costs(world: World, costs: Mapping[int, Cost], now: datetime) -> None:
    """Add a minute to the averages of this hour of the week."""
    hour = hour_of_week(now)
    known = {row.zone_id: row for row in ZoneCost.objects.filter(zone__world=world, hour=hour)}
    unknown = Zone.objects.filter(world=world, pk__in=costs.keys() - known.keys()).values_list(
        "pk", flat=True
    )
    changed = [
        _with(row, averaged(_average(row), costs.get(zone, Cost()), now)) for zone, row in known.items()
    ]
    made = [_with(ZoneCost(zone_id=zone, hour=hour), averaged(None, costs[zone], now)) for zone in unknown]
    fields = ["cpu_ms", "players", "commands", "weeks", "minutes", "updated_at"]
    ZoneCost.objects.bulk_update(changed, fields, batch_size=500)
    ZoneCost.objects.bulk_create(made)


def _average(row: ZoneCost) -> Average:
    return Average(Cost(row.cpu_ms, row.players, row.commands), row.weeks, row.minutes, row.updated_at)


def _with(row: ZoneCost, average: Average) -> ZoneCost:
    row.cpu_ms, row.players = average.cost.cpu_ms, average.cost.players
    row.commands, row.weeks = average.cost.commands, average.weeks
    row.minutes, row.updated_at = average.minutes, average.updated_at
    return row


def count_players(world: World, players: int, now: datetime) -> None:
    """Add a minute to the present hour; with the first of an hour, those over eight weeks old go."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    row = PopulationHour.objects.filter(world=world, at=hour).first()
    before = Population(row.mean, row.most, row.samples) if row is not None else Population()
    after = counted(before, players)
    values = {"mean": after.mean, "most": after.most, "samples": after.samples}
    PopulationHour.objects.update_or_create(world=world, at=hour, defaults=values)
    if row is None:
        PopulationHour.objects.filter(world=world, at__lt=hour - KEPT).delete()
