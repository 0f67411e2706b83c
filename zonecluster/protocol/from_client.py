"""World link, client to server: every message a player's client may send, and the two decoders.

Text frames carry JSON, binary frames carry MessagePack; the types are the same. Unknown types, unknown
fields' types and values out of range are refused by the decoder: what comes out of it is safe to dispatch.

Source: docs/protocol.md, section "World link".
"""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 16 * 1024  # the largest legal message (MailSend, all of it 4-byte letters) is under 14 KB

Seq = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Revision = Annotated[int, Meta(ge=0, le=2**53 - 1)]
EntityId = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Text = Annotated[str, Meta(min_length=1, max_length=400)]
CharacterName = Annotated[str, Meta(min_length=1, max_length=40)]
ItemKindName = Annotated[str, Meta(min_length=1, max_length=64)]
BagName = Annotated[str, Meta(min_length=1, max_length=64)]
ItemCount = Annotated[int, Meta(ge=1, le=1_000_000)]
Position = Annotated[int, Meta(ge=0, le=10_000)]  # of a stack in its bag, from 0
Token = Annotated[str, Meta(min_length=16, max_length=4096)]


class FromClient(Struct, frozen=True, tag_field="type", tag=str.lower):
    """Anything a client sends."""


class Hello(FromClient):
    """First message of a link, within 10 s: a ticket to enter, or a resume token to come back."""

    protocol_version: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    client: Annotated[str, Meta(max_length=80)] = ""
    ticket: Token | None = None
    resume: Token | None = None


class Enter(FromClient):
    """Play this character; answered by Entered or Refused."""

    character: UUID


class ZoneTokenRequest(FromClient, tag="zone_token_request"):
    """Ask for a fresh connect token to the zone the character is in (the zone link was lost)."""


class Say(FromClient):
    """Speak to everybody within earshot (30 m); answered by Result."""

    seq: Seq
    text: Text


class Look(FromClient):
    """Describe the zone and who is near; answered by Surroundings."""

    seq: Seq


class Describe(FromClient):
    """Ask for names and kinds of entities seen in snapshots; answered by Described."""

    seq: Seq
    entities: Annotated[list[EntityId], Meta(min_length=1, max_length=64)]


class UsePortal(FromClient, tag="use_portal"):
    """Go through the named zone link; the character must stand within its trigger."""

    seq: Seq
    link: Annotated[str, Meta(min_length=1, max_length=64)]


class Select(FromClient):
    """Select an entity, or nobody; answered by Result. It is shown first, and spells go to it."""

    seq: Seq
    entity: EntityId


class Cast(FromClient):
    """Cast a spell; answered by Result. What it does is seen as an effect on its target."""

    seq: Seq
    spell: Annotated[str, Meta(min_length=1, max_length=64)]
    target: EntityId = 0


class Inventory(FromClient):
    """Ask what the character has; answered by InventoryIs."""

    seq: Seq


class Wares(FromClient):
    """Ask a vendor within reach what it sells and buys; answered by WaresAre, or by Result if none is."""

    seq: Seq
    entity: EntityId


class Buy(FromClient):
    """Buy so many of a kind from a vendor within reach; answered by Result."""

    seq: Seq
    entity: EntityId
    kind: ItemKindName
    count: ItemCount = 1


class Sell(FromClient):
    """Sell so many of a kind out of the inventory to a vendor within reach; answered by Result."""

    seq: Seq
    entity: EntityId
    kind: ItemKindName
    count: ItemCount = 1
    id: UUID | None = None


class Loot(FromClient):
    """Take what is in a chest within reach, as far as there is room; answered by Result."""

    seq: Seq
    entity: EntityId


class PickUp(FromClient, tag="pick_up"):
    """Pick up an item that lies within reach; answered by Result."""

    seq: Seq
    entity: EntityId


class Drop(FromClient):
    """Lay so many of a kind on the ground; answered by Result once the master has taken note of it."""

    seq: Seq
    kind: ItemKindName
    count: ItemCount = 1


class Equip(FromClient):
    """Put on something of the inventory; answered by Result."""

    seq: Seq
    kind: ItemKindName
    id: UUID | None = None


class Unequip(FromClient):
    """Take off what is worn in a slot; answered by Result."""

    seq: Seq
    slot: BagName


class Move(FromClient):
    """Move so many of a kind between inventory and bank; answered by Result."""

    seq: Seq
    source: BagName
    target: BagName
    kind: ItemKindName
    count: ItemCount = 1
    id: UUID | None = None


class Split(FromClient):
    """Lay so many of a stack beside it, as one of their own; answered by Result."""

    seq: Seq
    bag: BagName
    position: Position
    count: ItemCount


