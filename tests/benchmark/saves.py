"""Durable saves and leases against raw PostgreSQL, in one run. For `manage.py benchmark saves`.

A PostgreSQL of its own, as the product starts it (fsync on), filled with characters and versions in bulk.
For each case rounds of the same number of saves alternate: hand-written SQL (saves_raw.py, the fastest of its
ways) and the repository's services, called as the uplink's API calls them, from the request's bytes to the
answer's. One case goes over HTTP too, through the product's web server. Figures are wall time; the ratio is
the median of the ratios of neighbouring rounds, so that what else the machine does touches both alike.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic
from typing import Any

import httpx

from tests.benchmark import saves_raw
from tests.benchmark.asked_process import AskedProcess
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.saves_database import FILLING, Database
from tests.benchmark.saves_fill import Filling, fitting
from tests.benchmark.saves_partitions import compare_partitions
from tests.benchmark.saves_results import Result, alternating, compared, fastest_of, ratio
from tests.embedded_servers import free_port, wait_until
from waystone.config import ROOT, Config
from waystone.processes import WEB_THREADS, web_argv

SIZES = (2048, 8192)
WORLDS = (1, 8, 64)
SLOW = 4  # a round of saves that change things has a fourth of the others' saves: they take so long
TRIALS = 3  # of each way by hand, before the fastest is chosen: one round is chance
BEGIN_S = 120.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """What is measured. `rounds` of each way and case; `saves` in a round, in batches of `batch`."""

    characters: int = 100_000
    versions: int = 1_000_000
    playing: int = 20_000
    rounds: int = 7
    saves: int = 6_400
    batch: int = 50
    leases: int = 1_000  # acquired and released in a round
    folder: Path | None = None  # kept, and used again; None: a new one that is removed
    sizes: Sequence[int] = SIZES
    worlds: Sequence[int] = WORLDS
    has_partitions: bool = False  # measure them too

    @property
    def cases(self) -> list["Case"]:
        """What is measured of saves: first what the goal is about."""
        size, worlds = self.http_case
        return [
            *(Case(size, worlds) for size in self.sizes for worlds in self.worlds),
            Case(size, worlds, is_http=True),
            Case(size, worlds, tier="verified"),
            Case(size, worlds, has_found=True),
        ]

    @property
    def http_case(self) -> tuple[int, int]:
        """Size and worlds of the case that goes over HTTP: the largest size, the middle number of worlds."""
        return max(self.sizes), sorted(self.worlds)[len(self.worlds) // 2]


@dataclass(frozen=True)
class Case:
    """Saves of one kind. Those by hand are the same in all: no budgets, no rows of things.

    `tier`: of the worlds; `has_found`: each save takes a thing from its line and gives it another.
    """

    size_bytes: int
    worlds: int
    tier: str = "official"
    has_found: bool = False
    is_http: bool = False

    @property
    def name(self) -> str:
        """What it is called in the results."""
        more = [
            *([f"{self.tier} worlds"] if self.tier != "official" else []),
            *(["things change"] if self.has_found else []),
            *(["HTTP"] if self.is_http else []),
        ]
        return ", ".join([f"{self.size_bytes // 1024} KB", f"{self.worlds} worlds", *more])

    @property
    def ways(self) -> tuple[str, ...]:
        """Ours; the last one is judged."""
        return ("services", "http") if self.is_http else ("services",)

    @property
    def is_judged(self) -> bool:
        """Whether the goal is about these: others do more than what is done by hand."""
        return self.tier == "official" and not self.has_found


def connections_of(worlds: int) -> int:
    """Return how many connections write: two batches of a world at once, the web server's threads at most."""
    return min(2 * worlds, WEB_THREADS)


class Worker(AskedProcess):
    """The process that writes, see saves_worker.py."""

    def __init__(self, database: Database) -> None:
        log = database.folder / "worker.log"
        super().__init__("worker", ["tests.benchmark.saves_worker"], database.environment, log)

    def do(self, name: str, **details: Any) -> dict[str, Any]:
        """Let it do something and return its answer.

        Raises: CannotMeasure: the worker failed, or ended.
        """
        answer = self.ask(json.dumps({"do": name, **details}))
        if "failed" in answer:
            raise CannotMeasure(f"A round failed: {answer['failed']}")
        return answer


# ---------------------------------------------------------------- the filled database


