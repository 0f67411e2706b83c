"""The repository's decisions on plain values: who may write which line, which write is accepted. Pure.

The services ask these before they change rows; the one statement that saves says the same in SQL, and a test
holds the two together. A simulator can run them without a database.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from accounts.rules import LIMITS, Edition
from characters.valuable_rules import kinds_of, packed
from worlds.uplink.messages import Limits, Refusal
from zonecluster.protocol.canonical import Checked
from zonecluster.protocol.character import CharacterState, decode_state, state_hash

LEASE_S = 120.0  # worlds renew every 30 s: three renewals may be lost
LEASE = timedelta(seconds=LEASE_S)
EPOCHS_PER_INCARNATION = 10**6

LineKind = Literal["main", "fork"]
WhyFork = Literal["", "tier", "limited", "budget"]
WhyFall = Literal["limited", "budget"]


def line_kind(tier: str, *, is_limited: bool = False, is_undecided: bool = False) -> LineKind:
    """Return which line a world plays of a character.

    Args: is_undecided: writes fell to its fork for the budget, and the staff has not decided yet.
    """
    may_main = tier in ("official", "verified") and not is_limited and not is_undecided
    return "main" if may_main else "fork"


def played_line(
    tier: str, *, is_limited: bool, holds_main: bool, holds_fork: bool, is_undecided: bool = False
) -> LineKind:
    """Return which line an acquire of a world is about: the one that it has, else the one that it plays.

    A world that was limited while it had main keeps that, until its next write falls to the fork; and what it
    plays on its fork does not come to main by a restart of its daemon after the limit was lifted.
    """
    if holds_fork:
        return "fork"
    return line_kind(tier, is_limited=is_limited and not holds_main, is_undecided=is_undecided)


def why_fork(tier: str, *, is_limited: bool, is_undecided: bool) -> WhyFork:
    """Return why a world plays its fork of a character; empty: it will play main from the next entry on."""
    if line_kind(tier) == "fork":
        return "tier"
    if is_limited:
        return "limited"
    return "budget" if is_undecided else ""


def next_epoch(incarnation: int, grants: int) -> int:
    """Return the epoch of the next grant of a line that was granted `grants` times: greater than all before.

    Raises: ValueError: the line has used up this incarnation's epochs (one grant a minute for two years).
    """
    if not 0 <= grants < EPOCHS_PER_INCARNATION - 1:
        raise ValueError(f"{grants} grants: raise the incarnation before this line is granted again")
    return incarnation * EPOCHS_PER_INCARNATION + grants + 1


def locked(ids: Sequence[UUID], slots: int, chosen: Collection[UUID] = ()) -> set[UUID]:
    """Return the characters that are over the edition's slots: all but the chosen ones, then the oldest.

    Args: ids: the account's characters that are not deleted, oldest first; chosen: those that the player
        wants open. Of a choice from a larger edition the oldest come first, too.
    """
    by_wish = sorted(ids, key=lambda each: each not in chosen)  # stable: the oldest first, of both
    return set(by_wish[slots:])


def limits_message(edition: Edition) -> Limits:
    """Return the limits of an edition as the uplink tells them to worlds."""
    limits = LIMITS[edition]
    return Limits(
        level_cap=limits.level_cap,
        may_enter_premium_zones=limits.may_enter_premium_zones,
        queue_place=limits.queue_place,
    )


@dataclass(frozen=True)
class Head:
    """The head of a line as the decisions see it. Worlds are any comparable keys; `chain` has 32 bytes."""

    owner: object = None  # the world whose fork this is; None: main
    grants: int = 0
    epoch: int = 0
    holder: object = None
    lease_until: datetime | None = None
    acquire_op_id: UUID | None = None
    acquire_order: int = 0
    version: int = 0
    chain: bytes = b""
    is_fallen: bool = False  # main as a world goes on to name it whose writes have fallen to its fork

    def is_leased(self, now: datetime) -> bool:
        """Return whether a lease is in force."""
        return self.holder is not None and self.lease_until is not None and now < self.lease_until


@dataclass(frozen=True)
class Standing:
    """What else decides an acquire: the world's and the account's standing at this instant."""

    is_suspended: bool = False
    is_admitted: bool = True
    is_banned: bool = False
    is_locked: bool = False


@dataclass(frozen=True)
class Grant:
    """The lease is given; `is_repeat`: it was already, by the same op_id, and keeps its epoch."""

    epoch: int
    is_repeat: bool


def decide_grant(
    head: Head,
    *,
    world: object,
    op_id: UUID,
    order: int = 0,
    incarnation: int,
    standing: Standing,
    now: datetime,
) -> Grant | Refusal:
    """Decide an acquire.

    The holder gets a new epoch whatever the account's standing, also of a lease that lapsed unclaimed: it
    gives nothing that a renewal would not, and a restarted world daemon must fence its dead predecessor and
    save. But a late request of an older try must not fence the session that a newer one has let in.
    """
    if standing.is_suspended:
        return Refusal("world_suspended", "the staff suspended this world; it gets no leases")
    if op_id == head.acquire_op_id:
        if head.holder == world:
            return Grant(head.epoch, is_repeat=True)
        return Refusal("stale", "the lease of this op_id was given back or taken; use a new op_id")
    if head.holder == world:
        if order < head.acquire_order and head.is_leased(now):
            return Refusal(
                "master_fault", "a newer acquire of this world is in force; ask again with the same op_id"
            )
        return Grant(next_epoch(incarnation, head.grants), is_repeat=False)
    if head.is_leased(now):
        return Refusal(
            "held_elsewhere", "another world holds the lease; log out there, or wait until it lapses"
        )
    if not standing.is_admitted:
        return Refusal(
            "not_admitted", "the account has no open admission to this world; it needs a new ticket"
        )
    if standing.is_banned:
        return Refusal("account_banned", "the account is banned")
    if standing.is_locked:
        return Refusal(
            "character_locked", "the character is over its edition's slots; it is kept, not playable"
        )
    return Grant(next_epoch(incarnation, head.grants), is_repeat=False)


def granted(head: Head, grant: Grant, *, world: object, op_id: UUID, order: int = 0, now: datetime) -> Head:
    """Return the head after a grant; a repeated one only runs longer."""
    if grant.is_repeat:
        return renewed(head, now)
    return replace(
        head,
        grants=head.grants + 1,
        epoch=grant.epoch,
        holder=world,
        acquire_op_id=op_id,
        acquire_order=order,
        lease_until=now + LEASE,
    )


def renewed(head: Head, now: datetime) -> Head:
    """Return the head after a renewal."""
    return replace(head, lease_until=now + LEASE)


def released(head: Head) -> Head:
    """Return the head after its lease was given back."""
    return replace(head, holder=None, lease_until=None)


def is_lease_of(head: Head | None, *, world: object, epoch: int) -> bool:
    """Return whether the newest lease of a line is this one; lapsed or not."""
    return head is not None and head.holder == world and head.epoch == epoch


@dataclass(frozen=True)
class Write:
    """One write that a world asks for. `state` is canonical, the hashes have 32 bytes each."""

    line: UUID
    epoch: int
    version: int
    prev_chain: bytes
    op_id: UUID
    kind: str
    state_hash: bytes
    state: bytes = field(repr=False)
    valuables: bytes = b""  # the ids in it, packed
    parsed: CharacterState | None = field(default=None, repr=False, compare=False)

    @property
    def document(self) -> CharacterState:
        """The state as a document: parsed only if it is asked for, since most writes do without."""
        return decode_state(self.state) if self.parsed is None else self.parsed


class AskedSave(Protocol):
    """What every form of an uplink's Save has, whatever its state is: parsed or raw."""

    @property
    def line(self) -> UUID: ...
    @property
    def epoch(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def prev_chain(self) -> bytes: ...
    @property
    def op_id(self) -> UUID: ...
    @property
    def kind(self) -> str: ...


def write_of(save: AskedSave, state: bytes, document: CharacterState) -> Write:
    """Return the write that a save asks for. Args: state: its document's canonical bytes."""
    found = checked_write_of(save, Checked(state, packed(kinds_of(document))))
    return replace(found, parsed=document)


def checked_write_of(save: AskedSave, state: Checked) -> Write:
    """Return the write that a save asks for, of a state that was checked and not parsed."""
    return Write(
        line=save.line,
        epoch=save.epoch,
        version=save.version,
        prev_chain=save.prev_chain,
        op_id=save.op_id,
        kind=save.kind,
        state_hash=state_hash(state.canonical),
        state=state.canonical,
        valuables=state.ids,
    )


@dataclass(frozen=True)
class EarlierWrite:
    """An accepted write of the journal, to compare with one of the same op_id."""

    world: object
    line: UUID
    epoch: int
    version: int
    prev_chain: bytes
    kind: str
    state_hash: bytes


@dataclass(frozen=True)
class Writer:
    """The world that writes, at this instant."""

    world: object
    is_official: bool
    is_suspended: bool
    is_limited: bool = False
    is_budgeted: bool = False  # verified: writes main as far as its budget goes


def may_have(head: Head, writer: Writer) -> bool:
    """Return whether a world's tier lets it have a line: main, or its own fork."""
    may_main = writer.is_official or writer.is_budgeted
    return head.owner == writer.world or (head.owner is None and may_main)


def is_to_fall(head: Head, writer: Writer, *, is_over: bool = False) -> bool:
    """Return whether what a world writes to this line goes to its own fork instead.

    Args: is_over: the write is over the world's budget.
    """
    return head.is_fallen or (head.owner is None and (writer.is_limited or is_over))


def may_renew(head: Head | None, *, epoch: int, writer: Writer) -> bool:
    """Return whether a lease is prolonged; of a world that may have the line no more, it is not."""
    return head is not None and is_lease_of(head, world=writer.world, epoch=epoch) and may_have(head, writer)


def first_of_each(writes: Sequence[Write]) -> list[Write]:
    """Return the writes without those that name a line or an op_id of an earlier one in the batch."""
    if len({write.line for write in writes}) == len({write.op_id for write in writes}) == len(writes):
        return list(writes)
    lines, op_ids, first = set(), set(), []
    for write in writes:
        if write.line not in lines and write.op_id not in op_ids:
            first.append(write)
        lines.add(write.line)
        op_ids.add(write.op_id)
    return first


def decide_save(
    write: Write, *, head: Head | None, earlier: EarlierWrite | None, writer: Writer, is_over: bool = False
) -> Refusal | Literal["accepted", "falls", "repeated"]:
    """Decide a write. The lease's end does not matter: a lapsed lease moves only by another acquire.

    Args: head: of the line named, None if there is none; earlier: the accepted write of this op_id, if any;
        is_over: it is over the world's budget (budgets.over).
    Returns: `falls`: it is good, and goes to the world's own fork.
    """
    if earlier is not None:
        return "repeated" if is_same_write(write, earlier, writer.world) else _reused()
    if writer.is_suspended:
        return Refusal("world_suspended", "the staff suspended this world; nothing is written")
    if head is None or not is_lease_of(head, world=writer.world, epoch=write.epoch):
        return Refusal("stale", "this world does not hold the lease of that epoch; drop the character")
    if not may_have(head, writer) and not head.is_fallen:
        return Refusal("stale", "this world may not write this line any more; drop the character")
    if head.version != write.version:
        return Refusal(
            "stale", f"the head is version {head.version}, not {write.version}; drop the character"
        )
    if head.chain != write.prev_chain:
        return Refusal("bad_chain", "prev_chain is not the head's chain; drop the character")
    return "falls" if is_to_fall(head, writer, is_over=is_over) else "accepted"


def fallen_heads(main: Head, fork: Head, *, incarnation: int) -> tuple[Head, Head]:
    """Return the heads of main and of the fork when a world's write falls: the lease goes over to the fork.

    A repeat of the acquire that got main is a repeat of this grant.
    """
    moved = replace(
        fork,
        grants=fork.grants + 1,
        epoch=next_epoch(incarnation, fork.grants),
        holder=main.holder,
        lease_until=main.lease_until,
        acquire_op_id=main.acquire_op_id,
        acquire_order=main.acquire_order,
    )
    return released(main), moved


@dataclass(frozen=True)
class Fall:
    """How a world names a write of its that fell to its fork: as it asked for it, on main."""

    line: UUID
    epoch: int
    version: int
    prev_chain: bytes
    chain: bytes
    reason: WhyFall = "limited"


def fallen_head(fall: Fall, fork: Head, *, epoch: int, version: int) -> Head:
    """Return main as the world goes on to name it, after a write that fell.

    Args: fork: the fork's head; epoch, version: those of the write on the fork. Nobody holds the line that is
        returned if there was another grant or write on the fork since.
    """
    is_newest = (fork.epoch, fork.version) == (epoch, version)
    return Head(
        epoch=fall.epoch,
        holder=fork.holder if is_newest else None,
        lease_until=fork.lease_until,
        version=fall.version + 1,
        chain=fall.chain,
        is_fallen=True,
    )


def is_same_write(write: Write, earlier: EarlierWrite, world: object) -> bool:
    """Return whether a write is the very one that was accepted before."""
    return earlier == EarlierWrite(
        world=world,
        line=write.line,
        epoch=write.epoch,
        version=write.version + 1,
        prev_chain=write.prev_chain,
        kind=write.kind,
        state_hash=write.state_hash,
    )


def _reused() -> Refusal:
    return Refusal("op_id_reused", "this op_id belongs to another write; each write needs a new one")
