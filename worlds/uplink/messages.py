"""The uplink's requests and answers, used by the master's API and by the world daemon alike.

JSON over HTTPS, POST to `<master>/api/v1/uplink/<verb>/`. Bytes are base64. States are the character
documents of zonecluster.protocol.character. Every request is idempotent or fenced: repeating one is harmless.

Source: docs/protocol.md, section "Uplink".
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from worlds.uplink.orders import MAX_ORDERS, Mute, Order, OrderEnded, Policy
from zonecluster.protocol.character import CharacterState, Count, Item
from zonecluster.protocol.to_client import CharacterSummary

MAX_BATCH = 500
MAX_BODY_BYTES = 40 * 1024 * 1024  # a full batch of the largest states

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # epochs and versions
Chain = Annotated[bytes, Meta(min_length=32, max_length=32)]
Door = Annotated[bytes, Meta(max_length=2048)]
ReceiptText = Annotated[str, Meta(max_length=4096)]
SaveKind = Literal["periodic", "level", "quest", "item", "handoff", "logout", "trade", "mail"]

# Why the master refuses. `stale`: the head has moved or the lease is another's: drop the character.
RefusalCode = Literal[
    "bad_ticket",
    "ticket_expired",
    "ticket_used",
    "world_suspended",
    "unknown_character",
    "character_locked",
    "not_admitted",  # no open admission of that account to this world
    "held_elsewhere",  # another world's lease is in force
    "stale",
    "op_id_reused",  # the same op_id with other content
    "bad_chain",  # prev_chain is not the head's
    "invalid_state",
    "account_banned",
    "trade_off",  # the staff stopped trade of this world, or of a kind of item in it
    "not_conserved",  # an exchange that makes or loses something, or changes more than goods
    "other_line",  # an exchange between main and a fork
    "over_budget",  # a trade on main by which one side gains more than the world may give it
    "foreign_valuable",  # a thing with an id that is somebody else's, or gone
    "unknown_recipient",
    "mailbox_full",
    "unknown_letter",  # no such letter for that character on that line, or it is empty
    "bad_proof",  # 401: no world has signed this request in this form; also a revoked key
    "bad_request",  # 400, 413: not the struct of this verb, out of range, or too large
    "master_fault",  # 503: the master cannot answer now (its database is away): ask again, same op_id
]


class Refusal(Struct, frozen=True):
    """An answer of 4xx: problem+json carries these as `code` and `detail`."""

    code: RefusalCode
    detail: str


class Redeem(Struct, frozen=True):
    """Use a player's ticket: once."""

    ticket: Annotated[str, Meta(max_length=4096)]


class Limits(Struct, frozen=True):
    """What the account's edition allows, as far as a world enforces it."""

    level_cap: int | None
    may_enter_premium_zones: bool = False
    queue_place: Annotated[int, Meta(ge=0, le=100)] = 1  # of a full world: lower ones are let in first


class Admission(Struct, frozen=True):
    """The account may play here. `admission` is the ticket's jti, `account` this world's pseudonym of it."""

    admission: UUID
    account: UUID
    edition: str
    limits: Limits
    characters: list[CharacterSummary]
    is_operator: bool = False  # a keeper of the world, or staff: let in during maintenance, too
    mute: Mute | None = None  # the world's keepers have silenced the account here


class Acquire(Struct, frozen=True):
    """Ask for the lease of the line that this world plays of a character.

    Repeat with the same op_id after a lost answer. `order` grows with each new op_id of a world, also over
    restarts of its daemon: one that comes late cannot take the lease from a newer session of its own world.
    """

    admission: UUID
    character: UUID
    op_id: UUID
    order: Number = 0


class Lease(Struct, frozen=True):
    """The right to write one line, and its head. `lease_s`: seconds until it lapses unless renewed."""

    character: UUID
    name: str
    line: UUID
    line_kind: Literal["main", "fork"]
    epoch: int
    lease_s: float
    version: int
    chain: Chain
    state: CharacterState
    exchange: UUID | None = None  # the newest exchange that the line was part of
    # Of the head, if this world wrote it: a daemon that died before it heard has the receipt after all.
    receipt: ReceiptText = ""
    kind: SaveKind | None = None
    why_fork: Literal["", "tier", "limited", "budget"] = ""  # why it is not main


