"""The measured side of `manage.py benchmark saves`: a process with Django on the benchmark's database.

Makes rounds of batches ready, lets threads with a connection each write them (by hand-written SQL, by the
services as the uplink's API calls them, or by HTTP), and checks afterwards that every head moved as it should
and every version is there. Speaks JSON lines: commands on stdin, answers on stdout.
"""

import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import islice
from threading import Barrier, BrokenBarrierError, Thread
from time import perf_counter, process_time
from typing import Any
from uuid import UUID, uuid4

import django
import msgspec
import psycopg

django.setup()

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection as django_connection  # noqa: E402

from characters.leases import acquire_lease, release_lease  # noqa: E402  (models need django.setup first)
from characters.saves import IncomingSave, save_batch  # noqa: E402
from characters.uplink_api import IncomingBatch  # noqa: E402
from tests.benchmark import saves_raw  # noqa: E402
from tests.benchmark.documents import document  # noqa: E402
from tests.benchmark.saves_database import family_cpu_seconds  # noqa: E402
from worlds.models import Ticket, World, WorldKey  # noqa: E402
from worlds.signing import ensure_signing_key, signing_keys  # noqa: E402
from worlds.uplink import messages  # noqa: E402
from worlds.uplink.keys import KeyPair, key_pair  # noqa: E402
from worlds.uplink.proof import sign_request  # noqa: E402
from worlds.uplink.receipt import check_receipt  # noqa: E402
from zonecluster.protocol.canonical import check_state  # noqa: E402
from zonecluster.protocol.character import next_chain, state_hash  # noqa: E402

DOCUMENTS, TURNS = 64, 4  # different ones of each size; of one line, all have the same things
TRIES = 10  # of one request
SAVE_PATH = "/api/v1/uplink/save/"
LEASE_FOR = timedelta(hours=12)  # longer than the benchmark


@dataclass
class Head:
    """A line as the worker knows it."""

    line: UUID
    character: UUID
    account: int
    epoch: int
    version: int
    chain: bytes


@dataclass(frozen=True)
class Prepared:
    """Batches of a round, in all forms; and the writes in them."""

    raw: list[saves_raw.RawBatch]
    bodies: list[bytes]
    worlds: list[World]
    heads: list[Head]
    op_ids: list[UUID]


@dataclass(frozen=True)
class Timing:
    """What a round took. `cpu_s`: of this process and of each other one; `batch_ms` of each batch."""

    seconds: float
    cpu_s: dict[str, float]
    batch_ms: list[float]


class Failed(RuntimeError):
    """A round that did not do what it should; the message says what."""


