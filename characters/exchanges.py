"""Exchanges: goods change hands between characters and letters. All of it is written, or nothing.

Decided by exchange_rules on what is found here. Locked are, in this order: the exchange's id, the characters
whose lines it names (as acquires and falls lock them), their lines and the letter, each by their ids. So an
exchange and a save, or two exchanges of the same lines, come one after the other, and the second one finds
the head moved. Whom a letter is for is only read: nobody's character waits for what strangers send it. So of
two letters at once both may be the fiftieth, and what is sent to somebody just deleted comes back in 30 days.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from msgspec import Meta, Struct

from characters.budgeting import count_gains, gains_of, over_budget
from characters.budgets import Gain
from characters.exchange_rules import (
    Addressee,
    Lying,
    No,
    Part,
    Target,
    decide_addressee,
    decide_budget,
    decide_goods,
    decide_id,
    decide_known_letter,
    decide_lease,
    decide_writes,
    digest_of,
    is_same_letter,
    letter_of,
    shape_fault,
)
from characters.falls import fall_locked
from characters.heads import Named, named_head, newest_falls
from characters.journal import answer_of, earlier_of, journal_of
from characters.letters import HAS_GOODS, goods_in, lying_for
from characters.lines import Entry, append_version
from characters.models import Character, Fall, Letter, Line, Version
from characters.name_rules import name_key
from characters.refusals import Refused
from characters.rules import Write, write_of
from characters.saves import IncomingSave
from characters.trade_stops import stops_in
from characters.valuable_rules import Step, kinds_of, moves_of
from characters.valuables import move_valuables
from characters.writers import writer_of
from worlds.models import World
from worlds.signing import signing_keys
from worlds.uplink import messages
from worlds.uplink.messages import Exchanged, Goods, Refusal, Taking
from zonecluster.protocol.canonical import Checked, refuse_new
from zonecluster.protocol.character import CharacterState, InvalidState, decode_state, encode_state

log = structlog.get_logger(__name__)


class IncomingExchange(Struct, frozen=True):
    """The uplink's Exchange as received: the states are not parsed yet."""

    id: UUID
    writes: Annotated[list[IncomingSave], Meta(max_length=2)]
    post: messages.Letter | None = None
    take: Taking | None = None


@dataclass
class Met:
    """What an exchange meets, locked. `writes` with what is wrong with their states, in their order."""

    writes: list[tuple[Write, str]]
    characters: dict[UUID, Character] = field(default_factory=dict)
    lines: dict[UUID, Line] = field(default_factory=dict)
    falls: dict[Named, Fall] = field(default_factory=dict)
    journal: dict[UUID, Version] = field(default_factory=dict)
    letter: Letter | None = None  # of the id that is posted or emptied
    recipient: UUID | None = None  # character of the name that a letter is for: not locked
    before: list[CharacterState] = field(default_factory=list)  # of each write's head
    gains: dict[UUID, Gain] = field(default_factory=dict)  # by op_id: what counts against a budget

    def played(self, write: Write) -> Line | None:
        """Return the line whose head a write names: the fork's, once writes of that lease have fallen."""
        fall = self.falls.get((write.line, write.epoch))
        return self.lines.get(fall.write.line_id if fall is not None else write.line)

    def fork_of(self, line: Line, world: World) -> Line | None:
        """Return a world's fork of the character of a line."""
        mine = (each for each in self.lines.values() if each.character_id == line.character_id)
        return next((each for each in mine if each.world_id == world.pk), None)


def exchange(*, world: World, request: IncomingExchange, now: datetime) -> Exchanged:
    """Let goods change hands. The same content again: the same answer.

    Raises: Refused: bad_request: no exchange at all; master_fault: another request took one of its ids now.
    """
    if fault := shape_fault(request):
        log.warning("exchange_refused", reason="bad_request", world=world.slug, detail=fault)
        raise Refused(Refusal("bad_request", fault))
    met = Met([_checked(save) for save in request.writes])
    try:
        with transaction.atomic():
            decision = _carry_out(world, request, met, now)
    except IntegrityError as error:
        log.info("exchange_ids_taken", world=world.slug, exchange=str(request.id), error=str(error))
        raise Refused(Refusal("master_fault", "another request was under way; ask again")) from error
    except Refused as error:  # the valuables are somebody else's: all is rolled back
        decision = No(error.refusal)
    if isinstance(decision, No):
        _log_refusal(world, request, decision)
        return Exchanged(refusal=decision.refusal, line=decision.line)
    return _answer(world, request, met, is_repeat=decision == "repeated")


def _checked(save: IncomingSave) -> tuple[Write, str]:
    """Return a write, and what is wrong with its state; empty: nothing."""
    try:
        document = decode_state(bytes(save.state))
        write = write_of(save, encode_state(document), document)
        refuse_new(Checked(write.state, write.valuables))
    except InvalidState as error:
        return write_of(save, b"", CharacterState()), str(error)
    return write, ""


