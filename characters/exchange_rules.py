"""What decides an exchange: which is accepted, where it goes, and why another is refused. Pure.

The order, in the services as in the core: its shape, repeats, each write (rules.decide_save), one kind of
lines, its id, the letter that is emptied, trade stops, states, conservation, the world's budget, the mailbox
that it is for, valuables.
"""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from characters.conservation import NOTHING, changed_kinds, conservation_fault
from characters.rules import AskedSave, EarlierWrite, Head, Write, Writer, decide_save, is_lease_of, may_have
from worlds.uplink.messages import Goods, LeaseRef, Letter, Refusal, Taking
from zonecluster.protocol.character import CharacterState

EXCHANGE_KINDS = frozenset(
    {"trade", "mail"}
)  # of writes: nothing else goes by an exchange, nor these without
MAILBOX_GOODS = 50  # letters with goods that wait in one mailbox: no more are taken in
MAILBOX_LETTERS = 200  # letters without goods in one mailbox
MAILBOX_OF_ONE = 10  # letters of one sender in one mailbox, but for those whose goods were taken
MAILBOX_SHOWN = 50  # letters in one answer: so many with goods, and so many without
REPLAYED = bytes(32)  # digest of a letter that a restore made again: its words are not known
RETURN_AFTER = timedelta(days=30)  # goods that nobody takes go back to who sent them
DISCARD_AFTER = timedelta(days=90)  # letters in which nothing lies are thrown away


class AskedExchange(Protocol):
    """What every form of an uplink's Exchange has, whether its states are parsed or raw."""

    @property
    def id(self) -> UUID: ...
    @property
    def writes(self) -> Sequence[AskedSave]: ...
    @property
    def post(self) -> Letter | None: ...
    @property
    def take(self) -> Taking | None: ...


@dataclass(frozen=True)
class No:
    """A refused exchange: nothing of it is written. `line`: which one it is about, if it is about one."""

    refusal: Refusal
    line: UUID | None = None


@dataclass(frozen=True)
class Target:
    """Where a good exchange goes. `scope`: the world whose forks it is about; None: main.

    `falls`: what is asked for on main goes to the world's forks: it is limited, or the leases fell before.
    """

    scope: object
    falls: Literal["", "limited", "budget"] = ""


@dataclass(frozen=True)
class Part:
    """One write of an exchange, and what it meets.

    `before`: the head's document; `fault`: what is wrong with the write's; `belonged_to`: exchange and letter
    of the earlier write.
    """

    write: Write
    head: Head | None
    before: CharacterState | None
    fault: str = ""
    earlier: EarlierWrite | None = None
    belonged_to: tuple[UUID | None, UUID | None] = (None, None)


@dataclass(frozen=True)
class Lying:
    """A letter whose goods are to be taken. `goods`: empty once they were."""

    scope: object
    recipient: UUID
    goods: Goods


@dataclass(frozen=True)
class Addressee:
    """Whom a letter is for, and how many letters wait there. `of_sender`: of the one who writes now."""

    character: UUID
    with_goods: int = 0
    without_goods: int = 0
    of_sender: int = 0


# ---------------------------------------------------------------- what is asked for


def shape_fault(asked: AskedExchange) -> str:
    """Return why a request is no exchange at all; empty: it is one."""
    kinds = [write.kind for write in asked.writes]
    if asked.post is not None and asked.take is not None:
        return "one letter at a time: post or take"
    if asked.post is None and asked.take is None:
        if kinds != ["trade", "trade"]:
            return "a trade is two writes of kind trade"
        if asked.writes[0].line == asked.writes[1].line or asked.writes[0].op_id == asked.writes[1].op_id:
            return "a trade is of two lines, with an op_id each"
        return ""
    if asked.post is not None and (fault := _text_fault(asked.post)):
        return fault
    lease = asked.post.sender if asked.post is not None else asked.take.recipient  # type: ignore[union-attr]
    if asked.post is not None and asked.post.goods == NOTHING:
        return "a letter without goods changes no character" if kinds else ""
    if kinds != ["mail"] or (asked.writes[0].line, asked.writes[0].epoch) != (lease.line, lease.epoch):
        return "goods in a letter are one write of kind mail, of the line that the letter names"
    return ""


def _text_fault(letter: Letter) -> str:
    text = letter.recipient + letter.subject + letter.text.replace("\n", "").replace("\t", "")
    if _has_control(text):
        return "a letter has no control characters"
    if any(_has_control(item.kind) for item in letter.goods.items):
        return "the kind of what lies in a letter has no control characters"
    return "" if letter.subject.strip() else "a letter has a subject"


def _has_control(text: str) -> bool:
    return any(unicodedata.category(sign) == "Cc" for sign in text)


def digest_of(asked: AskedExchange) -> bytes:
    """Return what a posted letter is known by when it comes again (32 bytes)."""
    return sha256(msgspec.json.encode((asked.id, asked.post), order="sorted")).digest()


def is_same_letter(asked: AskedExchange, *, exchange: UUID | None, digest: bytes) -> bool:
    """Return whether a letter that is there is the very one that is posted."""
    return digest == digest_of(asked) or (digest == REPLAYED and exchange == asked.id)


def decide_known_letter(
    asked: AskedExchange, *, is_own: bool, is_same: bool
) -> No | Literal["repeated"] | None:
    """Decide what follows from a letter of the posted id being there. One with goods: its write tells.

    Args: is_own: this world posted it; is_same: with this very content.
    """
    if not (is_own and is_same):
        return No(Refusal("op_id_reused", "this letter's id belongs to another letter"))
    return None if asked.writes else "repeated"


