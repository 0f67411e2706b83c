"""World link, server to client: every message a player's client may get, and the two encoders.

Source: docs/protocol.md, section "World link".
"""

from typing import Literal, get_args
from uuid import UUID

import msgspec
from msgspec import Struct

from zonecluster.protocol.sky import Weather

EntityKind = Literal["player", "creature", "item", "chest", "vendor"]
ENTITY_KINDS: tuple[EntityKind, ...] = get_args(EntityKind)  # in the order of their numbers in snapshots

# Why the server said no. Clients show `reason` and `advice`; programs decide by `code`.
RefusalCode = Literal[
    "bad_frame",  # not JSON or MessagePack, or not a message of this protocol
    "bad_protocol_version",
    "bad_ticket",  # not signed by the master, not for this world, wrong type
    "ticket_expired",
    "ticket_used",
    "bad_resume_token",  # unknown, or the grace period is over: log in again
    "not_now",  # a legal message in the wrong state
    "unknown_character",
    "character_locked",
    "quarantined",  # the rules cannot handle its document here; the operator has a report
    "character_elsewhere",  # another world holds its lease
    "world_full",  # and so is its queue
    "maintenance",  # nobody is let in but the world's operators; `reason` says why
    "world_unavailable",  # daemon or clusters are starting; try again
    "master_unavailable",
    "too_fast",
]

# Why there was no trade and no letter: `code` of a Result, besides those of zonecluster.rules.items.
ExchangeCode = Literal[
    "unknown_player",
    "yourself",
    "too_many_invitations",
    "not_invited",
    "in_trade",
    "not_in_trade",
    "old_revision",  # the offers have changed since
    "not_locked",
    "called_off",  # by the other one; or too late to be called off
    "nothing_offered",
    "untouchable",  # frozen, leaving, or the outcome of its last exchange is not known
    "not_allied",
    "master_away",
    "trade_off",
    "lines_differ",
    "over_budget",
    "unknown_recipient",
    "mailbox_full",
    "unknown_letter",
    "goods_inside",
    "too_many_requests",
    "refused",  # by the master, for another reason
]


class ToClient(Struct, frozen=True, tag_field="type", tag=str.lower):
    """Anything the server sends."""


class CharacterSummary(Struct, frozen=True):
    """One character the account may enter with, as the master tells it."""

    id: UUID
    name: str
    level: int
    line: Literal["main", "fork"]
    zone: str | None = None  # where it stands in this world, if it was here before
    is_locked: bool = False


class Welcome(ToClient):
    """Answer to a good Hello. `playing` is set when a resume found the character still in the world."""

    world: str
    characters: list[CharacterSummary]
    edition: str
    motd: str
    resume: str
    playing: UUID | None = None


class Entered(ToClient):
    """The character is in the world. A ZoneAssigned follows (or came just before)."""

    character: UUID
    name: str
    line: Literal["main", "fork"]


class Queued(ToClient):
    """The world is full: the player waits, and is let in by itself. Told again whenever it changes.

    `place` counts from 1, `ahead` is how many are let in before. `estimate_s`: how long it will take if
    players go on leaving as they did; None: unknown.
    """

    place: int
    ahead: int
    estimate_s: float | None = None


class SkyIs(ToClient, tag="sky_is"):
    """Game time and weather of the player's zone: on entering it, and when one of them changes its course.

    `game_s`: seconds of game time since the world's first day began, when this was sent; from then on it
    runs `rate` times as fast as a clock.
    """

    zone: str
    weather: Weather
    game_s: float
    rate: float


class ZoneAssigned(ToClient, tag="zone_assigned"):
    """Where to open the zone link, and with what.

    `connect_token` is NETCODE 1.02's 2048 bytes, base64 in JSON and raw in MessagePack. `entity` is the
    player's own entity id in snapshots of this instance. `size` is the zone's extent in metres: snapshot
    positions are fractions of it. The old zone link, if any, is to be closed once the new one is up.
    """

    zone: str
    zone_name: str
    instance: int
    entity: int
    size: float
    connect_token: bytes


class Result(ToClient):
    """Answer to the command of that `seq`. `code`: why not, for programs; empty where there is none."""

    seq: int
    ok: bool
    text: str = ""
    code: str = ""


class Heard(ToClient):
    """Somebody spoke within earshot."""

    speaker: str
    entity: int
    text: str


class NearbyEntity(Struct, frozen=True):
    """One entity, described. Distance in metres from the asking player."""

    id: int
    name: str
    kind: EntityKind
    distance: float


class Exit(Struct, frozen=True):
    """One zone link that starts in this zone; x, y in metres."""

    link: str
    label: str
    target_zone: str
    x: float
    y: float
    radius: float
    edition: str = "free"


