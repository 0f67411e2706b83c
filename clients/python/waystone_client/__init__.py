"""A Python client of Waystone: REST, world link, zone link. Async. Start at `Master` and `Player`."""

from waystone_client.errors import LinkLost, MasterError, Refusal, WaystoneError, ZoneLinkFailed
from waystone_client.player import Player, Sight
from waystone_client.rest import Master
from waystone_client.world_link import LinkDown, LinkOver, LinkUp, WorldLink
from waystone_client.zone_link import Snapshot, ZoneLink

__all__ = [
    "LinkDown",
    "LinkLost",
    "LinkOver",
    "LinkUp",
    "Master",
    "MasterError",
    "Player",
    "Refusal",
    "Sight",
    "Snapshot",
    "WaystoneError",
    "WorldLink",
    "ZoneLink",
    "ZoneLinkFailed",
]