def _carry_out(world: World, request: IncomingExchange, met: Met, now: datetime) -> Target | No | str:
    """Lock, decide, and write."""
    world = World.objects.get(pk=world.pk)  # as it stands now: it may have been suspended while this waited
    _lock(world, request, met)
    decision = _decide(world, request, met, now)
    if isinstance(decision, Target):
        versions = [_write(world, request, met, write, decision, now) for write, _ in met.writes]
        if decision.scope is None:
            count_gains(world=world, writes=[write for write, _ in met.writes], gains=met.gains, now=now)
        _move_letter(world, request, met, decision, now)
        _move_valuables(world, request, met, versions, decision, now)
    return decision


# ---------------------------------------------------------------- what is met


def _lock(world: World, request: IncomingExchange, met: Met) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_key_of(request.id)])
    named = {write.line for write, _ in met.writes} | _leased(request)
    actors = set(Line.objects.filter(id__in=named).values_list("character", flat=True))
    if request.post is not None:
        key = name_key(request.post.recipient)
        alive = Character.objects.filter(name_key=key, deleted_at=None)
        met.recipient = alive.values_list("id", flat=True).first()
    characters = Character.objects.select_for_update(no_key=True).filter(id__in=actors)
    met.characters = {each.id: each for each in characters.order_by("id")}
    lines = Line.objects.select_for_update(no_key=True).filter(character__in=actors)
    lines = lines.filter(Q(id__in=named) | Q(world=world)).order_by("id")
    met.lines = {line.id: line for line in lines}
    met.falls = newest_falls([(write.line, write.epoch) for write, _ in met.writes] + _leases(request))
    met.journal = journal_of([write.op_id for write, _ in met.writes])
    if (letter := letter_of(request)) is not None:
        met.letter = Letter.objects.select_for_update(no_key=True).filter(id=letter).first()


def _key_of(exchange: UUID) -> int:
    """Return what an exchange's id is locked by: 8 of its bytes. Two ids that share them wait, no more."""
    return int.from_bytes(exchange.bytes[8:], signed=True)


def _leases(request: IncomingExchange) -> list[Named]:
    lease = request.post.sender if request.post else request.take.recipient if request.take else None
    return [(lease.line, lease.epoch)] if lease is not None else []


def _leased(request: IncomingExchange) -> set[UUID]:
    return {line for line, _ in _leases(request)}


def _part(met: Met, write: Write, fault: str) -> Part:
    row, line = met.journal.get(write.op_id), met.played(write)
    before = None
    try:
        before = decode_state(bytes(line.state)) if line is not None else None
    except InvalidState as error:  # of an older schema, or broken by hand: it goes by restores only
        fault = f"the head cannot be read: {error}"
    return Part(
        write=write,
        head=named_head(met.lines.get(write.line), met.falls.get((write.line, write.epoch))),
        before=before,
        fault=fault,
        earlier=earlier_of(row, write) if row is not None else None,
        belonged_to=(row.exchange, row.letter) if row is not None else (None, None),
    )


# ---------------------------------------------------------------- the decision


def _decide(world: World, request: IncomingExchange, met: Met, now: datetime) -> Target | No | str:
    known = _known_letter(world, request, met)
    if known is not None:
        return known
    writer = writer_of(world)
    parts = [_part(met, write, fault) for write, fault in met.writes]
    if parts:
        found = decide_writes(parts, writer=writer, exchange=request.id, letter=letter_of(request))
    else:
        assert request.post is not None  # the shape says so
        (name,) = _leases(request)
        head = named_head(met.lines.get(name[0]), met.falls.get(name))
        found = decide_lease(request.post.sender, head=head, writer=writer)
    if not isinstance(found, Target):
        return found
    met.before = [part.before for part in parts if part.before is not None]
    actor = _actor(request, met)
    refused = decide_id(is_used=_is_used(request, met)) or decide_goods(
        parts,
        target=found,
        post=request.post,
        emptied=_lying(met.letter) if met.letter is not None else None,
        is_taking=request.take is not None,
        taker=actor,
        stops=stops_in(world),
    )
    if refused is None and request.post is None and request.take is None:
        refused = decide_budget(parts, _over(world, met, found, now))
    if refused is None and request.post is not None and actor is not None:
        addressee = _addressee(met, actor, world if found.scope is not None else None)
        has_goods = request.post.goods != Goods()
        refused = decide_addressee(addressee, sender=actor, has_goods=has_goods)
    return refused or found


def _known_letter(world: World, request: IncomingExchange, met: Met) -> No | str | None:
    """Return what is decided by a letter of the posted id being there already."""
    if request.post is None or met.letter is None:
        return None
    is_same = is_same_letter(request, exchange=met.letter.exchange, digest=bytes(met.letter.digest))
    return decide_known_letter(request, is_own=met.letter.posted_by_id == world.pk, is_same=is_same)


