"""The repository as a core without I/O: `handle(world, request, now) -> answer`, over plain values.

It holds lines, versions, accounts and tickets.

Every decision is one of rules.py; here they are applied to plain values, as leases, saves and worlds.tickets
apply them to rows. An integration test gives both the same requests and compares every answer and every row.
Used by the simulator. Not here: proofs, signatures, logs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from accounts.rules import LIMITS, Edition
from characters.rules import (
    LEASE_S,
    EarlierWrite,
    Fall,
    Head,
    Standing,
    Write,
    Writer,
    decide_grant,
    decide_save,
    fallen_head,
    fallen_heads,
    first_of_each,
    granted,
    is_lease_of,
    line_kind,
    locked,
    may_renew,
    played_line,
    released,
    renewed,
    write_of,
)
from worlds.rules import ADMISSION_FOR
from worlds.uplink import messages as uplink
from worlds.uplink.receipt import Receipt
from worlds.uplink.ticket import TICKET_LIFETIME_S
from zonecluster.protocol.character import (
    GENESIS_CHAIN,
    InvalidState,
    decode_state,
    encode_state,
    next_chain,
    state_hash,
)
from zonecluster.protocol.to_client import CharacterSummary
from zonecluster.rules.character import level_of, new_character_state

Refusal = uplink.Refusal
Request = (
    uplink.Redeem
    | uplink.Acquire
    | uplink.Renew
    | uplink.Save
    | uplink.SaveBatch
    | uplink.Release
    | uplink.Report
)
Answer = (
    uplink.Admission
    | uplink.Lease
    | uplink.Renewed
    | uplink.Saved
    | uplink.SavedBatch
    | uplink.Released
    | uplink.Reported
    | Refusal
)


@dataclass
class Account:
    """An account's standing. `pseudonyms`: how each world knows it."""

    edition: Edition = Edition.FREE
    is_banned: bool = False
    characters: list[UUID] = field(default_factory=list)  # oldest first
    pseudonyms: dict[str, UUID] = field(default_factory=dict)


@dataclass
class World:
    """A world's standing."""

    tier: str = "open"
    is_suspended: bool = False
    is_limited: bool = False


@dataclass
class Ticket:
    """A ticket, and the admission that it becomes when it is redeemed."""

    account: UUID
    world: str
    expires_at: datetime
    redeemed_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Version:
    """One accepted write. States are canonical bytes."""

    line: UUID
    version: int
    op_id: UUID
    epoch: int
    world: str | None
    at: datetime
    kind: str
    prev_chain: bytes
    chain: bytes
    state_hash: bytes
    state: bytes = field(repr=False)


@dataclass
class Line:
    """The head of a line; worlds are named by their slugs."""

    id: UUID
    character: UUID
    head: Head
    state: bytes = field(repr=False)


@dataclass(frozen=True)
class Waiting:
    """The newest state that a world has proved of a line, while something before it is missing."""

    world: str
    version: int
    state: bytes = field(repr=False)


