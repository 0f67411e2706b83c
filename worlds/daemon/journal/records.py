"""The journal's bytes: records, the commits that carry them, and the heads of segments. Pure.

A commit is what one fdatasync makes durable: all of it can be read, or none.

Source: docs/journal.md, section "Bytes".
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from struct import Struct as Layout
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from worlds.daemon.core.events import Unfinished
from worlds.uplink.messages import Chain, Number, Save, SaveKind
from zonecluster.protocol.character import MAX_STATE_BYTES, InvalidState, decode_state, encode_state

SEGMENT_MAGIC = b"WSJRNL01"
COMMIT_MAGIC = b"WSJC"
SEGMENT_HEAD = Layout("<8sQ16s")  # magic, first sequence, digest
COMMIT_HEAD = Layout("<4sIQ16s")  # magic, length of the payload, sequence, digest
DIGEST_BYTES = 16
MAX_COMMIT_BYTES = 64 * 1024 * 1024  # 500 of the largest documents, twice

State = Annotated[bytes, Meta(max_length=MAX_STATE_BYTES)]


class Write(Struct, frozen=True, tag="write"):
    """A write that the master is about to be asked for. `version` and `prev_chain`: the head it continues."""

    op_id: UUID
    character: UUID
    line: UUID
    epoch: Number
    version: Number
    prev_chain: Chain
    kind: SaveKind
    state: State


class Moved(Struct, frozen=True, tag="moved"):
    """A write of an older segment, written again so that the segment can be removed."""

    write: Write


class Done(Struct, frozen=True, tag="done"):
    """Writes of a line that continue a version below this are finished: stored with a receipt, or set aside.

    It names no op_id: the write that the master accepted may be one that the journal could not keep.
    """

    line: UUID
    version: Number


class Probe(Struct, frozen=True, tag="probe"):
    """Written to see whether the disk takes anything."""


Record = Write | Moved | Done | Probe
_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder = msgspec.msgpack.Decoder(list[Record])


class Commit(Struct, frozen=True):
    """Records that became durable together. `end`: offset behind them in their segment."""

    sequence: int
    records: list[Record]
    end: int


def write_of(unfinished: Unfinished) -> Write:
    """Return the record of a write."""
    save = unfinished.save
    return Write(
        op_id=save.op_id,
        character=unfinished.character,
        line=save.line,
        epoch=save.epoch,
        version=save.version,
        prev_chain=save.prev_chain,
        kind=save.kind,
        state=encode_state(save.state),
    )


def unfinished_of(write: Write) -> Unfinished:
    """Return the write of a record. Raises: InvalidState: its document is of another schema than ours."""
    state = decode_state(write.state)
    if encode_state(state) != write.state:
        raise InvalidState("the document is not canonical")
    save = Save(
        line=write.line,
        epoch=write.epoch,
        version=write.version,
        prev_chain=write.prev_chain,
        op_id=write.op_id,
        kind=write.kind,
        state=state,
    )
    return Unfinished(write.character, save)


def _digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()[:DIGEST_BYTES]


def segment_head(first: int) -> bytes:
    """Return the first bytes of a segment whose first commit has that sequence."""
    return SEGMENT_HEAD.pack(SEGMENT_MAGIC, first, _digest(SEGMENT_MAGIC, first.to_bytes(8, "little")))


def first_of_segment(data: bytes) -> int | None:
    """Return the sequence that a segment begins with; None if its head is not whole."""
    if len(data) < SEGMENT_HEAD.size:
        return None
    _, first, _ = SEGMENT_HEAD.unpack_from(data)
    return first if data.startswith(segment_head(first)) else None


def commit_bytes(sequence: int, records: Sequence[Record]) -> bytes:
    """Return the bytes of a commit. Raises: ValueError: more than a commit can hold."""
    payload = _encoder.encode(records)
    if len(payload) > MAX_COMMIT_BYTES:
        raise ValueError(f"a commit of {len(payload)} bytes; at most {MAX_COMMIT_BYTES} are allowed")
    head = len(payload).to_bytes(4, "little") + sequence.to_bytes(8, "little")
    return COMMIT_HEAD.pack(COMMIT_MAGIC, len(payload), sequence, _digest(head, payload)) + payload


def read_commit(data: bytes, offset: int) -> Commit | None:
    """Return the commit that begins there; None if there is none that is whole."""
    if len(data) - offset < COMMIT_HEAD.size:
        return None
    magic, length, sequence, digest = COMMIT_HEAD.unpack_from(data, offset)
    start = offset + COMMIT_HEAD.size
    if magic != COMMIT_MAGIC or length > min(MAX_COMMIT_BYTES, len(data) - start):
        return None
    payload = data[start : start + length]
    if digest != _digest(data[offset + 4 : offset + 16], payload):
        return None
    try:
        records = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError):  # whole, but by another program
        return None
    return Commit(sequence, records, start + length)


def read_commits(data: bytes) -> Iterator[Commit]:
    """Yield the commits of a segment up to the first that is not whole."""
    offset = SEGMENT_HEAD.size
    while (commit := read_commit(data, offset)) is not None:
        yield commit
        offset = commit.end


def has_commit_behind(data: bytes, offset: int) -> bool:
    """Return whether a whole commit begins anywhere behind that offset."""
    at = data.find(COMMIT_MAGIC, offset)
    while at >= 0:
        if read_commit(data, at) is not None:
            return True
        at = data.find(COMMIT_MAGIC, at + 1)
    return False