class Worker:
    """Worlds, playing characters, and rounds."""

    def __init__(self, worlds: int, playing: int, others: dict[str, int]) -> None:
        """Args: others: processes whose CPU time is told too, by what they are."""
        ensure_signing_key(settings.CONFIG.signing_keys_dir)
        self.url = os.environ["DATABASE_URL"]
        self.keys: list[KeyPair] = []
        self.worlds = [self._world(number) for number in range(worlds)]
        self.heads = self._choose(playing)
        self._of_world: list[deque[Head]] = []
        self._documents: dict[int, list[list[tuple[bytes, bytes]]]] = {}
        self._size_bytes = 0  # of the documents whose things the lines have
        self.url_of_web: tuple[str, int] | None = None
        self.others = others

    def _world(self, number: int) -> World:
        world, _ = World.objects.get_or_create(
            slug=f"world-{number}",
            defaults={"name": f"World {number}", "tier": "official", "gateway_url": "ws://127.0.0.1:1/"},
        )
        key = key_pair(Ed25519PrivateKey.generate())
        WorldKey.objects.create(world=world, kid=key.kid, public_key=key.public_bytes)
        self.keys.append(key)
        return world

    def _choose(self, playing: int) -> list[Head]:
        """Return lines from all over the table."""
        with django_connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM characters_line")
            (count,) = cursor.fetchone()
            if count < playing:
                raise Failed(f"{playing} characters are to play, but there are {count}")
            cursor.execute(
                """SELECT line.id, line.character_id, hero.account_id, line.epoch, line.version, line.chain
                FROM (SELECT *, row_number() OVER () AS number FROM characters_line) AS line
                JOIN characters_character AS hero ON hero.id = line.character_id
                WHERE line.world_id IS NULL AND line.number %% %s = 0 LIMIT %s""",
                [max(count // playing, 1), playing],
            )
            return [Head(*row[:5], chain=bytes(row[5])) for row in cursor.fetchall()]

    def assign(self, count: int) -> None:
        """Let the first `count` worlds hold the playing characters, in turns."""
        self._of_world = [deque(self.heads[number::count]) for number in range(count)]
        with django_connection.cursor() as cursor:
            cursor.execute(
                """UPDATE characters_line AS line SET holder_id = given.world, lease_until = %s
                FROM unnest(%s::uuid[], %s::bigint[]) AS given(line, world) WHERE line.id = given.line""",
                [
                    datetime.now(UTC) + LEASE_FOR,
                    [head.line for head in self.heads],
                    [self.worlds[number % count].pk for number in range(len(self.heads))],
                ],
            )
            # Or the planner takes the index of holders, as if each had no line yet.
            cursor.execute("ANALYZE characters_line")

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of this process and of the others until now."""
        return {"client": process_time()} | {
            name: family_cpu_seconds(pid) for name, pid in self.others.items()
        }

    # ---------------------------------------------------------------- saves

    def prepare(self, size_bytes: int, batch: int, batches: int) -> Prepared:
        """Make a round ready; nobody's line is in it twice."""
        self._give(size_bytes)
        prepared = Prepared([], [], [], [], [])
        count = len(self._of_world)
        for number in range(batches):
            of_world = self._of_world[number % count]
            world = self.worlds[number % count]
            heads = [of_world.popleft() for _ in range(batch)]
            of_world.extend(heads)
            asked = list(islice(self._writes(heads, size_bytes), batch))
            prepared.raw.append(saves_raw.RawBatch(world.pk, asked))
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

    def _give(self, size_bytes: int) -> None:
        """Let the lines have the things that are in the documents to come, as if they had found them before.

        A save that changes which things a line has takes a slower way; most do not.
        """
        if size_bytes == self._size_bytes:
            return
        self._size_bytes = size_bytes
        ids = [check_state(turns[0][0]).ids for turns in self._documents_of(size_bytes)]
        lines = [head.line for head in self.heads]
        with django_connection.cursor() as cursor:
            for number, valuables in enumerate(ids):
                of_these = [line for line in lines if line.int % DOCUMENTS == number]
                cursor.execute(
                    "UPDATE characters_line SET valuables = %s WHERE id = ANY(%s)", [valuables, of_these]
                )
            cursor.execute("VACUUM ANALYZE characters_line")

    def _writes(self, heads: Sequence[Head], size_bytes: int) -> Iterator[tuple[Any, ...]]:
        documents = self._documents_of(size_bytes)
        for head in heads:
            state, digest = documents[head.line.int % DOCUMENTS][head.version % TURNS]
            op_id = uuid4()
            chain = next_chain(head.chain, head.version + 1, op_id, digest)
            yield head.line, head.epoch, head.version, head.chain, op_id, chain, digest, state

    def save(self, way: str, size_bytes: int, batch: int, batches: int, connections: int) -> dict[str, Any]:
        """Run one round of saves and check it."""
        prepared = self.prepare(size_bytes, batch, batches)
        if way == "services":
            timing = self._by_services(prepared, connections)
        elif way == "http":
            timing = self._by_http(prepared, connections)
        else:
            timing = self._by_hand(way, prepared, connections)
        self._check(prepared)
        return {"saves": len(prepared.op_ids), **msgspec.to_builtins(timing)}

    def _by_hand(self, way: str, prepared: Prepared, connections: int) -> Timing:
        write = saves_raw.WAYS[way]

        @contextmanager
        def writer() -> Iterator[Callable[[int], None]]:
            with psycopg.connect(self.url, autocommit=True) as connection:

                def one(number: int) -> None:
                    batch = prepared.raw[number]
                    moved = write(connection, batch)
                    if moved != len(batch.rows):
                        raise Failed(f"of {len(batch.rows)} heads {moved} moved")

                connection.execute(saves_raw.MAKE_TEMPORARY)
                yield one

        return run(writer, len(prepared.raw), connections, self.cpu_s)

    def _by_services(self, prepared: Prepared, connections: int) -> Timing:
        decoder = msgspec.json.Decoder(IncomingBatch)
        answers: list[bytes] = []

        @contextmanager
        def writer() -> Iterator[Callable[[int], None]]:
            django_connection.ensure_connection()

            def one(number: int) -> None:
                message = decoder.decode(prepared.bodies[number])
                world = prepared.worlds[number]
                results = save_batch(world=world, saves=message.saves, now=datetime.now(UTC))
                answers.append(messages.encoder.encode(messages.SavedBatch(results=results)))

            yield one
            django_connection.close()

        timing = run(writer, len(prepared.bodies), connections, self.cpu_s)
        check_answers(answers, len(prepared.op_ids))
        return timing

    def _by_http(self, prepared: Prepared, connections: int) -> Timing:
        """Proofs are signed before: a world daemon signs on a machine of its own."""
        now = datetime.now(UTC)
        keys = {world.pk: key for world, key in zip(self.worlds, self.keys, strict=True)}
        headers = [
            {
                "Content-Type": "application/json",
                "Authorization": "Bearer "
                + sign_request(keys[world.pk], world.slug, "POST", SAVE_PATH, body, now),
            }
            for world, body in zip(prepared.worlds, prepared.bodies, strict=True)
        ]
        assert self.url_of_web is not None
        host, port = self.url_of_web
        answers: list[bytes] = []

        @contextmanager
        def writer() -> Iterator[Callable[[int], None]]:
            http = HTTPConnection(host, port, timeout=60)
            http.connect()

            def one(number: int) -> None:
                for _ in range(TRIES):
                    http.request("POST", SAVE_PATH, prepared.bodies[number], headers[number])
                    response = http.getresponse()
                    answer = response.read()
                    if response.status != 503:  # a master that is busy; a world asks again, as here
                        break
                if response.status != 200:
                    raise Failed(f"HTTP {response.status}: {answer[:500]!r}")
                answers.append(answer)

            yield one
            http.close()

        timing = run(writer, len(prepared.bodies), connections, self.cpu_s)
        check_answers(answers, len(prepared.op_ids))
        return timing

    def _check(self, prepared: Prepared) -> None:
        """Every head moved as it should, and every version is there."""
        wanted = {head.line: (head.version, head.chain) for head in prepared.heads}
        with django_connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, version, chain FROM characters_line WHERE id = ANY(%s)", [list(wanted)]
            )
            found = {line: (version, bytes(chain)) for line, version, chain in cursor.fetchall()}
            cursor.execute("SELECT count(*) FROM characters_version WHERE op_id = ANY(%s)", [prepared.op_ids])
            (count,) = cursor.fetchone()
        if found != wanted or count != len(prepared.op_ids):
            raise Failed(f"{count} of {len(prepared.op_ids)} versions are there, or heads are wrong")

    # ---------------------------------------------------------------- leases

    def lease(self, way: str, count: int, connections: int) -> dict[str, Any]:
        """Acquire and release `count` characters that nobody holds, each in two transactions."""
        heads = self._free(count)
        world, now = self.worlds[0], datetime.now(UTC)
        if way == "raw":
            timing = self._lease_by_hand(heads, connections)
        else:
            admissions = self._admit(heads, world, now)
            timing = self._lease_by_services(heads, admissions, connections)
        with django_connection.cursor() as cursor:
            lines = [head.line for head in heads]
            cursor.execute("SELECT id, epoch, holder_id FROM characters_line WHERE id = ANY(%s)", [lines])
            found = {line: (epoch, holder) for line, epoch, holder in cursor.fetchall()}
        if any(found[head.line] != (head.epoch + 1, None) for head in heads):
            raise Failed("a line was not granted once and given back")
        for head in heads:
            head.epoch += 1
        return {"saves": count, **msgspec.to_builtins(timing)}

    def _free(self, count: int) -> list[Head]:
        """Return playing characters whose leases are given back: the front of the queue."""
        heads = self.heads[:count]
        self.heads = self.heads[count:] + heads
        with django_connection.cursor() as cursor:
            cursor.execute(
                "UPDATE characters_line SET holder_id = NULL, lease_until = NULL WHERE id = ANY(%s)",
                [[head.line for head in heads]],
            )
        return heads

    def _admit(self, heads: Sequence[Head], world: World, now: datetime) -> dict[int, UUID]:
        """Return an open admission of each account."""
        accounts = {head.account for head in heads}
        tickets = [
            Ticket(account_id=account, world=world, issued_at=now, expires_at=now, redeemed_at=now)
            for account in accounts
        ]
        Ticket.objects.bulk_create(tickets, batch_size=1000)
        return {ticket.account_id: ticket.jti for ticket in tickets}

    def _lease_by_hand(self, heads: Sequence[Head], connections: int) -> Timing:
        world = self.worlds[0].pk

        @contextmanager
        def writer() -> Iterator[Callable[[int], None]]:
            with psycopg.connect(self.url, autocommit=True) as connection:

                def one(number: int) -> None:
                    now = datetime.now(UTC)
                    asked = {"line": heads[number].line, "world": world, "now": now, "order": number}
                    asked |= {"until": now + timedelta(seconds=120), "op_id": uuid4()}
                    row = connection.execute(saves_raw.ACQUIRE, asked, prepare=True).fetchone()
                    if row is None:
                        raise Failed("a free line was not granted")
                    released = {"line": heads[number].line, "epoch": row[0], "world": world}
                    connection.execute(saves_raw.RELEASE, released, prepare=True)

                yield one

        return run(writer, len(heads), connections, self.cpu_s)

    def _lease_by_services(
        self, heads: Sequence[Head], admissions: dict[int, UUID], connections: int
    ) -> Timing:
        world = self.worlds[0]

        @contextmanager
        def writer() -> Iterator[Callable[[int], None]]:
            django_connection.ensure_connection()

            def one(number: int) -> None:
                head = heads[number]
                asked = messages.Acquire(admissions[head.account], head.character, uuid4(), number)
                lease = acquire_lease(world=world, request=asked, now=datetime.now(UTC))
                messages.encoder.encode(lease)
                release_lease(
                    world=world,
                    request=messages.Release(lease.line, lease.epoch),
                    now=datetime.now(UTC),
                )

            yield one
            django_connection.close()

        return run(writer, len(heads), connections, self.cpu_s)


def check_answers(answers: Sequence[bytes], saves: int) -> None:
    """Every save was accepted; of each batch, one receipt is checked.

    Raises: Failed.
    """
    decoder = messages.decoders[messages.SavedBatch]
    key_of = signing_keys(settings.CONFIG.signing_keys_dir).key_of
    accepted = 0
    for answer in answers:
        results = decoder.decode(answer).results
        refused = next((result.refusal for result in results if result.refusal is not None), None)
        if refused is not None:
            raise Failed(f"refused: {refused}")
        receipt = check_receipt(results[-1].receipt, key_of)
        if (receipt.op_id, receipt.chain) != (results[-1].op_id, results[-1].chain):
            raise Failed("a receipt is of another write")
        accepted += len(results)
    if accepted != saves:
        raise Failed(f"of {saves} saves {accepted} were answered")


def run(writer: Any, count: int, connections: int, cpu_s: Callable[[], dict[str, float]]) -> Timing:
    """Let `connections` threads do jobs 0 to count - 1, each with what a `writer()` of its own yields.

    Timed from when all are connected until all jobs are done. Args: cpu_s: tells CPU times until now.
    Raises: Failed: a job did.
    """
    jobs = deque(range(count))
    batch_ms: list[float] = []
    errors: list[BaseException] = []
    begin, end = Barrier(connections + 1), Barrier(connections + 1)

    def work() -> None:
        try:
            with writer() as do:
                begin.wait()
                try:
                    while (number := next_of(jobs)) is not None and not errors:
                        before = perf_counter()
                        do(number)
                        batch_ms.append((perf_counter() - before) * 1000)
                finally:
                    end.wait()
        except Exception as error:  # noqa: BLE001  (of a thread: told by the one that waits for it)
            errors.append(error)
            begin.abort()

    threads = [Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        cpu_before = cpu_s()
        begin.wait(60)
        before = perf_counter()
        end.wait(600)
        seconds, cpu_after = perf_counter() - before, cpu_s()
    except BrokenBarrierError as error:
        raise Failed(f"the round did not begin or end: {errors}") from error
    finally:
        for thread in threads:
            thread.join()
    if errors:
        raise Failed(f"{type(errors[0]).__name__}: {errors[0]}") from errors[0]
    return Timing(seconds, {name: cpu_after[name] - cpu_before[name] for name in cpu_after}, batch_ms)


def next_of(jobs: deque[int]) -> int | None:
    """Take the next job; None: there is none. Safe among threads."""
    try:
        return jobs.popleft()
    except IndexError:
        return None


def main() -> None:
    """Serve commands until stdin ends."""
    worker: Worker | None = None
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("do")
        try:
            answer: dict[str, Any] = {}
            if name == "begin":
                worker = Worker(**command)
            elif worker is None:
                raise Failed("begin first")
            elif name == "web":
                worker.url_of_web = command["host"], command["port"]
                worker.others["web"] = command["pid"]
            elif name == "assign":
                worker.assign(command["worlds"])
            elif name == "save":
                answer = worker.save(**command)
            else:
                answer = worker.lease(**command)
        except (Failed, psycopg.Error) as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