@dataclass
class Repository:
    """All of it, in memory.

    `new_id` gives the ids of lines, first versions and pseudonyms; `sign` makes a receipt's text.
    """

    new_id: Callable[[], UUID]
    sign: Callable[[Receipt], str] = lambda receipt: str(receipt.op_id)
    incarnation: int = 1
    worlds: dict[str, World] = field(default_factory=dict)
    accounts: dict[UUID, Account] = field(default_factory=dict)
    names: dict[UUID, str] = field(default_factory=dict)
    owners: dict[UUID, UUID] = field(default_factory=dict)  # character → account
    tickets: dict[UUID, Ticket] = field(default_factory=dict)
    lines: dict[UUID, Line] = field(default_factory=dict)
    journal: dict[UUID, Version] = field(default_factory=dict)  # by op_id, in the order of acceptance
    collects_since: datetime | None = None  # set: restored from a backup, asks worlds for what they hold
    waiting: dict[UUID, Waiting] = field(default_factory=dict)  # by line: what cannot be placed yet
    falls: dict[UUID, Fall] = field(
        default_factory=dict
    )  # by op_id: writes that fell, as they were asked for
    newest_fall: dict[tuple[UUID, int], UUID] = field(default_factory=dict)  # line and epoch → op_id
    _line_ids: dict[tuple[UUID, str | None], UUID] = field(default_factory=dict)

    # ---------------------------------------------------------------- players

    def create_character(self, *, account: UUID, character: UUID, name: str, now: datetime) -> Line:
        """Make a character with its main line."""
        self.names[character], self.owners[character] = name, account
        self.accounts[account].characters.append(character)
        state = encode_state(new_character_state())
        return self._begin_line(character, None, "create", (GENESIS_CHAIN, state), now)

    def issue_ticket(self, *, account: UUID, world: str, jti: UUID, now: datetime) -> str:
        """Return a ticket. It is the jti alone: checking the signature is the shell's."""
        expires_at = now.replace(microsecond=0) + timedelta(seconds=TICKET_LIFETIME_S)
        self.tickets[jti] = Ticket(account, world, expires_at)
        return str(jti)

    def line_of(self, character: UUID, owner: str | None) -> Line | None:
        """Return a character's line of a world, or main (None)."""
        found = self._line_ids.get((character, owner))
        return self.lines[found] if found is not None else None

    def versions_of(self, line: UUID) -> list[Version]:
        """Return a line's accepted writes, oldest first."""
        return [version for version in self.journal.values() if version.line == line]

    # ---------------------------------------------------------------- worlds

    def handle(self, world: str, request: Request, now: datetime) -> Answer:
        """Answer a request of a world whose proof was good."""
        if self.collects_since is not None and not isinstance(request, uplink.Report):
            return Refusal("master_fault", "the master was restored and collects what worlds hold")
        match request:
            case uplink.Redeem():
                return self._redeem(world, request, now)
            case uplink.Acquire():
                return self._acquire(world, request, now)
            case uplink.Renew():
                return self._renew(world, request, now)
            case uplink.Save():
                return self._save(world, [request], now)[0]
            case uplink.SaveBatch(saves):
                return uplink.SavedBatch(self._save(world, saves, now))
            case uplink.Release():
                return self._release(world, request)
            case uplink.Report():
                return self._report(world)

    def _redeem(self, world: str, request: uplink.Redeem, now: datetime) -> uplink.Admission | Refusal:
        jti = UUID(request.ticket)
        ticket = self.tickets.get(jti)
        if ticket is None or ticket.world != world:
            return Refusal("bad_ticket", "the master knows no such ticket; it may be too old")
        if ticket.expires_at <= now:
            return Refusal("ticket_expired", "the ticket is too old; get a new one")
        if self.worlds[world].is_suspended:
            return Refusal("world_suspended", "the staff suspended this world")
        account = self.accounts[ticket.account]
        if account.is_banned:
            return Refusal("account_banned", "the account is banned")
        if ticket.redeemed_at is not None or ticket.closed_at is not None:
            return Refusal("ticket_used", "the ticket was used before; get a new one")
        ticket.redeemed_at = now
        for other in self.tickets.values():
            is_open = other.redeemed_at is not None and other.closed_at is None
            if other.account == ticket.account and other.world != world and is_open:
                other.closed_at = now
        pseudonym = account.pseudonyms.get(world)
        if pseudonym is None:
            pseudonym = account.pseudonyms.setdefault(world, self.new_id())
        limits = LIMITS[account.edition]
        return uplink.Admission(
            admission=jti,
            account=pseudonym,
            edition=account.edition.value,
            limits=uplink.Limits(level_cap=limits.level_cap),
            characters=self._summaries(account, world),
        )

    def _summaries(self, account: Account, world: str) -> list[CharacterSummary]:
        standing = self.worlds[world]
        kind = line_kind(standing.tier, is_limited=standing.is_limited)
        over = locked(account.characters, LIMITS[account.edition].character_slots)
        summaries = []
        for character in account.characters:
            line = (self.line_of(character, world) if kind == "fork" else None) or self._main(character)
            state = decode_state(line.state)
            place = state.places.get(world)
            summaries.append(
                CharacterSummary(
                    id=character,
                    name=self.names[character],
                    level=level_of(state),
                    line=kind,
                    zone=place.zone if place else None,
                    is_locked=character in over,
                )
            )
        return summaries

    def _main(self, character: UUID) -> Line:
        return self.lines[self._line_ids[(character, None)]]

    def _acquire(self, world: str, request: uplink.Acquire, now: datetime) -> uplink.Lease | Refusal:
        if request.character not in self.owners:
            return Refusal("unknown_character", "there is no such character")
        owner = self._played(world, request.character)
        line = self.line_of(request.character, owner)
        decision = decide_grant(
            line.head if line else Head(owner=owner),
            world=world,
            op_id=request.op_id,
            order=request.order,
            incarnation=self.incarnation,
            standing=self._standing(world, request, now),
            now=now,
        )
        if isinstance(decision, Refusal):
            return decision
        if line is None:
            line = self._fork(request.character, world, now)
        line.head = granted(
            line.head, decision, world=world, op_id=request.op_id, order=request.order, now=now
        )
        return uplink.Lease(
            character=request.character,
            name=self.names[request.character],
            line=line.id,
            line_kind="main" if line.head.owner is None else "fork",
            epoch=decision.epoch,
            lease_s=LEASE_S,
            version=line.head.version,
            chain=line.head.chain,
            state=decode_state(line.state),
        )

    def _played(self, world: str, character: UUID) -> str | None:
        """Return whose line an acquire is about; None: main."""
        standing, fork = self.worlds[world], self.line_of(character, world)
        kind = played_line(
            standing.tier,
            is_limited=standing.is_limited,
            holds_main=self._main(character).head.holder == world,
            holds_fork=fork is not None and fork.head.holder == world,
        )
        return None if kind == "main" else world

    def _standing(self, world: str, request: uplink.Acquire, now: datetime) -> Standing:
        owner = self.owners[request.character]
        account, ticket = self.accounts[owner], self.tickets.get(request.admission)
        is_admitted = (
            ticket is not None
            and (ticket.account, ticket.world, ticket.closed_at) == (owner, world, None)
            and ticket.redeemed_at is not None
            and ticket.redeemed_at > now - ADMISSION_FOR
        )
        over = locked(account.characters, LIMITS[account.edition].character_slots)
        return Standing(
            is_suspended=self.worlds[world].is_suspended,
            is_admitted=is_admitted,
            is_banned=account.is_banned,
            is_locked=request.character in over,
        )

    def _writer(self, world: str) -> Writer:
        standing = self.worlds[world]
        is_official = line_kind(standing.tier) == "main"
        return Writer(
            world,
            is_official=is_official,
            is_suspended=standing.is_suspended,
            is_limited=standing.is_limited,
        )

    def _held(self, line: UUID, epoch: int) -> tuple[Line | None, int]:
        """Return the line and epoch of a lease: the fork's, if what the world names has gone over to it."""
        fallen = self.newest_fall.get((line, epoch))
        if fallen is None:
            return self.lines.get(line), epoch
        write = self.journal[fallen]
        return self.lines[write.line], write.epoch

    def _named_head(self, line: UUID, epoch: int) -> Head | None:
        """Return the head that a write names."""
        fallen = self.newest_fall.get((line, epoch))
        if fallen is None:
            return self.lines[line].head if line in self.lines else None
        write = self.journal[fallen]
        fork = self.lines[write.line].head
        return fallen_head(self.falls[fallen], fork, epoch=write.epoch, version=write.version)

    def _renew(self, world: str, request: uplink.Renew, now: datetime) -> uplink.Renewed | Refusal:
        writer = self._writer(world)
        if writer.is_suspended:
            return Refusal("world_suspended", "the staff suspended this world; its leases are not renewed")
        held: list[uplink.LeaseRef] = []
        lost: list[uplink.LeaseRef] = []
        for ref in request.leases:
            line, epoch = self._held(ref.line, ref.epoch)
            if line is not None and may_renew(line.head, epoch=epoch, writer=writer):
                line.head = renewed(line.head, now)
                held.append(ref)
            else:
                lost.append(ref)
        return uplink.Renewed(lease_s=LEASE_S, held=held, lost=lost)

    def _release(self, world: str, request: uplink.Release) -> uplink.Released:
        line, epoch = self._held(request.line, request.epoch)
        if line is None or not is_lease_of(line.head, world=world, epoch=epoch):
            return uplink.Released(was_held=False)
        line.head = released(line.head)
        return uplink.Released(was_held=True)

    def _report(self, world: str) -> uplink.Reported:
        played = {self.owners[line.character] for line in self.lines.values() if line.head.holder == world}
        news = []
        for owner in sorted(played):
            account = self.accounts[owner]
            if world in account.pseudonyms:
                limits = uplink.Limits(level_cap=LIMITS[account.edition].level_cap)
                pseudonym = account.pseudonyms[world]
                news.append(uplink.AccountNews(pseudonym, account.edition.value, limits, account.is_banned))
        standing = self.worlds[world]
        return uplink.Reported(
            tier=standing.tier,
            is_suspended=standing.is_suspended,
            accounts=news,
            is_limited=standing.is_limited,
            incarnation=self.incarnation,
            collects_since=self.collects_since,
        )

    # ---------------------------------------------------------------- writes

    def _save(self, world: str, saves: Sequence[uplink.Save], now: datetime) -> list[uplink.Saved]:
        """Write each save of a batch, or refuse it; outcomes in the order of the batch."""
        checked = [_checked(save) for save in saves]
        writer = self._writer(world)
        first = first_of_each([one for one in checked if isinstance(one, Write)])
        new = set()
        for write in first:
            if self._decide(write, writer) == "accepted":
                self._append(self.lines[write.line], write, world, now)
                new.add(write.op_id)
        for write in first:
            if write.op_id not in new and self._decide(write, writer) == "falls":
                self._fall(write, world, now)
                new.add(write.op_id)
        results = []
        for save, write_or_not in zip(saves, checked, strict=True):
            if isinstance(write_or_not, Refusal):
                results.append(uplink.Saved(op_id=save.op_id, refusal=write_or_not))
            else:
                results.append(self._outcome(write_or_not, writer, is_new=write_or_not.op_id in new))
                new.discard(write_or_not.op_id)
        return results

    def _decide(self, write: Write, writer: Writer) -> Refusal | str:
        earlier = self.journal.get(write.op_id)
        return decide_save(
            write,
            head=self._named_head(write.line, write.epoch),
            earlier=_earlier(earlier, self._asked(write)) if earlier else None,
            writer=writer,
        )

    def _asked(self, write: Write) -> Fall | None:
        """Return how a write that fell was asked for, if this one names main as well."""
        fall = self.falls.get(write.op_id)
        return fall if fall is not None and fall.line == write.line else None

    def _outcome(self, write: Write, writer: Writer, *, is_new: bool) -> uplink.Saved:
        if not is_new:
            decision = self._decide(write, writer)
            if decision in ("accepted", "falls"):  # another write of the batch names the line
                decision = Refusal(
                    "master_fault", "another request was under way; ask again with the same op_id"
                )
            if isinstance(decision, Refusal):
                return uplink.Saved(op_id=write.op_id, refusal=decision)
        row = self.journal[write.op_id]
        receipt = Receipt(
            world=row.world or "",
            line=row.line,
            version=row.version,
            epoch=row.epoch,
            op_id=row.op_id,
            chain=row.chain,
            state_hash=row.state_hash,
            at=row.at,
        )
        saved = uplink.Saved(
            op_id=write.op_id, version=row.version, chain=row.chain, receipt=self.sign(receipt)
        )
        fall = self._asked(write)
        if fall is None:
            return saved
        forked = uplink.Forked(row.line, row.epoch, row.version, row.chain, "limited")
        return msgspec.structs.replace(saved, version=fall.version + 1, chain=fall.chain, forked=forked)

    def _fall(self, write: Write, world: str, now: datetime) -> None:
        """Write to the world's fork, as falls does; the first time, bring fork and lease there."""
        main = self.lines[write.line]
        fork = self.line_of(main.character, world)
        name = (write.line, write.epoch)
        if name not in self.newest_fall or fork is None:
            fork = self._fork(main.character, world, now)
            main.head, fork.head = fallen_heads(main.head, fork.head, incarnation=self.incarnation)
        self._append(fork, write, world, now)
        self.falls[write.op_id] = Fall(
            line=write.line,
            epoch=write.epoch,
            version=write.version,
            prev_chain=write.prev_chain,
            chain=next_chain(write.prev_chain, write.version + 1, write.op_id, write.state_hash),
        )
        self.newest_fall[name] = write.op_id

    def _fork(self, character: UUID, world: str, now: datetime) -> Line:
        """Make a world's line from the head of main, or bring the one it has to there."""
        main, fork = self._main(character), self.line_of(character, world)
        if fork is None:
            return self._begin_line(character, world, "fork", (main.head.chain, main.state), now)
        again = Write(
            line=fork.id,
            epoch=0,
            version=fork.head.version,
            prev_chain=fork.head.chain,
            op_id=self.new_id(),
            kind="fork",
            state_hash=state_hash(main.state),
            state=main.state,
        )
        self._append(fork, again, world, now)
        return fork

    def _append(self, line: Line, write: Write, world: str, now: datetime) -> None:
        """Move a head and append the version, as the one SQL statement of saves does."""
        prev_chain, epoch = line.head.chain, line.head.epoch if write.epoch else 0
        chain = next_chain(prev_chain, line.head.version + 1, write.op_id, write.state_hash)
        self.journal[write.op_id] = Version(
            line=line.id,
            version=line.head.version + 1,
            op_id=write.op_id,
            epoch=epoch,
            world=world,
            at=now,
            kind=write.kind,
            prev_chain=prev_chain,
            chain=chain,
            state_hash=write.state_hash,
            state=write.state,
        )
        line.head = replace(line.head, version=line.head.version + 1, chain=chain)
        line.state = write.state

    def _begin_line(
        self, character: UUID, owner: str | None, kind: str, first: tuple[bytes, bytes], now: datetime
    ) -> Line:
        """Make a line with its version 1. Args: first: the chain that it continues, and its state."""
        prev_chain, state = first
        line_id, op_id, digest = self.new_id(), self.new_id(), state_hash(state)
        chain = next_chain(prev_chain, 1, op_id, digest)
        line = Line(line_id, character, Head(owner=owner, version=1, chain=chain), state)
        self.lines[line_id], self._line_ids[(character, owner)] = line, line_id
        self.journal[op_id] = Version(
            line_id, 1, op_id, 0, owner, now, kind, prev_chain, chain, digest, state
        )
        return line


def _checked(save: uplink.Save) -> Write | Refusal:
    """Return the write with its state made canonical."""
    try:
        state = encode_state(save.state)
    except InvalidState as error:
        return Refusal("invalid_state", str(error))
    return write_of(save, state)


def _earlier(row: Version, asked: Fall | None) -> EarlierWrite:
    """Return an accepted write as its world names it.

    Args: asked: how one that fell was asked for on main.
    """
    return EarlierWrite(
        world=row.world,
        line=asked.line if asked else row.line,
        epoch=asked.epoch if asked else row.epoch,
        version=asked.version + 1 if asked else row.version,
        prev_chain=asked.prev_chain if asked else row.prev_chain,
        kind=row.kind,
        state_hash=row.state_hash,
    )
