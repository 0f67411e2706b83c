"""WAL archiving and a point-in-time restore, on an embedded PostgreSQL of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest
from django.utils import timezone

from tests.embedded_servers import free_port, wait_until
from waystone.backups import wal, wal_restoring
from waystone.backups.database import Database, database_of_url, own_database
from waystone.backups.dumping import dump, load
from waystone.backups.errors import BackupError
from waystone.backups.keeping import new_job
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import place_servers

pytestmark = pytest.mark.django_db(transaction=True)
DEADLINE_S = 120.0


def quietly(what: str, done: float) -> None:
    """Tell nobody."""


@dataclass
class Own:
    """A PostgreSQL of this test, started and stopped by it."""

    server: Postgres
    folder: Path  # of the archive
    process: Popen[bytes] | None = None

    @property
    def database(self) -> Database:
        return database_of_url(self.server.url())

    def start(self) -> None:
        self.process = self.server.start(self.server.place.home / "postgres.log")
        wait_until(self.server.is_ready, DEADLINE_S, "PostgreSQL answers")

    def stop(self) -> None:
        if self.process is not None:
            wal_restoring.stop(self.process)

    def run(self, query: str) -> list[tuple]:
        with self.database.connect(autocommit=True) as opened:
            found = opened.execute(query)
            return found.fetchall() if found.description else []


@pytest.fixture
def own() -> Iterator[Own]:
    state = Path(tempfile.mkdtemp(prefix="waystone-wal-", dir="/tmp"))
    server = Postgres(place_servers(state), free_port(), {"fsync": "off"})
    server.prepare()
    folder = state / "another disk"
    folder.mkdir(mode=0o755)
    made = Own(server, folder)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(state)


def test_the_database_goes_back_to_an_instant(own, backups, played, tmp_path):
    job = new_job(backups(), own_database(), quietly)
    part, census = dump(own_database(), tmp_path / "played.dump", job)
    load(tmp_path / part.name, own.database, job, census)
    assert not wal.archiver(own.database).is_on and wal.archive_folder(own.database) is None

    assert wal.set_up(own.database, own.server, own.folder, 60)
    own.stop()
    own.start()
    assert wal.archiver(own.database).is_on and wal.archive_folder(own.database) == own.folder
    assert not wal.set_up(own.database, own.server, own.folder, 60)
    base = wal.base_backup(own.database, own.server, own.folder, job, timezone.now())
    assert wal.bases(own.folder) == [base]
    needed = wal.needed_from(base)
    assert all(name[:24] < needed for name in wal.forget_old(own.folder))

    own.run("CREATE TABLE deeds AS SELECT 'a good one' AS deed")
    instant = own.run("SELECT clock_timestamp()")[0][0]
    own.run("DROP TABLE characters_version CASCADE")  # Mallory at work
    own.run("INSERT INTO deeds VALUES ('a bad one')")
    own.run("SELECT pg_switch_wal()")
    archived = wal.archiver(own.database).archived
    wait_until(
        lambda: wal.archiver(own.database).archived > archived or _is_quiet(own), DEADLINE_S, "archived"
    )

    with pytest.raises(BackupError, match="PostgreSQL is running"):
        wal_restoring.restore(own.server, own.folder, instant, timezone.now(), quietly, is_master=False)
    own.stop()
    used, kept = wal_restoring.restore(
        own.server, own.folder, instant, timezone.now(), quietly, is_master=False
    )
    assert used == base and kept is not None and kept.is_dir()
    assert (own.folder / "wal" / "00000002.history.gz").exists()  # or a second restore would be number 2, too
    own.start()
    assert own.run("SELECT deed FROM deeds") == [("a good one",)]
    assert own.run("SELECT count(*) FROM characters_version") == [(2,)]


def _is_quiet(own: Own) -> bool:
    """Whether the last piece is there: what is being written to now begins after it."""
    last = own.run("SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0]
    names = sorted(path.name[:24] for path in (own.folder / "wal").glob("0*.gz") if len(path.name) == 27)
    return bool(names) and int(names[-1], 16) >= int(last, 16) - 1


def test_a_folder_that_is_gone_is_refused_and_an_archive_that_fails_is_told(own):
    with pytest.raises(BackupError, match="Mount it"):
        wal.set_up(own.database, own.server, own.folder / "nowhere", 60)
    with pytest.raises(BackupError, match="no base backup"):
        (own.folder / "base").mkdir()
        wal_restoring.choose_base(own.folder, None)
    wal.set_up(own.database, own.server, own.folder, 60)
    own.stop()
    own.start()
    (own.folder / "wal").rename(own.folder / "unmounted")
    own.run("CREATE TABLE a AS SELECT 1")
    own.run("SELECT pg_switch_wal()")
    wait_until(lambda: wal.archiver(own.database).failing, DEADLINE_S, "PostgreSQL says that it fails")
    (own.folder / "unmounted").rename(own.folder / "wal")
    wait_until(lambda: not wal.archiver(own.database).failing, DEADLINE_S, "nothing was lost: it goes on")
    wal.switch_off(own.database)
    assert not wal.archiver(own.database).is_on
