"""The measured side of `manage.py benchmark saves`: a process with Django on the benchmark's database.

Lets threads with a connection each write a round of batches (saves_writes.py) by hand-written SQL, by the
services as the uplink's API calls them, or by HTTP, and checks afterwards that every head moved as it should
and every version is there. Speaks JSON lines: commands on stdin, answers on stdout.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from time import process_time
from typing import Any

import django
import msgspec
import psycopg

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection as django_connection  # noqa: E402

from characters.checking import checking  # noqa: E402  (models need django.setup first)
from characters.saves import save_batch  # noqa: E402
from characters.uplink_api import IncomingBatch  # noqa: E402
from tests.benchmark import saves_raw  # noqa: E402
from tests.benchmark.saves_cast import Cast  # noqa: E402
from tests.benchmark.saves_database import family_cpu_seconds  # noqa: E402
from tests.benchmark.saves_leases import lease  # noqa: E402
from tests.benchmark.saves_rounds import Failed, Timing, run  # noqa: E402
from tests.benchmark.saves_writes import Prepared, Writes  # noqa: E402
from worlds.signing import ensure_signing_key, signing_keys  # noqa: E402
from worlds.uplink import messages  # noqa: E402
from worlds.uplink.proof import sign_request  # noqa: E402
from worlds.uplink.receipt import check_receipt  # noqa: E402

TRIES = 10  # of one request
SAVE_PATH = "/api/v1/uplink/save/"


class Worker:
    """Worlds, playing characters, and rounds of saves."""

    def __init__(self, worlds: int, playing: int, others: dict[str, int]) -> None:
        """Args: others: processes whose CPU time is told too, by what they are."""
        ensure_signing_key(settings.CONFIG.signing_keys_dir)
        checking.prepare(settings.CONFIG.packet_path)  # as web does beside its first requests
        self.url = os.environ["DATABASE_URL"]
        self.cast = Cast(worlds, playing)
        self._writes = Writes(self.cast)
        self.url_of_web: tuple[str, int] | None = None
        self.others = others

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of this process and of the others until now."""
        return {"client": process_time()} | {
            name: family_cpu_seconds(pid) for name, pid in self.others.items()
        }

    def save(
        self, way: str, size_bytes: int, batch: int, batches: int, connections: int, has_found: bool
    ) -> dict[str, Any]:
        """Run one round of saves and check it."""
        prepared = self._writes.prepare(size_bytes, batch, batches, has_found)
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
        keys = {world.pk: key for world, key in zip(self.cast.worlds, self.cast.keys, strict=True)}
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
                worker.cast.assign(**command)
            elif name == "save":
                answer = worker.save(**command)
            else:
                answer = lease(worker.cast, url=worker.url, cpu_s=worker.cpu_s, **command)
        except (Failed, psycopg.Error) as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