def letter_of(asked: AskedExchange) -> UUID | None:
    """Return the id of the letter in an exchange."""
    if asked.post is not None:
        return asked.post.id
    return asked.take.letter if asked.take is not None else None


# ---------------------------------------------------------------- the writes


def decide_writes(
    parts: Sequence[Part], *, writer: Writer, exchange: UUID, letter: UUID | None
) -> Target | Literal["repeated"] | No:
    """Decide the writes of an exchange by their names and heads; their states are not looked at."""
    decisions = []
    for part in parts:
        decision = decide_save(part.write, head=part.head, earlier=part.earlier, writer=writer)
        if isinstance(decision, Refusal):
            return No(decision, part.write.line)
        if decision == "repeated" and part.belonged_to != (exchange, letter):
            return No(_reused(), part.write.line)
        decisions.append(decision)
    if "repeated" in decisions:
        known = [decision == "repeated" for decision in decisions]
        return "repeated" if all(known) else No(_reused(), parts[known.index(True)].write.line)
    go_to = {  # what falls goes to the world's fork, whatever line it names
        writer.world if decision == "falls" or part.head is None else part.head.owner
        for part, decision in zip(parts, decisions, strict=True)
    }
    if len(go_to) > 1:
        return No(Refusal("other_line", "goods do not go between main and a fork"))
    if "falls" in decisions:
        return Target(writer.world, falls="limited" if writer.is_limited else "budget")
    return Target(go_to.pop())


def decide_id(*, is_used: bool) -> No | None:
    """Decide an exchange that is no repeat by its id. Args: is_used: another one had it."""
    return No(_reused()) if is_used else None


def decide_lease(lease: LeaseRef, *, head: Head | None, writer: Writer) -> Target | No:
    """Decide what needs a lease and changes no line: a letter without goods, a look into a mailbox."""
    if writer.is_suspended:
        return No(Refusal("world_suspended", "the staff suspended this world; nothing is written"))
    if head is None or not is_lease_of(head, world=writer.world, epoch=lease.epoch):
        return No(
            Refusal("stale", "this world does not hold the lease of that epoch; drop the character"),
            lease.line,
        )
    if not may_have(head, writer) and not head.is_fallen:
        return No(
            Refusal("stale", "this world may not write this line any more; drop the character"), lease.line
        )
    return Target(writer.world if head.is_fallen or head.owner is not None else None)


# ---------------------------------------------------------------- the goods


def decide_goods(
    parts: Sequence[Part],
    *,
    target: Target,
    post: Letter | None = None,
    emptied: Lying | None = None,
    is_taking: bool = False,
    taker: UUID | None = None,
    stops: Collection[str] = (),
) -> No | None:
    """Decide what changes hands.

    Args: emptied: the letter that is to be emptied, None if there is none; taker: the character that does;
        stops: kinds that may not change hands here, "" among them: nothing may.
    """
    line = parts[0].write.line if len(parts) == 1 else None
    if is_taking:
        if emptied is None or emptied.recipient != taker or emptied.goods == NOTHING:
            return No(Refusal("unknown_letter", "there is no such letter, or nothing lies in it"), line)
        if emptied.scope != target.scope:
            return No(Refusal("other_line", "what lies in this letter does not go to this line"), line)
    taken = emptied.goods if is_taking and emptied is not None else NOTHING
    posted = post.goods if post is not None else NOTHING
    if refusal := _stopped(parts, [taken, posted], stops):
        return No(refusal)
    for part in parts:
        if part.fault:
            return No(Refusal("invalid_state", part.fault), part.write.line)
    before = [part.before for part in parts if part.before is not None]
    after = [part.write.document for part in parts if part.before is not None]
    if fault := conservation_fault(before, after, taken=taken, posted=posted):
        return No(Refusal("not_conserved", fault))
    return None


def decide_budget(parts: Sequence[Part], over: Collection[UUID]) -> No | None:
    """Decide a trade on main by the world's budget: nobody falls by what others give them, or take.

    Args: over: op_ids of the writes that are over it.
    """
    line = next((part.write.line for part in parts if part.write.op_id in over), None)
    if line is None:
        return None
    why = "one of the two would gain more here than this world may give a character in so short a time"
    return No(Refusal("over_budget", f"{why}; trade less, or later"), line)


def _stopped(parts: Sequence[Part], goods: Sequence[Goods], stops: Collection[str]) -> Refusal | None:
    if "" in stops:
        return Refusal("trade_off", "the staff stopped trade and mail here")
    kinds = {item.kind for each in goods for item in each.items}
    for part in parts:
        if part.before is not None and not part.fault:
            kinds |= changed_kinds(part.before, part.write.document)
    stopped = sorted(kinds.intersection(stops))
    return Refusal("trade_off", f"the staff stopped trade of {stopped[0]!r}") if stopped else None


def decide_addressee(found: Addressee | None, *, sender: UUID, has_goods: bool) -> No | None:
    """Decide whether a letter goes to whom it is for. Args: found: the character of that name, if any."""
    if found is None:
        return No(Refusal("unknown_recipient", "there is no character of that name"))
    if found.character == sender:
        return No(Refusal("unknown_recipient", "nobody writes letters to themselves"))
    if found.with_goods >= MAILBOX_GOODS if has_goods else found.without_goods >= MAILBOX_LETTERS:
        return No(Refusal("mailbox_full", "the mailbox is full"))
    if found.of_sender >= MAILBOX_OF_ONE:
        return No(Refusal("mailbox_full", f"{MAILBOX_OF_ONE} letters of this sender wait in the mailbox"))
    return None


def _reused() -> Refusal:
    return Refusal("op_id_reused", "these ids belong to another exchange; each needs new ones")
