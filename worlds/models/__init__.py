"""The tables of worlds: fields and constraints only.

Two kinds of rows. The master's: world.py. The world's own (in its own database when the deployment is
world-only): all others; they name their World too, whose row a world-only deployment keeps as a copy.
"""

from worlds.models.content import ContentPack, CreatureKind, CreatureSpawn, ItemKind, Zone, ZoneLink
from worlds.models.keeping import KeeperInvitation, WorldBanner, WorldKeeper, WorldOrder, WorldSanction
from worlds.models.placing import PlacementPlan, PopulationHour, ZoneCost, ZoneMove
from worlds.models.play import PlaySession, Quarantine, StoredReceipt, WaitingPlayer
from worlds.models.running import Host, SlowHandler, ZoneCluster
from worlds.models.setup import WorldSetup
from worlds.models.status import Availability, Incident, IncidentUpdate
from worlds.models.upkeep import Alarm, Announcement, Backup, Restart, RestartPolicy
from worlds.models.webhooks import Webhook, WebhookDelivery
from worlds.models.world import Pseudonym, Ticket, World, WorldKey, slug_validator

__all__ = [
    "Alarm",
    "Announcement",
    "Availability",
    "Backup",
    "ContentPack",
    "CreatureKind",
    "CreatureSpawn",
    "Host",
    "Incident",
    "IncidentUpdate",
    "ItemKind",
    "KeeperInvitation",
    "PlacementPlan",
    "PlaySession",
    "PopulationHour",
    "Pseudonym",
    "Quarantine",
    "Restart",
    "RestartPolicy",
    "SlowHandler",
    "StoredReceipt",
    "WaitingPlayer",
    "Ticket",
    "Webhook",
    "WebhookDelivery",
    "World",
    "WorldBanner",
    "WorldKeeper",
    "WorldOrder",
    "WorldSanction",
    "WorldSetup",
    "WorldKey",
    "Zone",
    "ZoneCluster",
    "ZoneCost",
    "ZoneLink",
    "ZoneMove",
    "slug_validator",
]
