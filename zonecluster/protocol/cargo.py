"""What a moved zone instance takes along besides its players: creatures, chests, things on the ground.

Written by the source's cluster, read by the target's; the world daemon carries it unread. The reader takes
nothing for granted: another cluster may run another build, or other content.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from zonecluster.protocol.bus import LineKind
from zonecluster.protocol.character import Count, Item, Name

MAX_CARGO_BYTES = 8_000_000  # a hundred for each of the most entities that an instance may have
MAX_THINGS = 256
MAX_CREATURES = 2**16

Number = Annotated[float, Meta(ge=-1e6, le=1e6)]
Pair = tuple[Number, Number]
Ticks = Annotated[int, Meta(ge=0, le=2**31)]  # from now on


class Creature(Struct, frozen=True, array_like=True):
    """One creature: where it is, where it goes, how long still, and what is cast on it."""

    name: str
    position: tuple[Number, Number, Number]
    heading_deg: Number
    health: Annotated[float, Meta(ge=0, le=1)]
    goal: Pair
    wish: Pair
    is_resting: bool
    decides_in: Ticks
    effects: dict[Name, Ticks] = {}  # each still lasts so long


class Thing(Struct, frozen=True, array_like=True):
    """A thing that lies there for all to see, and how long still."""

    item: Item
    position: tuple[Number, Number, Number]
    line: LineKind
    vanishes_in: Ticks


class ChestNow(Struct, frozen=True, array_like=True):
    """What is in a chest; `fills_in`: when it is filled anew, None: it was not looted since it was."""

    slug: Name
    items: Annotated[list[Item], Meta(max_length=1000)]
    coins: Count
    fills_in: Ticks | None


class Cargo(Struct, frozen=True):
    """All of it, of one instance."""

    creatures: Annotated[list[Creature], Meta(max_length=MAX_CREATURES)] = []
    things: Annotated[list[Thing], Meta(max_length=MAX_THINGS)] = []
    chests: Annotated[list[ChestNow], Meta(max_length=MAX_CREATURES)] = []


class UnreadableCargo(ValueError):
    """It is not what it should be; the message says where."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Cargo)


def encode_cargo(cargo: Cargo) -> bytes:
    """Return the bytes of it."""
    return _encoder.encode(cargo)


def decode_cargo(data: bytes) -> Cargo:
    """Return what the bytes say. Raises: UnreadableCargo."""
    if len(data) > MAX_CARGO_BYTES:
        raise UnreadableCargo(f"it has {len(data)} bytes; at most {MAX_CARGO_BYTES} are read")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableCargo(str(error)) from error
