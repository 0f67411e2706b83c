"""The character document, its canonical bytes, and the hash chain over its versions.

One definition for everybody who touches a character: the repository checks it, the world daemon carries
it, the zone cluster reads and changes it. Keys are stable names, never row ids of one content build.

Source: docs/protocol.md, section "Characters".
"""

from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

MAX_STATE_BYTES = 64 * 1024  # a document larger than this is refused: 64 KB is 30 times a full character
GENESIS_CHAIN = bytes(32)  # prev_chain of the first version of a line that was not forked

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Attribute = Annotated[int, Meta(ge=-(2**31), le=2**31)]
Stack = Annotated[int, Meta(ge=1, le=1_000_000)]  # how many of one kind are together


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a character stands in one world.

    `position` is x, y, z in metres in the zone's frame; `heading_deg` is 0..360, 0 = +y, clockwise.
    """

    zone: Name
    position: tuple[float, float, float]
    heading_deg: Annotated[float, Meta(ge=0, lt=360)] = 0.0


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """A stack of one kind of item; `id` is set for valuables, which have one owner each."""

    kind: Name
    count: Stack = 1
    id: UUID | None = None


class CharacterState(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole truth about a character, one document, at most 64 KB as canonical JSON."""

    schema: Annotated[int, Meta(ge=1, le=1)] = 1
    attributes: dict[Name, Attribute] = {}
    skills: dict[Name, Count] = {}
    bags: dict[Name, list[Item]] = {}
    money: Count = 0
    quests: dict[Name, Name] = {}
    places: dict[Name, Place] = {}


class InvalidState(ValueError):
    """A character document that breaks the schema; the message names the field and what is wrong."""


_encoder = msgspec.json.Encoder(order="sorted")


def encode_state(state: CharacterState) -> bytes:
    """Return the canonical bytes of a state: JSON, UTF-8, keys sorted, no white space.

    Raises: InvalidState: larger than MAX_STATE_BYTES.
    """
    data = _encoder.encode(state)
    if len(data) > MAX_STATE_BYTES:
        raise InvalidState(
            f"the character document has {len(data)} bytes; at most {MAX_STATE_BYTES} are allowed"
        )
    return data


def decode_state(data: bytes) -> CharacterState:
    """Parse and check a document of any origin.

    Raises: InvalidState: not JSON, against the schema, too large, or an id twice.
    """
    if len(data) > MAX_STATE_BYTES:
        raise InvalidState(
            f"the character document has {len(data)} bytes; at most {MAX_STATE_BYTES} are allowed"
        )
    try:
        state = msgspec.json.decode(data, type=CharacterState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState(f"the character document is not valid: {error}") from error
    _check_ids(state)
    return state


def _check_ids(state: CharacterState) -> None:
    """Make sure that a thing with an id is one, and is there once. Raises: InvalidState."""
    seen: set[UUID] = set()
    for name, bag in state.bags.items():
        for item in bag:
            if item.id is None:
                continue
            if item.id in seen:
                raise InvalidState(f"the character document has the item {item.id} twice")
            if item.count != 1:
                raise InvalidState(f"bags.{name}: the item {item.id} has a count of {item.count}")
            seen.add(item.id)


def canonical_state(data: bytes | dict[str, Any]) -> bytes:
    """Check a document and return its canonical bytes.

    Raises: InvalidState.
    """
    raw = data if isinstance(data, bytes) else _encoder.encode(data)
    return encode_state(decode_state(raw))


def state_hash(canonical: bytes) -> bytes:
    """Return SHA-256 of the canonical bytes (32 bytes)."""
    return sha256(canonical).digest()


def next_chain(prev_chain: bytes, version: int, op_id: UUID, hash_of_state: bytes) -> bytes:
    """Return a version's chain value: SHA-256(prev_chain ‖ version u64 LE ‖ op_id 16 bytes ‖ state hash).

    Args: prev_chain: 32 bytes; hash_of_state: 32 bytes.
    Returns: 32 bytes.
    """
    if len(prev_chain) != 32 or len(hash_of_state) != 32:
        raise ValueError("prev_chain and hash_of_state are 32 bytes each")
    return sha256(prev_chain + version.to_bytes(8, "little") + op_id.bytes + hash_of_state).digest()
