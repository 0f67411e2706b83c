"""Exchanges over plain values, as characters.exchanges has them over rows: all is written, or nothing."""

from datetime import datetime
from uuid import UUID

import msgspec

from characters.budgets import Gain
from characters.core.judging import apply_moves, as_forked, count_gain, gained, is_over
from characters.core.letters import lying_for
from characters.core.records import Letter
from characters.core.store import Store
from characters.core.writes import earlier_of, fall, outcome
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
from characters.name_rules import name_key
from characters.rules import write_of
from characters.valuable_rules import Move, Step, decide_moves, kinds_of, moves_of, packed
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Goods, Refusal
from zonecluster.protocol.canonical import Checked, refuse_new
from zonecluster.protocol.character import CharacterState, InvalidState, canonical_state, decode_state


def exchange(store: Store, world: str, request: uplink.Exchange, now: datetime) -> uplink.Exchanged | Refusal:
    """Let goods change hands: write all of it, or refuse it."""
    if fault := shape_fault(request):
        return Refusal("bad_request", fault)
    parts = [_part(store, each) for each in request.writes]
    decision = _decide(store, world, request, parts, now)
    if isinstance(decision, No):
        return uplink.Exchanged(refusal=decision.refusal, line=decision.line)
    if isinstance(decision, Target):
        gains = _gains(store, world, request, parts, decision)
        _carry_out(store, world, request, parts, decision, now)
        for part in parts:
            count_gain(store, world, part.write, gains.get(part.write.op_id, Gain()), now)
    return uplink.Exchanged(results=[outcome(store, part.write) for part in parts])


def _gains(
    store: Store, world: str, request: uplink.Exchange, parts: list[Part], target: Target
) -> dict[UUID, Gain]:
    """Return what the writes of a trade on main count against the world's budget, by op_id."""
    if target.scope is not None or request.post is not None or request.take is not None:
        return {}
    writer = store.writer(world)
    return {part.write.op_id: gained(store, part.head, writer, part.write) for part in parts}


def _part(store: Store, asked: uplink.Save) -> Part:
    state, document, fault = b"", CharacterState(), ""
    try:
        canonical = canonical_state(msgspec.json.encode(asked.state))
        refuse_new(Checked(canonical, packed(kinds_of(asked.state))))
        state, document = canonical, asked.state
    except InvalidState as error:
        fault = str(error)
    write = write_of(asked, state, document)
    row = store.journal.get(write.op_id)
    line, _ = store.held(write.line, write.epoch)
    return Part(
        write=write,
        head=store.named_head(write.line, write.epoch),
        before=decode_state(line.state) if line is not None else None,
        fault=fault,
        earlier=earlier_of(store, write),
        belonged_to=(row.exchange, row.letter) if row is not None else (None, None),
    )


def _decide(
    store: Store, world: str, request: uplink.Exchange, parts: list[Part], now: datetime
) -> Target | str | No:
    if (known := _known_letter(store, world, request)) is not None:
        return known
    writer = store.writer(world)
    if parts:
        found = decide_writes(parts, writer=writer, exchange=request.id, letter=letter_of(request))
    else:
        assert request.post is not None  # the shape says so
        lease = request.post.sender
        found = decide_lease(lease, head=store.named_head(lease.line, lease.epoch), writer=writer)
    if not isinstance(found, Target):
        return found
    actor = _actor(store, request)
    emptied = store.letters.get(request.take.letter) if request.take else None
    is_posted = request.post is not None and request.post.id in store.letters
    refused = decide_id(is_used=is_posted or request.id in store.exchanges) or decide_goods(
        parts,
        target=found,
        post=request.post,
        emptied=_as_lying(emptied) if emptied is not None else None,
        is_taking=request.take is not None,
        taker=actor,
        stops=store.stops_in(world),
    )
    if refused is None:
        gains = _gains(store, world, request, parts, found)
        writes = [part.write for part in parts if part.write.op_id in gains]
        over = [each.op_id for each in writes if is_over(store, world, each, gains[each.op_id], now)]
        refused = decide_budget(parts, over)
    if refused is None and request.post is not None and actor is not None:
        to = _addressee(store, request.post, actor, found.scope)
        refused = decide_addressee(to, sender=actor, has_goods=request.post.goods != Goods())
    return refused or _decide_moves(store, world, request, parts, found) or found


