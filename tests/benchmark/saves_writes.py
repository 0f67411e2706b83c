"""The writes of a round of the benchmark of saves, made ready before it: in the form of each way to write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.db import connection

from characters.saves import IncomingSave
from characters.uplink_api import IncomingBatch
from tests.benchmark.documents import document
from tests.benchmark.saves_cast import Cast, Head
from tests.benchmark.saves_raw import RawBatch
from worlds.models import World
from worlds.uplink import messages
from zonecluster.protocol.canonical import check_state
from zonecluster.protocol.character import next_chain, state_hash

DOCUMENTS, TURNS = 64, 4  # different ones of each size; of one line, all have the same things
BEFORE_ID = b'"id":"'
_HAVE = """
UPDATE characters_line AS line SET valuables = given.valuables
FROM unnest(%s::uuid[], %s::bytea[]) AS given(line, valuables) WHERE line.id = given.line
"""
_OWN = """
INSERT INTO characters_valuable (thing, kind, line_id)
SELECT given.thing, 'sword', given.line FROM unnest(%s::uuid[], %s::uuid[]) AS given(thing, line)
"""


@dataclass(frozen=True)
class Prepared:
    """Batches of a round, in all forms; and the writes in them."""

    raw: list[RawBatch] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    worlds: list[World] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    op_ids: list[UUID] = field(default_factory=list)


class Writes:
    """Makes writes of the cast's lines."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._documents: dict[int, list[list[tuple[bytes, bytes]]]] = {}
        self._given = (0, False)  # size of the documents whose things the lines have; whether they change

    def prepare(self, size_bytes: int, batch: int, batches: int, has_found: bool) -> Prepared:
        """Make a round ready; nobody's line is in it twice.

        Args: has_found: each line loses one thing with this write and gets another one.
        """
        self._give(size_bytes, has_found)
        prepared = Prepared()
        of_world = self._cast.of_world
        for number in range(batches):
            waiting, world = of_world[number % len(of_world)], self._cast.worlds[number % len(of_world)]
            heads = [waiting.popleft() for _ in range(batch)]
            waiting.extend(heads)
            asked = list(self._writes(heads, size_bytes, has_found))
            prepared.raw.append(RawBatch(world.pk, asked))
            saves = [
                IncomingSave(line, epoch, version, prev_chain, op_id, "periodic", msgspec.Raw(state))
                for line, epoch, version, prev_chain, op_id, _, _, state in asked
            ]
            prepared.bodies.append(messages.encoder.encode(IncomingBatch(saves)))
            prepared.worlds.append(world)
            prepared.heads.extend(heads)
            prepared.op_ids.extend(row[4] for row in asked)
            for head, row in zip(heads, asked, strict=True):
                head.version, head.chain = head.version + 1, row[5]
        return prepared

    def _documents_of(self, size_bytes: int) -> list[list[tuple[bytes, bytes]]]:
        """Return documents with their hashes: DOCUMENTS with other things, of each TURNS."""
        if size_bytes not in self._documents:
            self._documents[size_bytes] = [
                [
                    (state, state_hash(state))
                    for state in (document(size_bytes, seed, turn) for turn in range(TURNS))
                ]
                for seed in range(DOCUMENTS)
            ]
        return self._documents[size_bytes]

    def _give(self, size_bytes: int, has_found: bool) -> None:
        """Let the lines have the things that are in the documents to come, as if they had found them before.

        A save that changes which things a line has takes a slower way; most do not.
        """
        if self._given == (size_bytes, has_found):
            return
        self._given = (size_bytes, has_found)
        states = [turns[0][0] for turns in self._documents_of(size_bytes)]
        ids = [check_state(state).ids for state in states]
        lines = [head.line for head in self._cast.heads]
        things = [uuid4() for _ in lines] if has_found else []  # each has one of its own to lose
        valuables = [
            check_state(with_another_thing(states[line.int % DOCUMENTS], thing)).ids
            for line, thing in zip(lines, things, strict=False)
        ] or [ids[line.int % DOCUMENTS] for line in lines]
        with connection.cursor() as cursor:
            cursor.execute(_HAVE, [lines, valuables])
            cursor.execute(_OWN, [things, lines[: len(things)]])
            cursor.execute("VACUUM ANALYZE characters_line")

    def _writes(self, heads: Sequence[Head], size_bytes: int, has_found: bool) -> Iterator[tuple[Any, ...]]:
        documents = self._documents_of(size_bytes)
        for head in heads:
            state, digest = documents[head.line.int % DOCUMENTS][head.version % TURNS]
            if has_found:
                state = with_another_thing(state, uuid4())
                digest = state_hash(state)
            op_id = uuid4()
            chain = next_chain(head.chain, head.version + 1, op_id, digest)
            yield head.line, head.epoch, head.version, head.chain, op_id, chain, digest, state


def with_another_thing(state: bytes, thing: UUID) -> bytes:
    """Return the document with this id in place of the first one in it."""
    at = state.index(BEFORE_ID) + len(BEFORE_ID)
    return state[:at] + str(thing).encode() + state[at + 36 :]
