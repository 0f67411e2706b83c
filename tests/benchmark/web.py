"""`manage.py benchmark web`: the site and REST on a large database, beside what limits them, in one run.

A PostgreSQL of its own is filled (web_fill.py), the web process is started on it as the product starts it,
and asked over kept connections. "Per core" is requests for each second of CPU that the web process used,
its workers with it: so what else the machine does changes little. Beside the product: an empty WSGI
application in the same server, and the bare password hash.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher

from tests.benchmark.asked_process import ROOT
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.saves_database import FILLING, Database, family_cpu_seconds
from tests.benchmark.web_fill import PASSWORD
from tests.benchmark.web_load import Link, Tally, load, request_bytes
from tests.embedded_servers import free_port
from waystone.processes import WEB_THREADS

__all__ = ["CannotMeasure", "Setting", "measure"]
START_S = 120.0
TICKETS_EACH = 20  # of one account: less than an account may have waiting
PAGES = (
    "/",
    "/worlds/",
    "/worlds/?search=world+77",
    "/worlds/lanternrest/",
    "/how-to-play/",
    "/premium/",
    "/status/",
)
OWN_PAGES = ("/characters/", "/account/")
Result = dict[str, Any]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """How much there is, and how long each case is asked."""

    worlds: int = 10_000
    characters: int = 1_000_000
    people: int = 60  # who log in
    seconds: float = 4.0
    links: int = 8
    folder: Path | None = None  # keep the filled database here, and use it again


class Web:
    """A web server's process."""

    def __init__(self, application: str, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self._log = log
        argv = [
            *(sys.executable, "-m", "granian", application, "--interface", "wsgi", "--no-ws"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--blocking-threads", str(WEB_THREADS)),
        ]
        with log.open("w") as output:
            self._process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=output, stderr=output)

    def wait(self, path: str) -> None:
        """Wait until it answers. Raises: CannotMeasure."""
        end = monotonic() + START_S
        while monotonic() < end and self._process.poll() is None:
            try:
                link = Link(self.port)
                try:
                    if link.ask(request_bytes(path))[0] == 200:
                        return
                finally:
                    link.close()
            except OSError:
                sleep(0.1)
        raise CannotMeasure(f"The web process does not answer: {self._log.read_text()[-2000:]}")

    def cpu_seconds(self) -> float:
        """Return the CPU time that it and its workers have used."""
        return family_cpu_seconds(self._process.pid)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def measure(setting: Setting, tell: Tell) -> Iterator[Result]:
    """Measure all cases, one result for each.

    Raises: CannotMeasure.
    """
    with _folder(setting) as folder:
        database = Database(folder)
        people = _prepare(database, setting, folder, tell)
        database.start()
        try:
            yield from _measure(database, setting, people, folder, tell)
        finally:
            database.stop()


@contextmanager
def _folder(setting: Setting) -> Iterator[Path]:
    if setting.folder is not None:
        setting.folder.mkdir(parents=True, exist_ok=True)
        yield setting.folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="waystone-web-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _prepare(database: Database, setting: Setting, folder: Path, tell: Tell) -> dict[str, Any]:
    """Fill the database, unless the folder has it. Returns: who may log in. It is stopped then."""
    note = folder / "people.json"
    wanted = [setting.worlds, setting.characters, setting.people]
    if note.exists() and (kept := json.loads(note.read_text()))["size"] == wanted:
        return kept
    tell(f"filling a database with {setting.worlds} worlds and {setting.characters} characters")
    database.start(FILLING)
    try:
        database.migrate()
        argv = [sys.executable, "-m", "tests.benchmark.web_fill", *map(str, wanted)]
        done = subprocess.run(
            argv, env=_environment(database, folder), cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CannotMeasure(f"The database could not be filled: {done.stderr[-3000:]}")
    finally:
        database.stop()
    people = {**json.loads(done.stdout.splitlines()[-1]), "size": wanted}
    note.write_text(json.dumps(people))
    return people


def _environment(database: Database, folder: Path) -> dict[str, str]:
    own = {
        "WAYSTONE_MAIL_DIR": str(folder / "mail"),
        "WAYSTONE_PUBLIC_URL": "http://127.0.0.1:8000",  # a local site: nobody is slowed down by limits
        "WAYSTONE_NO_BOOTSTRAP": "1",
        "WAYSTONE_LOG_FORMAT": "json",
    }
    return {**database.environment, **own}


def _measure(
    database: Database, setting: Setting, people: dict[str, Any], folder: Path, tell: Tell
) -> Iterator[Result]:
    environment = _environment(database, folder)
    for command in (["collectstatic", "--noinput", "--verbosity", "0"], ["signingkey", "--new"]):
        tell(f"manage.py {command[0]}")
        argv = [sys.executable, "-m", "django", *command]
        done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotMeasure(f"{command[0]} failed: {done.stderr[-2000:]}")
    tell("an empty application in the same server")
    hello = Web("tests.benchmark.web_hello:application", environment, folder / "hello.log")
    try:
        hello.wait("/")
        limit = _case(hello, "hello", [request_bytes("/")], setting)
    finally:
        hello.stop()
    yield limit
    web = Web("waystone.wsgi:application", environment, folder / "web.log")
    try:
        web.wait("/healthz")
        yield from _lists(web, setting, limit, tell)
        yield from _log_ins(web, setting, people, tell)
    finally:
        web.stop()


def _lists(web: Web, setting: Setting, limit: Result, tell: Tell) -> Iterator[Result]:
    """The public list: kept bytes, 304, and pages that are made anew each time."""
    page = "/api/v1/worlds/?page_size=50"
    link = Link(web.port)
    etag = link.ask(request_bytes(page))[1]["etag"]
    link.close()
    last = max(1, setting.worlds // 50)
    cases = {
        "world list, kept": [request_bytes(page)],
        "world list, 304": [request_bytes(page, If_None_Match=etag)],
        "world list, another page each time": [
            request_bytes(f"/api/v1/worlds/?page_size=50&page={1 + number * 7 % last}&order={order}")
            for number in range(400)
            for order in ("name", "age", "-players")
        ],
        "one world": [request_bytes("/api/v1/worlds/lanternrest/")],
    }
    for name, requests in cases.items():
        tell(name)
        result = _case(web, name, requests, setting)
        yield {**result, "share_of_hello": round(result["per_core"] / limit["per_core"], 3)}
    for path in PAGES:
        tell(path)
        yield _case(web, f"page {path}", [request_bytes(path)], setting)


def _log_ins(web: Web, setting: Setting, people: dict[str, Any], tell: Tell) -> Iterator[Result]:
    """Log-ins beside the bare hash; then tickets and own pages with the sessions."""
    tell("the bare password hash")
    bare = _bare_hashes(setting.seconds)
    tokens: list[str] = []
    bodies = [
        json.dumps({"email": email, "password": people["password"]}).encode() for email in people["emails"]
    ]
    requests = [request_bytes("/api/v1/sessions/", method="POST", body=body) for body in bodies]
    tell("log-ins")
    result = _case(
        web, "log-in", requests, setting, links=2, seconds=120.0, most=len(requests), is_alone=False,
        seen=lambda body: tokens.append(json.loads(body).get("token", "")),
    )  # fmt: skip
    yield {
        **result,
        "bare_hashes_per_core": round(bare, 2),
        "share_of_hash": round(result["per_core"] / bare, 3),
    }
    tell("tickets")
    path = f"/api/v1/worlds/{people['slug']}/tickets/"
    requests = [
        request_bytes(path, method="POST", X_Session_Token=token)
        for _ in range(TICKETS_EACH)
        for token in tokens
    ]
    yield _case(web, "ticket", requests, setting, most=len(requests), is_alone=False)
    for path in OWN_PAGES:
        tell(path)
        requests = [request_bytes(path, Cookie=f"sessionid={token}") for token in tokens]
        yield _case(web, f"page {path}", requests, setting)


def _bare_hashes(seconds: float) -> float:
    """Return how many password checks a second of CPU is good for, threads of the hash counted."""
    hasher = Argon2PasswordHasher()
    encoded = hasher.encode(PASSWORD, hasher.salt())
    began, used, count = monotonic(), process_time(), 0
    while monotonic() - began < seconds:
        hasher.verify(PASSWORD, encoded)
        count += 1
    return count / (process_time() - used)


def _case(
    web: Web,
    name: str,
    requests: Sequence[bytes],
    setting: Setting,
    *,
    links: int | None = None,
    seconds: float | None = None,
    most: int | None = None,
    is_alone: bool = True,
    seen: Callable[[bytes], None] | None = None,
) -> Result:
    """Ask, under load and (is_alone) by one connection alone, whose times are the server's own.

    Raises: CannotMeasure: an answer was none of 2xx and 304.
    """
    alone = load(web.port, requests, links=1, seconds=setting.seconds / 2) if is_alone else None
    before = web.cpu_seconds()
    under = load(
        web.port,
        requests,
        links=links or setting.links,
        seconds=seconds or setting.seconds,
        most=most,
        seen=seen,
    )
    cpu_s = max(web.cpu_seconds() - before, 1e-3)
    for tally in (alone, under):
        if tally is not None:
            _check(name, tally)
    result = {
        "name": name,
        "n": under.done,
        "per_core": round(under.done / cpu_s, 1),
        "per_s": round(under.done / under.wall_s, 1),
        "loaded_p50_ms": under.percentile(50),
        "loaded_p95_ms": under.percentile(95),
        "bytes": under.largest,
    }
    if alone is not None:
        result |= {"p50_ms": alone.percentile(50), "p95_ms": alone.percentile(95)}
    return result


def _check(name: str, tally: Tally) -> None:
    wrong = {status: n for status, n in tally.statuses.items() if not (200 <= status < 300 or status == 304)}
    if wrong or not tally.done:
        raise CannotMeasure(f"{name}: answers were {wrong or 'none'}, so its figures would mean nothing.")