class Merge(FromClient):
    """Lay one stack onto another of its kind, as far as that takes it; answered by Result."""

    seq: Seq
    bag: BagName
    position: Position
    onto: Position


class AllianceInvite(FromClient, tag="alliance_invite"):
    """Invite a character of this world into an alliance, by name; answered by Result."""

    seq: Seq
    name: CharacterName


class AllianceAnswer(FromClient, tag="alliance_answer"):
    """Accept or decline the invitation of a character; answered by Result."""

    seq: Seq
    name: CharacterName
    accept: bool


class AllianceLeave(FromClient, tag="alliance_leave"):
    """Leave the alliance; answered by Result."""

    seq: Seq


class TradeInvite(FromClient, tag="trade_invite"):
    """Ask a character of this world, by name, to trade; answered by Result."""

    seq: Seq
    name: CharacterName


class TradeAnswer(FromClient, tag="trade_answer"):
    """Accept or decline the trade that a character asked for; answered by Result."""

    seq: Seq
    name: CharacterName
    accept: bool


class OfferedItem(Struct, frozen=True):
    """So many of a kind out of the inventory, or the valuable with that id."""

    kind: ItemKindName
    count: ItemCount = 1
    id: UUID | None = None


class TradeOffer(FromClient, tag="trade_offer"):
    """What the player would give, in place of what was offered before; answered by Result.

    Both players' locks and confirmations are void then.
    """

    seq: Seq
    items: Annotated[list[OfferedItem], Meta(max_length=12)] = []
    money: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0


class TradeLock(FromClient, tag="trade_lock"):
    """The player's offer stays as it is; answered by Result. `revision`: of the TradeChanged seen last."""

    seq: Seq
    revision: Revision


class TradeConfirm(FromClient, tag="trade_confirm"):
    """Both offers are locked, and the player agrees to exactly these; answered by Result once it is done."""

    seq: Seq
    revision: Revision


class TradeCancel(FromClient, tag="trade_cancel"):
    """Have no trade; answered by Result."""

    seq: Seq


class Give(FromClient):
    """Give something to a member of the player's alliance, without a trade; answered by Result."""

    seq: Seq
    name: CharacterName
    items: Annotated[list[OfferedItem], Meta(max_length=12)] = []
    money: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0


class MailSend(FromClient, tag="mail_send"):
    """Write to a character on any world, with things and coins or without; answered by Result."""

    seq: Seq
    to: CharacterName
    subject: Annotated[str, Meta(min_length=1, max_length=80)]
    text: Annotated[str, Meta(max_length=2000)] = ""
    items: Annotated[list[OfferedItem], Meta(max_length=12)] = []
    money: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0


class MailList(FromClient, tag="mail_list"):
    """Ask for the character's letters; answered by MailIs."""

    seq: Seq


class MailTake(FromClient, tag="mail_take"):
    """Take what lies in a letter, all of it; answered by Result."""

    seq: Seq
    letter: UUID


class MailDiscard(FromClient, tag="mail_discard"):
    """Throw away a letter in which nothing lies; answered by Result."""

    seq: Seq
    letter: UUID


class Logout(FromClient):
    """Leave the world: saved, released, then Goodbye."""


class Ping(FromClient):
    """Answered by Pong at once, by the gateway."""

    seq: Seq


ClientMessage = (
    Hello
    | Enter
    | ZoneTokenRequest
    | Say
    | Look
    | Describe
    | UsePortal
    | Select
    | Cast
    | Inventory
    | Wares
    | Buy
    | Sell
    | Loot
    | PickUp
    | Drop
    | Equip
    | Unequip
    | Move
    | Split
    | Merge
    | AllianceInvite
    | AllianceAnswer
    | AllianceLeave
    | TradeInvite
    | TradeAnswer
    | TradeOffer
    | TradeLock
    | TradeConfirm
    | TradeCancel
    | Give
    | MailSend
    | MailList
    | MailTake
    | MailDiscard
    | Logout
    | Ping
)
Trading = TradeInvite | TradeAnswer | TradeOffer | TradeLock | TradeConfirm | TradeCancel | Give
Mailing = MailSend | MailList | MailTake | MailDiscard
ChangeOfGoods = Buy | Sell | Loot | PickUp | Drop | Equip | Unequip | Move | Split | Merge
# what the player's zone cluster runs, in order
Command = Say | Look | Describe | UsePortal | Select | Cast | Inventory | Wares | ChangeOfGoods

json_decoder = msgspec.json.Decoder(ClientMessage)
msgpack_decoder = msgspec.msgpack.Decoder(ClientMessage)
