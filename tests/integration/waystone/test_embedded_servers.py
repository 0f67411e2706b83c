"""The embedded servers themselves: real, private, and not to be started twice on the same data."""

import contextlib
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection

from tests.embedded_servers import free_port, wait_until
from waystone.embedded.postgres import Postgres
from waystone.embedded.spawn import signal_group
from waystone.embedded.unprivileged import (
    EmbeddedServerError,
    Place,
    make_private_dir,
    place_servers,
    socket_dir,
)

START_SECONDS = 60.0


@pytest.mark.django_db
def test_django_talks_to_the_embedded_postgres_with_checksums():
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_checksums")
        assert cursor.fetchone() == ("on",)
        cursor.execute("SHOW server_version")
        assert cursor.fetchone()[0].startswith("18.")


def test_the_cache_is_the_embedded_valkey():
    cache.set("answer", 42)
    assert cache.get("answer") == 42


def test_a_wrong_password_is_refused():
    url = os.environ["DATABASE_URL"]
    password = urlsplit(url).password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "wrong"))


def test_the_socket_is_in_a_private_folder():
    folder = Path(parse_qs(urlsplit(os.environ["DATABASE_URL"]).query)["host"][0])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("postgres.password", "valkey.password", "valkey.conf"):
        assert stat.S_IMODE((folder.parent / name).stat().st_mode) == 0o600


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of this test alone; the folder's path is short, and open to the servers' user."""
    with tempfile.TemporaryDirectory(prefix="waystone-pg-", dir="/tmp") as folder:
        yield Postgres(place_servers(Path(folder)), free_port())


@pytest.fixture
def running(server, tmp_path):
    """The server, started; killed at the end if the test did not stop it."""
    server.prepare()
    process = server.start(tmp_path / "postgres.log")
    wait_until(server.is_ready, START_SECONDS, "postgres answers")
    yield server, process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(START_SECONDS)


def test_what_was_committed_is_there_after_kill_9(running, tmp_path):
    server, process = running
    with psycopg.connect(server.url()) as link:
        link.execute("CREATE TABLE places (name text)")
        link.execute("INSERT INTO places VALUES ('harbour')")
    process.kill()
    process.wait()
    log = tmp_path / "second.log"
    started = [server.start(log)]

    def answers() -> bool:
        if (
            started[-1].poll() is not None
        ):  # backends of the dead one still held the memory: the supervisor retries
            started.append(server.start(log))
        return server.is_ready()

    wait_until(answers, START_SECONDS, "postgres answers again")
    try:
        with psycopg.connect(server.url()) as link:
            assert link.execute("SELECT name FROM places").fetchall() == [("harbour",)]
    finally:
        started[-1].send_signal(signal.SIGINT)
        started[-1].wait(START_SECONDS)


def test_a_second_start_on_the_same_data_is_refused_and_harms_nothing(running, tmp_path):
    server, _ = running
    log = tmp_path / "second.log"
    second = Postgres(server.place, free_port(), server.options).start(log)
    assert second.wait(START_SECONDS) != 0
    assert "is another postmaster" in log.read_text().lower() or "already exists" in log.read_text()
    assert server.is_ready()


def test_an_initdb_that_was_killed_is_done_again(server):
    half_made = server.place.home / ".postgres.initdb"
    make_private_dir(half_made, server.place.user)
    (half_made / "PG_VERSION").write_text("18")
    server.prepare()
    assert (server.data_dir / "global" / "pg_control").exists()
    assert not half_made.exists()


def test_a_clean_stop_leaves_no_process(running):
    _, process = running
    process.send_signal(signal.SIGINT)
    assert process.wait(START_SECONDS) == 0
    assert not signal_group(process, 0)


def test_a_state_directory_with_a_long_path_gets_a_short_socket_path(tmp_path):
    home = tmp_path / ("deep-" * 20)
    home.mkdir()
    place = Place(home, Path("/unused"), Path("/unused"), None)
    folder = socket_dir(place)
    try:
        assert len(str(folder / ".s.PGSQL.65535")) <= 107
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(EmbeddedServerError, match="belongs to nobody"):
        make_private_dir(folder, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the servers itself")
def test_as_root_the_servers_run_as_an_unprivileged_user(running):
    _, process = running
    assert Path(f"/proc/{process.pid}").stat().st_uid != 0


def test_a_refused_row_is_not_in_the_servers_log(running, tmp_path):
    server, _ = running
    secret = "alice@example.org argon2-hash"  # noqa: S105  (stands for a row of an account)
    with psycopg.connect(server.url(), autocommit=True) as alice:
        alice.execute("CREATE TABLE people (address text PRIMARY KEY)")
        for _ in range(2):
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                psycopg.ClientCursor(alice).execute("INSERT INTO people VALUES (%s)", [secret])
    said = (tmp_path / "postgres.log").read_text()
    assert "duplicate key value violates unique constraint" in said
    assert "alice" not in said and "argon2" not in said