def _is_used(request: IncomingExchange, met: Met) -> bool:
    """Return whether another exchange had this id, or posted this letter. Repeats do not come here."""
    is_posted = request.post is not None and met.letter is not None
    return is_posted or Version.objects.filter(exchange=request.id).exists()


def _over(world: World, met: Met, target: Target, now: datetime) -> Collection[UUID]:
    """Note what a verified world's writes to main gain; return those over what it may give, by op_id."""
    if target.scope is not None or not writer_of(world).is_budgeted:
        return ()
    writes = [write for write, _ in met.writes]
    met.gains = gains_of(met.lines, writes)
    return over_budget(world=world, writes=writes, gains=met.gains, now=now)


def _actor(request: IncomingExchange, met: Met) -> UUID | None:
    """Return the character that posts or takes."""
    return next((met.lines[line].character_id for line in _leased(request)), None)


def _lying(letter: Letter) -> Lying:
    is_there = letter.discarded_at is None
    return Lying(letter.world_id, letter.recipient_id, goods_in(letter) if is_there else Goods())


def _addressee(met: Met, sender: UUID, scope: World | None) -> Addressee | None:
    if met.recipient is None:
        return None
    letters = lying_for(met.recipient, scope).filter(taken_at=None)  # emptied ones take nobody's place
    with_goods = letters.filter(HAS_GOODS).count()
    of_sender = letters.filter(sender=sender, returned_at=None).count()
    return Addressee(met.recipient, with_goods, letters.count() - with_goods, of_sender)


# ---------------------------------------------------------------- the writes


def _write(
    world: World, request: IncomingExchange, met: Met, write: Write, target: Target, now: datetime
) -> Version:
    line, letter = met.played(write), letter_of(request)
    assert line is not None  # it is held
    if target.falls and met.lines[write.line].world_id is None:
        main = met.lines[write.line]
        version = fall_locked(
            character=met.characters[main.character_id],
            main=main,
            fork=met.fork_of(main, world),
            write=write,
            world=world,
            reason=target.falls,
            now=now,
            exchange=request.id,
            letter=letter,
        )
    else:
        entry = Entry(
            write.kind,
            write.state,
            world,
            epoch=line.epoch,
            op_id=write.op_id,
            exchange=request.id,
            letter=letter,
        )
        version = append_version(line=line, entry=entry, now=now)
    return version


def _move_letter(world: World, request: IncomingExchange, met: Met, target: Target, now: datetime) -> None:
    if request.take is not None and met.letter is not None:
        met.letter.taken_at, met.letter.taken_exchange = now, request.id
        met.letter.read_at = met.letter.read_at or now
        met.letter.save(update_fields=["taken_at", "taken_exchange", "read_at"])
    post, sender = request.post, _actor(request, met)
    if post is not None and sender is not None and met.recipient is not None:
        met.letter = Letter.objects.create(
            id=post.id,
            world=world if target.scope is not None else None,
            sender_id=sender,
            recipient_id=met.recipient,
            posted_by=world,
            subject=post.subject,
            text=post.text,
            items=msgspec.to_builtins(post.goods.items),
            money=post.goods.money,
            posted_at=now,
            exchange=request.id,
            digest=digest_of(request),
        )


def _move_valuables(
    world: World,
    request: IncomingExchange,
    met: Met,
    versions: Sequence[Version],
    target: Target,
    now: datetime,
) -> None:
    """Note who has what now. Raises: Refused: foreign_valuable."""
    steps = [
        Step(version.line_id, kinds_of(before), kinds_of(write.document), write.op_id)
        for (write, _), before, version in zip(met.writes, met.before, versions, strict=True)
    ]
    scope = world if target.scope is not None else None
    move_valuables(moves_of(steps, letter_of(request)), scope=scope, world=world, now=now)


# ---------------------------------------------------------------- the answer


def _answer(world: World, request: IncomingExchange, met: Met, *, is_repeat: bool) -> Exchanged:
    key = signing_keys(settings.CONFIG.signing_keys_dir).newest
    rows = journal_of([write.op_id for write, _ in met.writes])
    log.info(
        "exchange_accepted",
        world=world.slug,
        exchange=str(request.id),
        lines=[str(write.line) for write, _ in met.writes],
        letter=str(letter_of(request)) if letter_of(request) else None,
        is_repeat=is_repeat,
    )
    return Exchanged(results=[answer_of(world, key, write, rows[write.op_id]) for write, _ in met.writes])


def _log_refusal(world: World, request: IncomingExchange, decision: No) -> None:
    log.warning(
        "exchange_refused",
        world=world.slug,
        exchange=str(request.id),
        reason=decision.refusal.code,
        detail=decision.refusal.detail,
        line=str(decision.line) if decision.line else None,
    )
