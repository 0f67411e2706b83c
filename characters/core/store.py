"""What the core keeps, and how lines in it are found, begun and moved."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from characters.budgets import Gain
from characters.core.records import Account, Letter, Line, Ticket, Version, Waiting, World
from characters.rules import Fall, Head, Write, Writer, fallen_head
from characters.valuable_rules import GONE, Owner, kinds_of
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import decode_state, next_chain, state_hash

HAS_ID = b'"id":"'  # in the canonical bytes of a document that has a valuable


@dataclass
class Store:
    """All of it, in memory.

    `new_id` gives the ids of lines, first versions and pseudonyms; `sign` makes a receipt's text. `stops`: of
    what trade is off: (world, None: in all of them; kind, empty: everything).
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
    falls: dict[UUID, Fall] = field(default_factory=dict)  # by op_id: writes that fell, as asked for
    newest_fall: dict[tuple[UUID, int], UUID] = field(default_factory=dict)  # line and epoch → op_id
    letters: dict[UUID, Letter] = field(default_factory=dict)
    exchanges: set[UUID] = field(default_factory=set)  # ids of those that changed a line
    stops: set[tuple[str | None, str]] = field(default_factory=set)
    things: dict[str | None, dict[UUID, Owner]] = field(default_factory=dict)  # by scope: who has which
    gains: dict[tuple[str, UUID, datetime], Gain] = field(default_factory=dict)  # by world, line, hour
    _line_ids: dict[tuple[UUID, str | None], UUID] = field(default_factory=dict)

    # ---------------------------------------------------------------- reads

    def line_of(self, character: UUID, owner: str | None) -> Line | None:
        """Return a character's line of a world, or main (None)."""
        found = self._line_ids.get((character, owner))
        return self.lines[found] if found is not None else None

    def main_of(self, character: UUID) -> Line:
        """Return a character's main line."""
        return self.lines[self._line_ids[(character, None)]]

    def versions_of(self, line: UUID) -> list[Version]:
        """Return a line's accepted writes, oldest first."""
        return [version for version in self.journal.values() if version.line == line]

    def stops_in(self, world: str) -> set[str]:
        """Return the kinds of items of which trade is off in a world; "" among them: everything is."""
        return {kind for where, kind in self.stops if where in (None, world)}

    def writer(self, world: str) -> Writer:
        """Return a world as the decisions about writes see it."""
        standing = self.worlds[world]
        return Writer(
            world,
            is_official=standing.tier == "official",
            is_suspended=standing.is_suspended,
            is_limited=standing.is_limited,
            is_budgeted=standing.tier == "verified",
        )

    def held(self, line: UUID, epoch: int) -> tuple[Line | None, int]:
        """Return the line and epoch of a lease: the fork's, if what the world names has gone over to it."""
        fallen = self.newest_fall.get((line, epoch))
        if fallen is None:
            return self.lines.get(line), epoch
        write = self.journal[fallen]
        return self.lines[write.line], write.epoch

    def named_head(self, line: UUID, epoch: int) -> Head | None:
        """Return the head that a write names."""
        fallen = self.newest_fall.get((line, epoch))
        if fallen is None:
            return self.lines[line].head if line in self.lines else None
        write = self.journal[fallen]
        fork = self.lines[write.line].head
        return fallen_head(self.falls[fallen], fork, epoch=write.epoch, version=write.version)

    def receipt_of(self, version: Version) -> str:
        """Return the receipt of an accepted write."""
        return self.sign(
            Receipt(
                world=version.world or "",
                line=version.line,
                version=version.version,
                epoch=version.epoch,
                op_id=version.op_id,
                chain=version.chain,
                state_hash=version.state_hash,
                at=version.at,
                exchange=version.exchange,
                letter=version.letter,
            )
        )

    # ---------------------------------------------------------------- writes

    def fork(self, character: UUID, world: str, now: datetime) -> Line:
        """Make a world's line from the head of main, or bring the one it has to there."""
        main, fork = self.main_of(character), self.line_of(character, world)
        had = things_in(fork) if fork is not None else set()
        if fork is None:
            fork = self.begin_line(character, world, "fork", (main.head.chain, main.state), now)
        else:
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
            self.append(fork, again, world, now)
        fork.exchange = main.exchange
        self.give(fork, had)
        return fork

    def append(
        self,
        line: Line,
        write: Write,
        world: str,
        now: datetime,
        *,
        exchange: UUID | None = None,
        letter: UUID | None = None,
    ) -> Version:
        """Move a head and append the version, as the one SQL statement of saves does."""
        prev_chain, epoch = line.head.chain, line.head.epoch if write.epoch else 0
        chain = next_chain(prev_chain, line.head.version + 1, write.op_id, write.state_hash)
        version = Version(
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
            exchange=exchange,
            letter=letter,
        )
        self.move_head(line, version)
        return version

    def give(self, line: Line, had: set[UUID]) -> None:
        """Let a line have what its head has, whoever had it in that scope, and no more what it `had`."""
        owners = self.things.setdefault(line_scope(line), {})
        has = things_in(line)
        for thing in had - has:
            if owners.get(thing) == Owner(line=line.id):
                owners[thing] = GONE
        owners.update(dict.fromkeys(has, Owner(line=line.id)))

    def move_head(self, line: Line, version: Version) -> None:
        """Take up a version as the newest of its line."""
        self.journal[version.op_id] = version
        line.head = replace(line.head, version=version.version, chain=version.chain)
        line.state, line.newest = version.state, version.op_id
        line.exchange = version.exchange or line.exchange
        if version.exchange is not None:
            self.exchanges.add(version.exchange)

    def begin_line(
        self, character: UUID, owner: str | None, kind: str, first: tuple[bytes, bytes], now: datetime
    ) -> Line:
        """Make a line with its version 1. Args: first: the chain that it continues, and its state."""
        prev_chain, state = first
        line_id, op_id, digest = self.new_id(), self.new_id(), state_hash(state)
        chain = next_chain(prev_chain, 1, op_id, digest)
        line = Line(line_id, character, Head(owner=owner, version=1, chain=chain), state, op_id)
        self.lines[line_id], self._line_ids[(character, owner)] = line, line_id
        self.journal[op_id] = Version(
            line_id, 1, op_id, 0, owner, now, kind, prev_chain, chain, digest, state
        )
        return line


def line_scope(line: Line) -> str | None:
    """Return the scope of a line's valuables: the world whose fork it is; None: main."""
    return str(line.head.owner) if line.head.owner is not None else None


def things_in(line: Line) -> set[UUID]:
    """Return the ids of the valuables in a line's head."""
    return set(kinds_of(decode_state(line.state))) if HAS_ID in line.state else set()
