"""New lines of history, and new versions that the master itself writes. Called inside a transaction.

What worlds write is in saves and falls.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from characters.models import Character, Line, Version
from characters.valuable_rules import kinds_of, packed, unpacked
from characters.valuables import take_over
from worlds.models import World
from zonecluster.protocol.character import (
    GENESIS_CHAIN,
    decode_state,
    encode_state,
    next_chain,
    state_hash,
)
from zonecluster.rules.character import new_character_state


@dataclass(frozen=True)
class Entry:
    """One version to append, but for what follows from the line. `state`: canonical bytes."""

    kind: str
    state: bytes
    world: World | None
    epoch: int = 0
    op_id: UUID | None = None  # None: the master's own write, a new one
    source: Version | None = None
    exchange: UUID | None = None  # that it is part of
    letter: UUID | None = None  # that it posts or empties


def begin_main_line(*, character: Character, now: datetime) -> Line:
    """Make the main line of a new character, with version 1: a character that has done nothing yet."""
    entry = Entry(Version.Kind.CREATE, encode_state(new_character_state()), world=None)
    return _begin(character, entry, GENESIS_CHAIN, now)


def fork_main_line(*, character: Character, world: World, now: datetime) -> Line:
    """Make a world's line from the head of main, whose chain it continues. Main is read, never changed."""
    main = Line.objects.get(character=character, world=None)
    fork = _begin(character, _fork_of(main, world), bytes(main.chain), now)
    _continue(fork, main, set(), now)
    return fork


def fork_again(*, fork: Line, main: Line, world: World, now: datetime) -> None:
    """Bring a world's line to the head of main, as a new version; what it had before stays in its history."""
    had = unpacked(bytes(fork.valuables))
    append_version(line=fork, entry=_fork_of(main, world), now=now)
    _continue(fork, main, had, now)


def _continue(fork: Line, main: Line, had: set[UUID], now: datetime) -> None:
    """Let a fork that begins, or begins anew, have what main has, and know the exchange that main knows.

    Args: had: the valuables that it had before.
    """
    if fork.exchange != main.exchange:
        fork.exchange = main.exchange
        fork.save(update_fields=["exchange"])
    if had or fork.valuables:
        take_over(fork=fork, had=had, has=kinds_of(decode_state(bytes(fork.state))), now=now)


def head_version(line: Line) -> Version:
    """Return a line's newest version, without its state."""
    return Version.objects.defer("state").get(line=line, version=line.version)


def append_version(*, line: Line, entry: Entry, now: datetime) -> Version:
    """Append a version to a line that the caller has locked; move its head, in the row and in `line`.

    Who has the valuables in it is the caller's to say, by characters.valuables.
    """
    op_id = entry.op_id or uuid4()
    digest = state_hash(entry.state)
    version = Version.objects.create(
        line=line,
        version=line.version + 1,
        op_id=op_id,
        epoch=entry.epoch,
        world=entry.world,
        at=now,
        kind=entry.kind,
        prev_chain=bytes(line.chain),
        chain=next_chain(bytes(line.chain), line.version + 1, op_id, digest),
        state_hash=digest,
        state=entry.state,
        source=entry.source,
        exchange=entry.exchange,
        letter=entry.letter,
    )
    line.version, line.chain, line.state_hash = version.version, version.chain, digest
    line.state, line.updated_at = entry.state, now
    line.valuables = packed(kinds_of(decode_state(entry.state)))
    line.exchange = entry.exchange or line.exchange
    line.save(
        update_fields=["version", "chain", "state_hash", "state", "valuables", "exchange", "updated_at"]
    )
    return version


def _fork_of(main: Line, world: World) -> Entry:
    return Entry(Version.Kind.FORK, bytes(main.state), world, source=head_version(main))


def _begin(character: Character, entry: Entry, prev_chain: bytes, now: datetime) -> Line:
    """Make a line. Args: prev_chain: 32 bytes, what its first version continues."""
    line = Line.objects.create(
        character=character,
        world=entry.world,
        version=0,
        chain=prev_chain,
        state_hash=state_hash(entry.state),
        state=entry.state,
        updated_at=now,
    )
    append_version(line=line, entry=entry, now=now)
    return line
