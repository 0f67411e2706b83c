"""Saves over plain values, as characters.saves and characters.falls have them over rows."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from characters.core.judging import (
    apply_claim,
    claimed,
    claimed_on_fork,
    count_gain,
    gained,
    is_over,
    renamed,
)
from characters.core.records import Line, Version
from characters.core.store import Store
from characters.exchange_rules import EXCHANGE_KINDS
from characters.rules import (
    EarlierWrite,
    Fall,
    WhyFall,
    Write,
    Writer,
    decide_save,
    fallen_heads,
    first_of_each,
    write_of,
)
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Refusal
from zonecluster.protocol.canonical import Checked, refuse_new
from zonecluster.protocol.character import InvalidState, encode_state, next_chain


def save(store: Store, world: str, saves: Sequence[uplink.Save], now: datetime) -> list[uplink.Saved]:
    """Write each save of a batch, or refuse it; outcomes in the order of the batch."""
    checked = [_checked(each) for each in saves]
    writer = store.writer(world)
    first = first_of_each([one for one in checked if isinstance(one, Write)])
    new: set[UUID] = set()
    refused: dict[UUID, Refusal] = {}
    over: set[UUID] = set()
    for write in first:
        if _decide(store, write, writer) == "accepted":
            head = store.lines[write.line].head
            gain = gained(store, head, writer, write)
            if refusal := renamed(store, head, writer, write):
                refused[write.op_id] = refusal
            elif is_over(store, world, write, gain, now):
                over.add(write.op_id)
            elif refusal := _claim_and_append(store, store.lines[write.line], write, world, now):
                refused[write.op_id] = refusal
            else:
                count_gain(store, world, write, gain, now)
                new.add(write.op_id)
    for write in first:
        if write.op_id in new or write.op_id in refused:
            continue
        if _decide(store, write, writer, is_over=write.op_id in over) == "falls":
            _fall(store, write, world, now, new, refused)
    results = []
    for asked, write_or_not in zip(saves, checked, strict=True):
        if isinstance(write_or_not, Refusal):
            results.append(uplink.Saved(op_id=asked.op_id, refusal=write_or_not))
        else:
            op_id = write_or_not.op_id
            refusal = refused.pop(op_id, None) if op_id not in new else None
            if refusal is not None:
                results.append(uplink.Saved(op_id=op_id, refusal=refusal))
            else:
                results.append(_result(store, write_or_not, writer, is_new=op_id in new))
            new.discard(op_id)
    return results


def _claim_and_append(store: Store, line: Line, write: Write, world: str, now: datetime) -> Refusal | None:
    """Write to a line, if the valuables in it are the world's to write."""
    change = claimed(store, line, write)
    if isinstance(change, Refusal):
        return change
    store.append(line, write, world, now)
    apply_claim(store, line, change)
    return None


def _checked(asked: uplink.Save) -> Write | Refusal:
    """Return the write with its state made canonical."""
    if asked.kind in EXCHANGE_KINDS:
        return Refusal("bad_request", f"a write of kind {asked.kind} is part of an exchange")
    try:
        write = write_of(asked, encode_state(asked.state), asked.state)
        refuse_new(Checked(write.state, write.valuables))
    except InvalidState as error:
        return Refusal("invalid_state", str(error))
    return write


def _decide(store: Store, write: Write, writer: Writer, *, is_over: bool = False) -> Refusal | str:
    return decide_save(
        write,
        head=store.named_head(write.line, write.epoch),
        earlier=earlier_of(store, write),
        writer=writer,
        is_over=is_over,
    )


def _result(store: Store, write: Write, writer: Writer, *, is_new: bool) -> uplink.Saved:
    if not is_new:
        decision = _decide(store, write, writer)
        if decision in ("accepted", "falls"):  # another write of the batch names the line
            decision = Refusal("master_fault", "another request was under way; ask again with the same op_id")
        if isinstance(decision, Refusal):
            return uplink.Saved(op_id=write.op_id, refusal=decision)
    return outcome(store, write)


def outcome(store: Store, write: Write) -> uplink.Saved:
    """Return the answer to a write that was accepted."""
    row = store.journal[write.op_id]
    saved = uplink.Saved(
        op_id=write.op_id, version=row.version, chain=row.chain, receipt=store.receipt_of(row)
    )
    asked = _asked(store, write)
    if asked is None:
        return saved
    forked = uplink.Forked(row.line, row.epoch, row.version, row.chain, asked.reason)
    return msgspec.structs.replace(saved, version=asked.version + 1, chain=asked.chain, forked=forked)


def earlier_of(store: Store, write: Write) -> EarlierWrite | None:
    """Return the accepted write of an op_id, as its world names it."""
    row = store.journal.get(write.op_id)
    return _earlier(row, _asked(store, write)) if row is not None else None


def _asked(store: Store, write: Write) -> Fall | None:
    """Return how a write that fell was asked for, if this one names main as well."""
    found = store.falls.get(write.op_id)
    return found if found is not None and found.line == write.line else None


def _earlier(row: Version, asked: Fall | None) -> EarlierWrite:
    """Return an accepted write as its world names it. Args: asked: how one that fell was asked for."""
    return EarlierWrite(
        world=row.world,
        line=asked.line if asked else row.line,
        epoch=asked.epoch if asked else row.epoch,
        version=asked.version + 1 if asked else row.version,
        prev_chain=asked.prev_chain if asked else row.prev_chain,
        kind=row.kind,
        state_hash=row.state_hash,
    )


def _fall(
    store: Store, write: Write, world: str, now: datetime, new: set[UUID], refused: dict[UUID, Refusal]
) -> None:
    """Write to the world's fork, if the valuables in it are the world's to write there."""
    main = store.lines[write.line]
    fork = store.line_of(main.character, world)
    is_first = (write.line, write.epoch) not in store.newest_fall
    change = claimed_on_fork(store, world, main, fork, write, is_first=is_first)
    if isinstance(change, Refusal):
        refused[write.op_id] = change
        return
    reason: WhyFall = "limited" if store.worlds[world].is_limited else "budget"
    apply_claim(store, fall(store, write, world, now, reason=reason), change)
    new.add(write.op_id)


def fall(
    store: Store,
    write: Write,
    world: str,
    now: datetime,
    *,
    reason: WhyFall,
    exchange: UUID | None = None,
    letter: UUID | None = None,
) -> Line:
    """Write to the world's fork, as falls does; the first time, bring fork and lease there.

    Args: reason: of the first fall of a lease; it holds for the others.
    Returns: the fork.
    """
    main = store.lines[write.line]
    fork = store.line_of(main.character, world)
    name = (write.line, write.epoch)
    if name in store.newest_fall:
        reason = store.falls[store.newest_fall[name]].reason
    if name not in store.newest_fall or fork is None:
        fork = store.fork(main.character, world, now)
        fork.is_undecided = fork.is_undecided or reason == "budget"
        main.head, fork.head = fallen_heads(main.head, fork.head, incarnation=store.incarnation)
    store.append(fork, write, world, now, exchange=exchange, letter=letter)
    store.falls[write.op_id] = Fall(
        line=write.line,
        epoch=write.epoch,
        version=write.version,
        prev_chain=write.prev_chain,
        chain=next_chain(write.prev_chain, write.version + 1, write.op_id, write.state_hash),
        reason=reason,
    )
    store.newest_fall[name] = write.op_id
    return fork