class Surroundings(ToClient):
    """Answer to Look. x, y, z in metres."""

    seq: int
    zone: str
    zone_name: str
    description: str
    x: float
    y: float
    z: float
    nearby: list[NearbyEntity]
    exits: list[Exit]


class Described(ToClient):
    """Answer to Describe: the entities that exist; those that do not are left out."""

    seq: int
    entities: list[NearbyEntity]


class Stack(Struct, frozen=True):
    """Items of one kind in one place of a bag. Of a kind that the world does not know, name is the slug."""

    kind: str
    name: str
    count: int
    id: UUID | None = None
    slot: str = ""
    value: int = 0
    weight: float = 0.0
    is_known: bool = True


class Bag(Struct, frozen=True):
    """What is in one bag, in its order. `capacity` in stacks."""

    name: str
    capacity: int
    stacks: list[Stack]


class InventoryIs(ToClient, tag="inventory_is"):
    """Answer to Inventory. `more`: stacks that are left out here, since there are so many."""

    seq: int
    money: int
    bags: list[Bag]
    more: int = 0


class Offered(Struct, frozen=True):
    """What a vendor takes for one of a kind, and what it gives for one, in coins; 0: does not."""

    kind: str
    name: str
    price: int
    pays: int


class WaresAre(ToClient, tag="wares_are"):
    """Answer to Wares."""

    seq: int
    vendor: str
    wares: list[Offered]


class AllianceInvited(ToClient, tag="alliance_invited"):
    """A character asks the player into an alliance: AllianceAnswer within so many seconds."""

    inviter: str
    seconds: int


class AllianceMember(Struct, frozen=True):
    """One member of an alliance."""

    character: UUID
    name: str


class AllianceChanged(ToClient, tag="alliance_changed"):
    """The player's alliance as it is now: told at each change, and again to a client that came back."""

    leader: str
    members: list[AllianceMember]


class TradeInvited(ToClient, tag="trade_invited"):
    """A character asks the player to trade: TradeAnswer within so many seconds."""

    inviter: str
    seconds: int


class TradeSide(Struct, frozen=True):
    """What one of two gives."""

    name: str
    items: list[Stack]
    money: int
    is_locked: bool = False
    is_confirmed: bool = False


class TradeChanged(ToClient, tag="trade_changed"):
    """The player's trade as it is now. `revision` grows with each change of an offer and never repeats."""

    revision: int
    mine: TradeSide
    theirs: TradeSide


class TradeEnded(ToClient, tag="trade_ended"):
    """The trade is over: done, or nothing has changed hands. `text` says why."""

    partner: str
    is_done: bool
    text: str


class LetterSummary(Struct, frozen=True):
    """A letter in the mailbox. `posted_at`: seconds since 1970, UTC."""

    id: UUID
    sender: str
    world: str
    subject: str
    text: str
    items: list[Stack]
    money: int
    posted_at: float
    is_returned: bool = False
    is_new: bool = False


class MailIs(ToClient, tag="mail_is"):
    """Answer to MailList: the newest first. `more`: how many there are besides."""

    seq: int
    letters: list[LetterSummary]
    more: int = 0


class EditionIs(ToClient, tag="edition_is"):
    """The account's edition, or what it allows, is another from now on: no new log-in is needed.

    `locked`: characters of Welcome's list that are over its slots now; the others are open.
    """

    edition: str
    level_cap: int | None = None
    may_enter_premium_zones: bool = False
    locked: list[UUID] = []


class Notice(ToClient):
    """A plain message from the world for the player to read."""

    text: str
    level: Literal["info", "warning"] = "info"


class Refused(ToClient):
    """No, why, and what to do. `seq` names the command, if it was one."""

    code: RefusalCode
    reason: str
    advice: str
    seq: int | None = None


class Goodbye(ToClient):
    """Last message before the server closes the link."""

    reason: str
    is_saved: bool


class Pong(ToClient):
    """Answer to Ping."""

    seq: int


ServerMessage = (
    Welcome
    | Entered
    | Queued
    | ZoneAssigned
    | SkyIs
    | Result
    | Heard
    | Surroundings
    | Described
    | InventoryIs
    | WaresAre
    | AllianceInvited
    | AllianceChanged
    | TradeInvited
    | TradeChanged
    | TradeEnded
    | MailIs
    | EditionIs
    | Notice
    | Refused
    | Goodbye
    | Pong
)

json_encoder = msgspec.json.Encoder()
msgpack_encoder = msgspec.msgpack.Encoder()
json_decoder = msgspec.json.Decoder(ServerMessage)
msgpack_decoder = msgspec.msgpack.Decoder(ServerMessage)
