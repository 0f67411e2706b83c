"""Messages between the processes of one world: gateways, world daemon, zone clusters.

Carried in batches (one bus message for each pair of processes per tick) by the Channels layer, MessagePack
inside. The bus may lose, double or reorder any of them: nothing here has to arrive for anything to stay
right. Every request that matters is repeated by a time-out, and every answer names the request it answers.

Channel names: `daemon.<world>`, `cluster.<world>.<cluster>`, `gateway.<gateway id>`.
A process start is an `incarnation` (random u64): messages of a dead incarnation are told apart by it.

Source: docs/protocol.md, section "Bus".
"""

import msgspec

from zonecluster.protocol.bus_from_clusters import (
    AdmitRefused,
    Admitted,
    Checkpoint,
    ClusterAlive,
    Frozen,
    HandlerSlow,
    Held,
    InstanceExported,
    InstanceImported,
    InstanceOpened,
    Poisoned,
    PortalEntered,
    Removed,
    Resident,
    Residents,
    Settled,
    Unknown,
)
from zonecluster.protocol.bus_gateways import (
    CloseLink,
    GatewayAlive,
    LinkClosed,
    LinkMessage,
    LinksOpen,
    OpenLink,
    Route,
    SessionCommand,
    ToLinks,
)
from zonecluster.protocol.bus_message import (
    BusMessage,
    CommandKind,
    Group,
    Incarnation,
    LevelCap,
    LineKind,
    Link,
    Order,
)
from zonecluster.protocol.bus_to_clusters import (
    ActivateInstance,
    Admit,
    Attach,
    CloseInstance,
    ExportInstance,
    Freeze,
    Grouped,
    Hail,
    HandlersOff,
    Hold,
    ImportInstance,
    Journaled,
    LimitsAre,
    LineIs,
    MintToken,
    OpenInstance,
    Remove,
    ReportStored,
    ResumeInstance,
    Saved,
    Settle,
    Silence,
    StandDown,
    TakeCheckpoint,
    Thaw,
    Withhold,
)

__all__ = [
    "ActivateInstance",
    "Admit",
    "AdmitRefused",
    "Admitted",
    "Attach",
    "BusMessage",
    "Checkpoint",
    "CloseInstance",
    "CloseLink",
    "ClusterAlive",
    "CommandKind",
    "ExportInstance",
    "Freeze",
    "FromCluster",
    "FromGateway",
    "Frozen",
    "GatewayAlive",
    "Group",
    "Grouped",
    "Hail",
    "HandlerSlow",
    "HandlersOff",
    "Held",
    "Hold",
    "ImportInstance",
    "Incarnation",
    "InstanceExported",
    "InstanceImported",
    "InstanceOpened",
    "Journaled",
    "LevelCap",
    "LimitsAre",
    "LineIs",
    "LineKind",
    "Link",
    "LinkClosed",
    "LinkMessage",
    "LinksOpen",
    "MintToken",
    "OpenInstance",
    "OpenLink",
    "Order",
    "Poisoned",
    "PortalEntered",
    "Remove",
    "Removed",
    "ReportStored",
    "Resident",
    "Residents",
    "ResumeInstance",
    "Route",
    "Saved",
    "SessionCommand",
    "Settle",
    "Silence",
    "Settled",
    "StandDown",
    "TakeCheckpoint",
    "Thaw",
    "ToCluster",
    "ToDaemon",
    "ToGateway",
    "ToLinks",
    "Unknown",
    "Withhold",
    "cluster_decoder",
    "daemon_decoder",
    "encoder",
    "gateway_decoder",
]

FromGateway = GatewayAlive | LinkMessage | LinkClosed | LinksOpen
FromCluster = (
    ClusterAlive
    | Residents
    | InstanceOpened
    | InstanceExported
    | InstanceImported
    | Admitted
    | AdmitRefused
    | Frozen
    | Held
    | Settled
    | Checkpoint
    | Poisoned
    | PortalEntered
    | HandlerSlow
    | Removed
    | Unknown
)
ToDaemon = FromGateway | FromCluster
ToGateway = ToLinks | Route | CloseLink | Hail
ToCluster = (
    SessionCommand
    | OpenInstance
    | CloseInstance
    | ExportInstance
    | ImportInstance
    | ActivateInstance
    | ResumeInstance
    | Admit
    | MintToken
    | Attach
    | Freeze
    | Thaw
    | Remove
    | TakeCheckpoint
    | Saved
    | Journaled
    | Withhold
    | Silence
    | Hold
    | Settle
    | LineIs
    | LimitsAre
    | ReportStored
    | Grouped
    | HandlersOff
    | StandDown
    | Hail
)

encoder = msgspec.msgpack.Encoder()
daemon_decoder = msgspec.msgpack.Decoder(list[ToDaemon])
gateway_decoder = msgspec.msgpack.Decoder(list[ToGateway])
cluster_decoder = msgspec.msgpack.Decoder(list[ToCluster])