def _decide_moves(
    store: Store, world: str, request: uplink.Exchange, parts: list[Part], target: Target
) -> No | None:
    """Refuse what would move valuables from where they are not; in the order in which it is carried out."""
    owners = dict(store.things.get(scope_of(target), {}))
    lines = []
    for part in parts:
        line, _ = store.held(part.write.line, part.write.epoch)
        assert line is not None  # decided before
        begins = target.falls and line.head.owner is None
        fork = store.line_of(line.character, world)
        lines.append(as_forked(owners, line, fork) if begins else line.id)
    refusal = decide_moves(_moves(parts, lines, request), owners)
    return No(refusal) if refusal is not None else None


def _moves(parts: list[Part], lines: list[UUID], request: uplink.Exchange) -> list[Move]:
    """Return what valuables an exchange moves. Args: lines: those that the writes go to."""
    steps = [
        Step(line, kinds_of(part.before), kinds_of(part.write.document), part.write.op_id)
        for part, line in zip(parts, lines, strict=True)
        if part.before is not None
    ]
    return moves_of(steps, letter_of(request))


def scope_of(target: Target) -> str | None:
    """Return the world among whose forks an exchange is; None: on main."""
    return str(target.scope) if target.scope is not None else None


def _known_letter(store: Store, world: str, request: uplink.Exchange) -> str | No | None:
    """Return what is decided by a letter of this id being there already."""
    known = store.letters.get(request.post.id) if request.post else None
    if known is None:
        return None
    is_same = is_same_letter(request, exchange=known.exchange, digest=known.digest)
    return decide_known_letter(request, is_own=known.posted_by == world, is_same=is_same)


def _actor(store: Store, request: uplink.Exchange) -> UUID | None:
    """Return the character that posts or takes."""
    lease = request.post.sender if request.post else request.take.recipient if request.take else None
    return store.lines[lease.line].character if lease is not None else None


def _as_lying(letter: Letter) -> Lying:
    return Lying(letter.world, letter.recipient, letter.goods if letter.has_goods else Goods())


def _addressee(store: Store, post: uplink.Letter, sender: UUID, scope: object) -> Addressee | None:
    key = name_key(post.recipient)
    character = next((found for found, name in store.names.items() if name_key(name) == key), None)
    if character is None:
        return None
    letters = [letter for letter in lying_for(store, character, scope) if letter.taken_at is None]
    with_goods = [letter.has_goods for letter in letters]
    of_sender = [letter for letter in letters if (letter.sender, letter.returned_at) == (sender, None)]
    return Addressee(character, with_goods.count(True), with_goods.count(False), len(of_sender))


def _carry_out(
    store: Store, world: str, request: uplink.Exchange, parts: list[Part], target: Target, now: datetime
) -> None:
    letter = letter_of(request)
    lines = []
    for part in parts:
        owner = part.head.owner if part.head is not None else None
        is_named_main = part.head is not None and (part.head.is_fallen or owner is None)
        if target.falls and is_named_main:
            fork = fall(
                store, part.write, world, now, reason=target.falls, exchange=request.id, letter=letter
            )
            lines.append(fork.id)
        else:
            line = store.lines[part.write.line]
            store.append(line, part.write, world, now, exchange=request.id, letter=letter)
            lines.append(line.id)
    apply_moves(store, scope_of(target), _moves(parts, lines, request))
    if request.take is not None:
        taken = store.letters[request.take.letter]
        taken.taken_at, taken.taken_exchange = now, request.id
        taken.read_at = taken.read_at or now
    if request.post is not None:
        store.letters[request.post.id] = _letter(store, world, request, target, now)


def _letter(store: Store, world: str, request: uplink.Exchange, target: Target, now: datetime) -> Letter:
    post, sender = request.post, _actor(store, request)
    assert post is not None and sender is not None
    to = _addressee(store, post, sender, target.scope)
    assert to is not None  # decided before
    return Letter(
        id=post.id,
        world=scope_of(target),
        sender=sender,
        recipient=to.character,
        posted_by=world,
        subject=post.subject,
        text=post.text,
        goods=post.goods,
        posted_at=now,
        digest=digest_of(request),
        exchange=request.id,
    )