@contextmanager
def filled(
    setting: Setting, tell: Tell, progress: Callable[[int], None]
) -> Iterator[tuple[Database, Result]]:
    """Yield a running database with characters and versions, and what it took to fill it.

    Raises: CannotMeasure: no binaries, not enough disk, or the folder holds something else.
    """
    # /tmp by name: a Unix socket's path is short.
    folder = setting.folder or Path(mkdtemp(prefix="waystone-benchmark-", dir="/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "filled.json"
    result = json.loads(note.read_text()) if note.exists() else None
    wanted = [setting.characters, setting.versions]
    if result is not None and result["wanted"] != wanted:
        raise CannotMeasure(f"{folder} was filled for {result['wanted']}, not {wanted}: name another folder.")
    database = Database(folder)
    try:
        if result is None:
            result = fill(database, setting, tell, progress)
            note.write_text(json.dumps(result))
        tell("starting PostgreSQL")
        database.start()
        database.migrate()  # a folder that is used again may be older than the newest migration
        yield database, result
    finally:
        tell("stopping PostgreSQL")
        if setting.folder is None:
            database.remove()
        else:
            database.stop()


def fill(database: Database, setting: Setting, tell: Tell, progress: Callable[[int], None]) -> Result:
    """Fill the database, which does not run, and stop it again; return what that took."""
    size = fitting(setting.characters, setting.versions, shutil.disk_usage(database.folder).free)
    began = monotonic()
    database.start(FILLING)
    tell("making the tables")
    database.migrate()
    tell(f"filling, states of {size.state_bytes} bytes")

    def told(versions: int) -> None:
        progress(versions)
        if versions >= size.versions:
            tell("making the indexes")

    with database.connect() as connection:
        Filling(connection, size, told).run()
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    tell("writing to disk")
    database.stop()
    os.sync()  # or the rounds would pay for it
    assert row is not None
    return {
        "test": "saves",
        "name": f"waystone-saves-fill {size.characters}",
        **asdict(size),
        "wanted": [setting.characters, setting.versions],
        "database_mb": round(row[0] / 1e6, 1),
        "fill_s": round(monotonic() - began, 1),
    }


# ---------------------------------------------------------------- cases


def measure(
    setting: Setting, tell: Tell = lambda _: None, progress: Callable[[int], None] = lambda _: None
) -> Iterator[Result]:
    """Fill, then yield the result of each case.

    Args: tell: is told what is done now; progress: how many versions are filled in.
    Raises: CannotMeasure.
    """
    check_setting(setting)
    with filled(setting, tell, progress) as (database, result):
        yield result
        worker = Worker(database)
        try:
            others = {"database": database.pid}
            worker.do("begin", worlds=max(setting.worlds), playing=setting.playing, others=others)
            for case in setting.cases:
                worker.do("assign", count=case.worlds, tier=case.tier)
                with web(database, tell) if case.is_http else nullcontext() as served:
                    if served is not None:
                        worker.do("web", **served)
                    yield _saves(worker, setting, case, tell)
            for connections in sorted({connections_of(worlds) for worlds in setting.worlds}):
                yield _leases(worker, setting, connections, tell)
        finally:
            worker.stop()
        if setting.has_partitions:
            yield from compare_partitions(database, setting.rounds, tell)


def check_setting(setting: Setting) -> None:
    """Make sure that a round is possible: nobody's line may be in it twice.

    Raises: CannotMeasure.
    """
    each = setting.playing // max(setting.worlds)
    batches = -(-setting.saves // setting.batch // max(setting.worlds))
    if setting.playing > setting.characters:
        raise CannotMeasure("More characters are to play than there are.")
    if batches * setting.batch > each:
        raise CannotMeasure("A line may be in a round only once: choose fewer saves, or more that play.")


def _saves(worker: Worker, setting: Setting, case: Case, tell: Tell) -> Result:
    """Measure a case."""
    connections = connections_of(case.worlds)

    def one(way: str) -> Result:
        return worker.do(
            "save",
            way=way,
            size_bytes=case.size_bytes,
            batch=setting.batch,
            batches=max(setting.saves // setting.batch // (SLOW if case.has_found else 1), 1),
            connections=connections,
            has_found=case.has_found,
        )

    by_hand = list(saves_raw.WAYS)
    tried = alternating(by_hand, TRIALS, one, lambda text: tell(f"{case.name}, by hand: {text}"))
    fastest, rates = fastest_of(tried)
    one(case.ways[-1])  # warmed up like the raw way
    ways = [fastest, *case.ways]
    rounds = alternating(ways, setting.rounds, one, lambda text: tell(f"{case.name}: {text}"))
    return {
        "test": "saves",
        "name": f"waystone-saves {case.name}",
        "bytes": case.size_bytes,
        "worlds": case.worlds,
        "connections": connections,
        "batch": setting.batch,
        "raw_way": fastest,
        "raw_ways_per_s": rates,
        **compared(rounds, fastest, case.ways[-1], is_judged=case.is_judged),
        **({"http_to_services": ratio(rounds, "services", "http")} if case.is_http else {}),
    }


def _leases(worker: Worker, setting: Setting, connections: int, tell: Tell) -> Result:
    """Measure acquire and release, a pair each."""
    name = f"acquire and release, {connections} connections"

    def one(way: str) -> Result:
        return worker.do("lease", way=way, count=setting.leases, connections=connections)

    rounds = alternating(["raw", "services"], setting.rounds, one, lambda text: tell(f"{name}: {text}"))
    return {
        "test": "leases",
        "name": f"waystone-leases {connections} connections",
        "connections": connections,
        **compared(rounds, "raw", "services"),
    }


# ---------------------------------------------------------------- web


@contextmanager
def web(database: Database, tell: Tell) -> Iterator[Result]:
    """Yield host, port and process of the product's web server on this database."""
    tell("starting the web server")
    port = free_port()
    environment = {**database.environment, "WAYSTONE_WEB_PORT": str(port)}
    address = "127.0.0.1"
    argv = web_argv(replace(Config.load(), bind=address, web_port=port, web_workers=1))
    log_file = database.folder / "web.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until(
            lambda: process.poll() is not None or (_answers(address, port) and _is_ready(log_file)),
            BEGIN_S,
            "the web server answers, and has chosen how to check documents",
        )
        if process.poll() is not None:
            said = log_file.read_text()
            raise CannotMeasure(f"The web server ended: {said[-2000:]}")
        yield {"host": address, "port": port, "pid": process.pid}
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(log_file: Path) -> bool:
    """Return whether web has its check of documents: before, it serves all the same, but slower."""
    return "document_check_chosen" in log_file.read_text()


def _answers(host: str, port: int) -> bool:
    try:
        httpx.get(f"http://{host}:{port}/.well-known/jwks.json", timeout=5).raise_for_status()
    except httpx.HTTPError:
        return False
    return True
