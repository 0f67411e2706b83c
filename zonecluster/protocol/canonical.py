"""The quick check of a character document that is canonical already, as nearly all are that a world sends.

Decides nothing by itself: a document that decodes here, encodes to the very bytes it came as, and has plain
ids, is what character.decode_state and encode_state would make of it. Every other one is left to these, which
also say what is wrong. Quicker, as no UUID is made and fields are in the order in which they are written.
"""

from binascii import unhexlify
from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from zonecluster.protocol.character import (
    MAX_STATE_BYTES,
    Attribute,
    Count,
    InvalidState,
    Name,
    Stack,
    decode_state,
    encode_state,
)

MAX_VALUABLES = 128  # things with an id in one document: all bags of a character hold 92 stacks
ID_CHARS = 36
ID_BYTES = 16
_NUL = rb"\u0000"  # as canonical JSON writes it; the same six signs as text are refused with it
_DASHES = (8, 13, 18, 23)


class Checked(NamedTuple):
    """A document that was checked. `ids`: of the things with an id in it, sorted, 16 bytes each."""

    canonical: bytes
    ids: bytes


# Fields as in character.py, but in alphabetical order; a test holds the two together.
class _Place(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    heading_deg: Annotated[float, Meta(ge=0, lt=360)] = 0.0
    position: tuple[float, float, float]
    zone: Name


class _Item(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    count: Stack = 1
    id: Annotated[str, Meta(min_length=ID_CHARS, max_length=ID_CHARS)] | None = None
    kind: Name


class _State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    attributes: dict[Name, Attribute] = {}
    bags: dict[Name, list[_Item]] = {}
    money: Count = 0
    places: dict[Name, _Place] = {}
    quests: dict[Name, Name] = {}
    schema: Annotated[int, Meta(ge=1, le=1)] = 1
    skills: dict[Name, Count] = {}


# A still quicker check, which may say of any document that it is not sure (zonecluster/documents).
Quickest = Callable[[bytes | msgspec.Raw], Checked | None]

_decoder = msgspec.json.Decoder(_State)
_places = msgspec.json.Decoder(dict[Name, _Place])
_encoder = msgspec.json.Encoder(order="deterministic")


def check_state(data: bytes | msgspec.Raw, quickest: Quickest | None = None) -> Checked:
    """Check a document of any origin that is to be written; return its canonical bytes and its ids.

    Args: data: raw is a piece of a request; quickest: is asked first, if there is one.
    Raises: InvalidState: as decode_state and refuse_new.
    """
    checked = (quickest is not None and quickest(data)) or _quick(data) or _slow(bytes(data))
    refuse_new(checked)
    return checked


def refuse_new(state: Checked) -> None:
    """Refuse what no new document may have, though older ones that have it can still be read.

    U+0000 can be in no text of PostgreSQL; each thing with an id is a row there.

    Raises: InvalidState.
    """
    if b"\\" in state.canonical and _NUL in state.canonical:  # one sign is found ten times as quickly
        raise InvalidState("the character document has U+0000 in it")
    if len(state.ids) > MAX_VALUABLES * ID_BYTES:
        count = len(state.ids) // ID_BYTES
        raise InvalidState(
            f"the character document has {count} items with an id; at most {MAX_VALUABLES} are allowed"
        )


def are_canonical_places(data: bytes) -> bool:
    """Return whether this is a document's `places`, valid and canonical."""
    if data == b"{}":
        return True
    try:
        return _encoder.encode(_places.decode(data)) == data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _slow(data: bytes) -> Checked:
    state = decode_state(data)
    ids = [item.id.bytes for bag in state.bags.values() for item in bag if item.id is not None]
    return Checked(encode_state(state), b"".join(sorted(ids)))


def _quick(data: bytes | msgspec.Raw) -> Checked | None:
    """Return the document if it is canonical as it is; None: it is not, or is not valid."""
    if memoryview(data).nbytes > MAX_STATE_BYTES:
        return None
    try:
        state = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # said by the slow way, in its words
    canonical = _encoder.encode(state)
    if msgspec.Raw(canonical) != msgspec.Raw(data):
        return None
    # A thing with an id is one thing; what claims to be more gets an id that is none.
    ids = _packed(
        [
            item.id if item.count == 1 else ""
            for bag in state.bags.values()
            for item in bag
            if item.id is not None
        ]
    )
    return Checked(canonical, ids) if ids is not None else None


def _packed(texts: list[str]) -> bytes | None:
    """Return ids sorted, 16 bytes each; None: one is there twice, or is not written as a UUID is."""
    count = len(texts)
    if len(set(texts)) != count:
        return None
    texts.sort()  # lower-case hex sorts as its bytes do
    text = "".join(texts)
    if len(text) != ID_CHARS * count or any(text[at::ID_CHARS] != "-" * count for at in _DASHES):
        return None
    digits = text.encode().translate(None, b"-ABCDEF")
    if len(digits) != 32 * count:
        return None
    try:
        return unhexlify(digits)
    except ValueError:
        return None
