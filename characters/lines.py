"""New lines of history: a new character's main line, and a world's fork. Called inside a transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from characters.models import Character, Line, Version
from worlds.models import World
from zonecluster.protocol.character import GENESIS_CHAIN, encode_state, next_chain, state_hash
from zonecluster.rules.character import new_character_state


@dataclass(frozen=True)
class _First:
    """What differs between the first versions of lines."""

    kind: Version.Kind
    prev_chain: bytes
    state: bytes


def begin_main_line(*, character: Character, now: datetime) -> Line:
    """Make the main line of a new character, with version 1: a character that has done nothing yet."""
    first = _First(Version.Kind.CREATE, GENESIS_CHAIN, encode_state(new_character_state()))
    return _begin(character, None, first, now)


def fork_main_line(*, character: Character, world: World, now: datetime) -> Line:
    """Make a world's line from the head of main, whose chain it continues. Main is read, never changed."""
    main = Line.objects.get(character=character, world=None)
    return _begin(character, world, _First(Version.Kind.FORK, bytes(main.chain), bytes(main.state)), now)


def _begin(character: Character, world: World | None, first: _First, now: datetime) -> Line:
    op_id = uuid4()
    digest = state_hash(first.state)
    chain = next_chain(first.prev_chain, 1, op_id, digest)
    line = Line.objects.create(
        character=character,
        world=world,
        version=1,
        chain=chain,
        state_hash=digest,
        state=first.state,
        updated_at=now,
    )
    Version.objects.create(
        line=line,
        version=1,
        op_id=op_id,
        epoch=0,
        world=world,
        at=now,
        kind=first.kind,
        prev_chain=first.prev_chain,
        chain=chain,
        state_hash=digest,
        state=first.state,
    )
    return line
