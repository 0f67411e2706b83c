"""Why a zone is moved, in words for the admin."""

from worlds.planning.loads import Loads
from worlds.planning.model import Item

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def hour_name(hour: int) -> str:
    """Return an hour of the week as Friday 20:00."""
    return f"{DAYS[hour // 24]} {hour % 24:02d}:00"


def why_moved(loads: Loads, item: int, source: int, hour: int, before: float) -> str:
    """Return why an item has just been moved off a cluster. Args: before: how full that was, in this hour."""
    target = int(loads.seat_of[item])
    share = loads.cost[item, hour] / loads.capacity[source]
    after = loads.fill_of([target])[0]
    name, most = loads.seats[target].name, int(after.argmax())
    return (
        f"{loads.seats[source].name} would be {before:.0%} full on {hour_name(hour)} UTC, {share:.0%} by "
        f"this zone. With it {name} is then {after[hour]:.0%} full; "
        f"at most {after[most]:.0%}, on {hour_name(most)}."
    )


def why_placed(loads: Loads, item: int) -> str:
    """Return why an item that was on no cluster has been put where it is now."""
    seat = int(loads.seat_of[item])
    most = loads.fill_of([seat]).max()
    return f"It ran nowhere; {loads.seats[seat].name} takes it most easily: {most:.0%} full at most, with it."


def why_pinned(item: Item) -> str:
    """Return why an item goes to the cluster that it is pinned to."""
    return f"It is pinned to {item.pinned_to}."
