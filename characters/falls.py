"""Writes that fall: what a world may not write to main goes to its own fork, and nothing is lost.

The first fall of a lease brings the fork to the head of main, moves the lease from main to the fork, and
writes there. The world goes on under the names it knows (main, its epoch, the versions and chains that follow
from its own writes), so that its journal, its repeats and its renewals stay right whatever was lost on the
way; each write that fell is kept with the names that the world gave it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction

from characters.heads import head_of, named_head, newest_falls
from characters.incarnations import current_incarnation
from characters.lines import Entry, append_version, fork_again, fork_main_line
from characters.models import Character, Fall, Line, Version
from characters.refusals import only_this
from characters.rules import Head, Write, Writer, decide_save, fallen_heads
from characters.valuable_rules import kinds_of, unpacked
from characters.valuables import Claim, claim
from characters.writers import writer_now
from worlds.models import World
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import next_chain

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Fallen:
    """What became of writes that were to fall: written on the fork, or refused."""

    written: set[UUID]
    refused: dict[UUID, Refusal]


def fall_all(
    *, world: World, writer: Writer, writes: Sequence[Write], over: Collection[UUID], now: datetime
) -> Fallen:
    """Write to the fork what is to fall; each write in a transaction of its own.

    Args: over: the op_ids of those that are over the world's budget.
    """
    fallen = Fallen(set(), {})
    named = newest_falls([(write.line, write.epoch) for write in writes])
    for write in writes:
        if not (writer.is_limited or write.op_id in over or (write.line, write.epoch) in named):
            continue
        with only_this(write.op_id, fallen.refused):
            if _fall(world=world, write=write, is_over=write.op_id in over, now=now):
                fallen.written.add(write.op_id)
    return fallen


def _fall(*, world: World, write: Write, is_over: bool, now: datetime) -> bool:
    with transaction.atomic():
        writer = writer_now(world)
        # Locked as by an acquire: the character, then its lines.
        characters = Character.objects.select_for_update(no_key=True, of=("self",))
        character = characters.filter(lines__id=write.line, lines__world=None, deleted_at=None).first()
        if character is None or Version.objects.filter(op_id=write.op_id).exists():
            return False
        lines = Line.objects.select_for_update(no_key=True).filter(character=character)
        main = lines.get(world=None)
        fork = lines.filter(world=world).first()
        before = newest_falls([(write.line, write.epoch)]).get((write.line, write.epoch))
        head = named_head(main, before)
        if decide_save(write, head=head, earlier=None, writer=writer, is_over=is_over) != "falls":
            return False
        # The first fall of a lease brings the fork to the head of main.
        had = unpacked(bytes((main if before is None or fork is None else fork).valuables))
        reason = Fall.Reason.LIMITED if writer.is_limited else Fall.Reason.BUDGET
        version = fall_locked(
            character=character, main=main, fork=fork, write=write, world=world, reason=reason, now=now
        )
        if had or write.valuables:
            has = kinds_of(write.document)
            new = {thing: kind for thing, kind in has.items() if thing not in had}
            claim([Claim(version.line, had - has.keys(), new, write.op_id)], world=world, now=now)
    return True


def fall_locked(
    *,
    character: Character,
    main: Line,
    fork: Line | None,
    write: Write,
    world: World,
    reason: str,
    now: datetime,
    exchange: UUID | None = None,
    letter: UUID | None = None,
) -> Version:
    """Append to the fork a write that was decided to fall; the lease's first one brings fork and lease there.

    Who has the valuables in it is the caller's to say.

    Args: character, main, fork: locked; fork: None: the world has none yet; reason: a Fall.Reason; the
        first one holds for the whole lease.
    """
    before = newest_falls([(write.line, write.epoch)]).get((write.line, write.epoch))
    if before is None or fork is None:
        fork = _move_lease(main, fork, character, world, now)
        if reason == Fall.Reason.BUDGET and fork.undecided_since is None:
            fork.undecided_since = now
            fork.save(update_fields=["undecided_since"])
    entry = Entry(
        write.kind,
        write.state,
        world,
        epoch=fork.epoch,
        op_id=write.op_id,
        exchange=exchange,
        letter=letter,
    )
    version = append_version(line=fork, entry=entry, now=now)
    Fall.objects.create(
        write=version,
        line=main,
        epoch=write.epoch,
        version=write.version,
        prev_chain=write.prev_chain,
        chain=next_chain(write.prev_chain, write.version + 1, write.op_id, write.state_hash),
        reason=before.reason if before is not None else reason,
    )
    return version


def _move_lease(main: Line, fork: Line | None, character: Character, world: World, now: datetime) -> Line:
    """Bring the fork to the head of main, and the lease from main to the fork."""
    if fork is None:
        fork = fork_main_line(character=character, world=world, now=now)
    else:
        fork_again(fork=fork, main=main, world=world, now=now)
    heads = fallen_heads(head_of(main), head_of(fork), incarnation=current_incarnation())
    for line, head in zip((main, fork), heads, strict=True):
        _take_lease(line, head)
    log.warning("world_fell_to_fork", world=world.slug, character=str(character.id), fork=str(fork.id))
    return fork


def _take_lease(line: Line, head: Head) -> None:
    line.grants, line.epoch, line.lease_until = head.grants, head.epoch, head.lease_until
    line.holder_id = head.holder  # type: ignore[assignment]  # heads of rows name worlds by primary key
    line.acquire_op_id, line.acquire_order = head.acquire_op_id, head.acquire_order
    line.save(update_fields=["grants", "epoch", "lease_until", "holder", "acquire_op_id", "acquire_order"])