class LeaseRef(Struct, frozen=True):
    """Names one lease."""

    line: UUID
    epoch: Number


class Renew(Struct, frozen=True):
    """Prolong leases, one batch per world every 30 s."""

    leases: Annotated[list[LeaseRef], Meta(max_length=MAX_BATCH)]


class Renewed(Struct, frozen=True):
    """`held` leases run for `lease_s` from now; `lost` ones are another's or gone: drop those characters."""

    lease_s: float
    held: list[LeaseRef]
    lost: list[LeaseRef]


class Save(Struct, frozen=True):
    """One write: replaces the head `version` by `version + 1`, if epoch, version, chain and holder match."""

    line: UUID
    epoch: Number
    version: Number
    prev_chain: Chain
    op_id: UUID
    kind: SaveKind
    state: CharacterState


class SaveBatch(Struct, frozen=True):
    """Writes of different lines; each stands or falls by itself."""

    saves: Annotated[list[Save], Meta(min_length=1, max_length=MAX_BATCH)]


class Forked(Struct, frozen=True):
    """A write fell to the world's own fork: which version of it, under which epoch, and why.

    The world goes on under the names it knows (line, epoch, version, chain of the lease that it was granted)
    until it gives the lease back; the master carries saves, renewals and the release over to the fork.
    """

    line: UUID
    epoch: int
    version: int
    chain: bytes
    reason: Literal["limited", "budget"]


class Saved(Struct, frozen=True):
    """The outcome of one write. Accepted: `version`, `chain` and a signed `receipt`; else `refusal`.

    `forked`: accepted on the world's fork, of which the receipt is.
    """

    op_id: UUID
    version: int = 0
    chain: bytes = b""
    receipt: str = ""
    refusal: Refusal | None = None
    forked: Forked | None = None


class SavedBatch(Struct, frozen=True):
    """Outcomes, in the order of the writes."""

    results: list[Saved]


class Goods(Struct, frozen=True):
    """What changes hands: stacks, valuables with their ids, coins."""

    items: Annotated[list[Item], Meta(max_length=24)] = []
    money: Count = 0


class Letter(Struct, frozen=True):
    """A letter to be posted. `recipient`: the name of a character of any account."""

    id: UUID
    sender: LeaseRef
    recipient: Annotated[str, Meta(min_length=1, max_length=40)]
    subject: Annotated[str, Meta(min_length=1, max_length=80)]
    text: Annotated[str, Meta(max_length=2000)] = ""
    goods: Goods = Goods()


class Taking(Struct, frozen=True):
    """Goods to be taken out of a letter, all of them, by the character of that lease."""

    letter: UUID
    recipient: LeaseRef


class Exchange(Struct, frozen=True):
    """Goods change hands: all of the writes are accepted, and the letter posted or emptied, or nothing is.

    A trade: two writes of kind `trade`. A letter with goods, or its taking: one write of kind `mail`. One
    without goods: no write. What the heads and the letter had, the new states and the letter have: nothing
    else changes. Repeated with the same content it gets the same answer.
    """

    id: UUID
    writes: Annotated[list[Save], Meta(max_length=2)]
    post: Letter | None = None
    take: Taking | None = None


class Exchanged(Struct, frozen=True):
    """`results` in the order of the writes, all accepted; or `refusal`, and then nothing was written.

    `line`: which of the lines the refusal is about, if it is about one.
    """

    results: list[Saved] = []
    refusal: Refusal | None = None
    line: UUID | None = None


class Mailbox(Struct, frozen=True):
    """Ask for the letters of a character, by its lease. `discard`: to be thrown away first, if empty."""

    lease: LeaseRef
    discard: Annotated[list[UUID], Meta(max_length=50)] = []


class Received(Struct, frozen=True):
    """A letter in a mailbox. `goods` is empty once they were taken. `is_returned`: nobody took them."""

    id: UUID
    sender: str
    world: str  # name of the world that it was posted in
    subject: str
    text: str
    goods: Goods
    posted_at: datetime
    is_returned: bool = False
    is_new: bool = False  # was in no answer before


class MailboxIs(Struct, frozen=True):
    """The newest first: at most 50 with goods and 50 without; `more`: how many there are besides."""

    letters: list[Received]
    more: int = 0


