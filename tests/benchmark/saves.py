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
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import monotonic
from typing import Any

import httpx
import numpy as np

from tests.benchmark import saves_raw
from tests.benchmark.asked_process import AskedProcess
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.saves_database import FILLING, Database
from tests.benchmark.saves_fill import Filling, fitting
from tests.benchmark.saves_partitions import compare_partitions
from tests.embedded_servers import free_port, wait_until
from waystone.config import ROOT, Config
from waystone.processes import WEB_THREADS, web_argv

GOAL = 0.8  # of raw PostgreSQL, durable saves of 8 KB
SIZES = (2048, 8192)
WORLDS = (1, 8, 64)
BEGIN_S = 120.0
Result = dict[str, Any]
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
    def http_case(self) -> tuple[int, int]:
        """Size and worlds of the case that goes over HTTP: the largest size, the middle number of worlds."""
        return max(self.sizes), sorted(self.worlds)[len(self.worlds) // 2]


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
            for size in setting.sizes:
                for worlds in setting.worlds:
                    worker.do("assign", worlds=worlds)
                    yield _saves(worker, setting, size, worlds, ("services",), tell)
            size, worlds = setting.http_case
            worker.do("assign", worlds=worlds)
            with web(database, tell) as (host, port, pid):
                worker.do("web", host=host, port=port, pid=pid)
                yield _saves(worker, setting, size, worlds, ("services", "http"), tell)
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


def _saves(
    worker: Worker, setting: Setting, size: int, worlds: int, ways: Sequence[str], tell: Tell
) -> Result:
    """Measure one size of documents at one number of worlds; the last way is the one that is judged."""
    connections = connections_of(worlds)
    name = f"{size // 1024} KB, {worlds} worlds{', HTTP' if 'http' in ways else ''}"

    def one(way: str) -> Result:
        return worker.do(
            "save",
            way=way,
            size_bytes=size,
            batch=setting.batch,
            batches=max(setting.saves // setting.batch, 1),
            connections=connections,
        )

    tell(f"{name}: which raw way is the fastest")
    tried = {way: per_second(one(way)) for way in saves_raw.WAYS}
    fastest = max(tried, key=tried.__getitem__)
    one(ways[-1])  # warmed up like the raw way
    rounds = alternating([fastest, *ways], setting.rounds, one, lambda text: tell(f"{name}: {text}"))
    return {
        "test": "saves",
        "name": f"waystone-saves {name}",
        "bytes": size,
        "worlds": worlds,
        "connections": connections,
        "batch": setting.batch,
        "raw_way": fastest,
        "raw_ways_per_s": {way: round(rate) for way, rate in tried.items()},
        **compared(rounds, fastest, ways[-1]),
        **({"http_to_services": ratio(rounds, "services", "http")} if "http" in ways else {}),
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


def alternating(
    ways: Sequence[str], rounds: int, one: Callable[[str], Result], tell: Tell
) -> dict[str, list[Result]]:
    """Run each way once a round, each time another one first."""
    found: dict[str, list[Result]] = {way: [] for way in ways}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        first = number % len(ways)
        for way in [*ways[first:], *ways[:first]]:
            found[way].append(one(way))
    return found


def per_second(timing: Result) -> float:
    """Return how many saves a second a round made."""
    return timing["saves"] / timing["seconds"]


def ratio(rounds: dict[str, list[Result]], base: str, way: str) -> float:
    """Return the median, over the rounds, of one way's speed against the base's in the same round."""
    pairs = zip(rounds[way], rounds[base], strict=True)
    return round(median(per_second(ours) / per_second(theirs) for ours, theirs in pairs), 3)


def compared(rounds: dict[str, list[Result]], raw: str, ours: str) -> Result:
    """Return the figures of both, and what they are to each other."""
    raw_figures, our_figures = figures(rounds[raw]), figures(rounds[ours])
    found = ratio(rounds, raw, ours)
    return {
        "way": ours,
        "rounds": len(rounds[ours]),
        "per_s": our_figures["per_s"],
        "raw_per_s": raw_figures["per_s"],
        "ratio": found,
        "cpu_ratio": cpu_ratio(raw_figures, our_figures),
        "ok": found >= GOAL,
        "ours": our_figures,
        "raw": raw_figures,
    }


def cpu_ratio(raw: Result, ours: Result) -> float:
    """Return the CPU time of a save by hand against ours, of all processes: other work hardly touches it."""
    theirs, mine = (sum(side["cpu_us_each"].values()) for side in (raw, ours))
    return round(theirs / mine, 3)


def figures(timings: Sequence[Result]) -> Result:
    """Return the median rate, times of batches, and CPU time by who used it."""
    times = np.concatenate([timing["batch_ms"] for timing in timings])
    saves = sum(timing["saves"] for timing in timings)
    cpu = {
        name: round(sum(timing["cpu_s"][name] for timing in timings) / saves * 1e6, 1)
        for name in timings[0]["cpu_s"]
    }
    return {
        "per_s": round(median(map(per_second, timings))),
        "per_s_best": round(max(map(per_second, timings))),
        "batch_ms": {f"p{p}": round(float(np.percentile(times, p)), 2) for p in (50, 99)},
        "cpu_us_each": cpu,
    }


# ---------------------------------------------------------------- web


@contextmanager
def web(database: Database, tell: Tell) -> Iterator[tuple[str, int, int]]:
    """Yield host, port and process of the product's web server on this database."""
    tell("starting the web server")
    port = free_port()
    environment = {**database.environment, "WAYSTONE_WEB_PORT": str(port)}
    address = "127.0.0.1"
    argv = web_argv(replace(Config.load(), bind=address, web_port=port, web_workers=1))
    with (database.folder / "web.log").open("w") as log:
        process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until(
            lambda: process.poll() is not None or _answers(address, port), BEGIN_S, "the web server answers"
        )
        if process.poll() is not None:
            said = (database.folder / "web.log").read_text()
            raise CannotMeasure(f"The web server ended: {said[-2000:]}")
        yield address, port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(host: str, port: int) -> bool:
    try:
        httpx.get(f"http://{host}:{port}/.well-known/jwks.json", timeout=5).raise_for_status()
    except httpx.HTTPError:
        return False
    return True