class Release(Struct, frozen=True):
    """Give a lease back. Releasing what is not held is not an error."""

    line: UUID
    epoch: Number


class Released(Struct, frozen=True):
    """`was_held`: the lease was this world's until now."""

    was_held: bool


class ClusterReport(Struct, frozen=True):
    """One cluster, as the daemon sees it."""

    name: Annotated[str, Meta(max_length=24)]
    is_alive: bool
    players: Annotated[int, Meta(ge=0)]
    tick_ms: float


class PlannedRestart(Struct, frozen=True):
    """The next restart of a world, told on the master's pages; rolling ones put nobody out."""

    at: datetime
    kind: Literal["rolling", "full"]


class Report(Struct, frozen=True):
    """Every 5 s: the world is up. Populations in it are not believed: the master counts leases."""

    gateway_url: Annotated[str, Meta(max_length=200)]
    started_at: datetime
    clusters: Annotated[list[ClusterReport], Meta(max_length=1000)]
    # Why nobody is let in at present, for players; None: they are. The master gives out no tickets then.
    maintenance: Annotated[str, Meta(max_length=200)] | None = None
    restart: PlannedRestart | None = None  # the next one, or the one under way
    # Accounts that are here without a lease: they choose a character, or wait for a place. Of more than fit
    # each report names others. An upgrade reaches them, too.
    waiting: Annotated[list[UUID], Meta(max_length=MAX_BATCH)] = []
    done: Annotated[list[OrderEnded], Meta(max_length=MAX_ORDERS)] = []  # orders that have ended
    policy: Policy | None = None  # by which it restarts; None: it does not say
    # Connect tokens of zone clusters for nobody, by which the master looks whether UDP comes through.
    doors: Annotated[list[Door], Meta(max_length=8)] = []
    zones: Annotated[int, Meta(ge=0)] = 0  # that are open


class AccountNews(Struct, frozen=True):
    """The edition or standing of an account in play here, or named in `waiting`, as it is now."""

    account: UUID
    edition: str
    limits: Limits
    is_banned: bool
    locked: list[UUID] | None = None  # characters over the edition's slots; None: not told, it is in play
    mute: Mute | None = None
    banned_for: str = ""  # by the world's keepers: why, and until when, for the player


class Reported(Struct, frozen=True):
    """The master's side: tier, whether the world is suspended, and news of each account with a lease here."""

    tier: str
    is_suspended: bool
    accounts: list[AccountNews]
    is_limited: bool = False  # its writes go to its own forks
    incarnation: int = 1  # rises when the master was restored from a backup
    is_trade_off: bool = False  # the staff stopped trade and mail of this world
    kinds_off: list[str] = []  # kinds of items that may not change hands here
    letters: list[UUID] = []  # characters in play here whose mailboxes have a letter that is new
    collects_since: datetime | None = None  # set: restored just now; offer what was accepted since then
    # Set: the master's staff, or the world's keepers on the site, let nobody in; why, for players
    maintenance: str | None = None
    orders: list[Order] = []  # of the world's keepers, until a report tells their end
    motd: str = ""  # message of the day, as on the site; empty: the world's own
    wants_doors: bool = False  # send `doors` with the next report


class OfferedVersion(Struct, frozen=True):
    """A version that the master acknowledged before it was restored: its receipt, and the state."""

    receipt: ReceiptText
    kind: SaveKind
    state: CharacterState


class Reoffer(Struct, frozen=True):
    """What a world holds of what the master may have lost. `is_last`: there is no more."""

    incarnation: Number
    versions: Annotated[list[OfferedVersion], Meta(max_length=MAX_BATCH)]
    is_last: bool


class Reoffered(Struct, frozen=True):
    """What became of them. `waiting`: something before them is missing; offer all again a little later."""

    incarnation: int
    replayed: int
    known: int
    waiting: int
    refused: int


decoders: dict[type, msgspec.json.Decoder] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (
        Redeem,
        Admission,
        Acquire,
        Lease,
        Renew,
        Renewed,
        SaveBatch,
        SavedBatch,
        Release,
        Released,
        Exchange,
        Exchanged,
        Mailbox,
        MailboxIs,
        Report,
        Reported,
        Reoffer,
        Reoffered,
        Refusal,
    )
}
encoder = msgspec.json.Encoder(order="sorted")
