"""WAL archiving and a point-in-time restore, on an embedded PostgreSQL of its own."""

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from subprocess import Popen

import pytest
from django.utils import timezone

from tests.embedded_servers import free_port, wait_until
from waystone.backups import wal, wal_bases, wal_keeping, wal_restoring
from waystone.backups.database import Database, database_of_url, own_database
from waystone.backups.dumping import dump, load
from waystone.backups.errors import BackupError, NoRoom, NotWhole
from waystone.backups.keeping import new_job
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import place_servers
from worlds.models import Alarm

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
    base = wal_bases.base_backup(own.database, own.server, own.folder, job, timezone.now())
    assert wal_bases.bases(own.folder) == [base]
    needed = wal_bases.needed_from(base)
    assert all(name[:24] < needed for name in wal_bases.forget_old(own.folder))

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
    made = wal_restoring.restore(own.server, own.folder, instant, timezone.now(), quietly, is_master=False)
    assert made.base == base and made.kept is not None and made.kept.is_dir()
    assert made.newest is not None and made.newest < instant
    assert (own.folder / "wal" / "00000002.history.gz").exists()  # or a second restore would be number 2, too
    own.start()
    assert own.run("SELECT deed FROM deeds") == [("a good one",)]
    assert own.run("SELECT count(*) FROM characters_version") == [(2,)]


def _is_quiet(own: Own) -> bool:
    """Whether the last piece is there: what is being written to now begins after it."""
    last = own.run("SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0]
    names = sorted(path.name[:24] for path in (own.folder / "wal").glob("0*.gz") if len(path.name) == 27)
    return bool(names) and int(names[-1], 16) >= int(last, 16) - 1


def test_a_piece_that_was_lost_is_noticed_before_anybody_needs_it(
    own: Own, backups, played, tmp_path, monkeypatch
) -> None:
    job = new_job(backups(), own_database(), quietly)
    part, census = dump(own_database(), tmp_path / "played.dump", job)
    load(tmp_path / part.name, own.database, job, census)
    wal.set_up(own.database, own.server, own.folder, 60)
    own.stop()
    own.start()
    base = wal_bases.base_backup(own.database, own.server, own.folder, job, timezone.now())
    own.run("CREATE TABLE deeds (deed text)")
    for deed in ("kept", "lost", "lost, too"):
        own.run(f"INSERT INTO deeds VALUES ('{deed}')")
        before = own.run("SELECT pg_walfile_name(pg_switch_wal())")[0][0]
        if deed == "lost":
            lost = own.folder / "wal" / f"{before}.gz"
    wait_until((own.folder / "wal" / f"{before}.gz").exists, DEADLINE_S, "archived")
    assert wal_bases.gap_after(base) is None
    lost.unlink()

    monkeypatch.setattr(wal_keeping, "own_database", lambda: own.database)
    monkeypatch.setattr(wal_keeping, "embedded_server", lambda: own.server)
    later = timezone.now() + timedelta(seconds=5)
    wal_keeping.look_after_wal(backups(), later)
    alarm = Alarm.objects.get(key=wal_keeping.ALARM, ended_at__isnull=True)
    assert f"{lost.name[:24]} is missing" in alarm.text
    assert len(wal_bases.bases(own.folder)) == 2
    wal_keeping.look_after_wal(backups(), later)
    assert not Alarm.objects.filter(key=wal_keeping.ALARM, ended_at__isnull=True).exists()
    shutil.rmtree(wal_bases.bases(own.folder)[-1])

    own.stop()
    go_back = partial(
        wal_restoring.restore, own.server, own.folder, None, timezone.now(), quietly, is_master=False
    )
    with pytest.raises(BackupError, match=f"{lost.name[:24]} is missing"):
        go_back()
    made = go_back(may_end_early=True)
    own.start()
    assert own.run("SELECT deed FROM deeds") == [("kept",)] and made.newest is not None


def test_a_damaged_base_backup_is_refused_whatever_is_wrong_with_it(own: Own, backups) -> None:
    job = new_job(backups(), own_database(), quietly)
    wal.set_up(own.database, own.server, own.folder, 60)
    base = wal_bases.base_backup(own.database, own.server, own.folder, job, timezone.now())
    whole = {path.name: path.read_bytes() for path in base.iterdir()}
    assert wal_bases.unpacked_bytes(base) > 10_000_000
    wal_bases.verify(base, job.tools)
    for name, content in (
        ("base.tar.gz", whole["base.tar.gz"][:-100_000]),
        ("base.tar.gz", b"nonsense"),
        ("base.tar.gz", gzip.compress(b"")),
        ("backup_manifest", b"{}"),
        ("backup_manifest", whole["backup_manifest"].replace(b'"Size": ', b'"Size": 1', 1)),
    ):
        (base / name).write_bytes(content)
        with pytest.raises(NotWhole, match="is damaged"):
            wal_bases.verify(base, job.tools)
        (base / name).write_bytes(whole[name])
    for damaged in (b"nonsense", gzip.compress(b"nonsense"), whole["base.tar.gz"][:200], b""):
        (base / "base.tar.gz").write_bytes(damaged)
        with pytest.raises(NotWhole):
            wal_bases.needed_from(base)
    assert (
        wal_bases.forget_old(own.folder) == []
    )  # what no restore begins with needs nothing, and is no reason to fail
    (base / "backup_manifest").write_bytes(b"[]")
    with pytest.raises(NotWhole):
        wal_bases.unpacked_bytes(base)


def test_what_hangs_is_told_though_nothing_fails() -> None:
    wal_keeping.check_archiver(wal.Archiver(True, 5, False, "", 890.0))
    with pytest.raises(BackupError, match="waited for 15 minutes"):
        wal_keeping.check_archiver(wal.Archiver(True, 5, False, "", 901.0))


def test_without_room_nothing_is_begun(own: Own, backups, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1000))
    job = new_job(backups(), own_database(), quietly)
    wal.set_up(own.database, own.server, own.folder, 60)
    with pytest.raises(NoRoom, match="1,000 are free"):
        wal_bases.base_backup(own.database, own.server, own.folder, job, timezone.now())
    assert wal_bases.bases(own.folder) == [] and not list((own.folder / "base").iterdir())


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
    assert wal.archiver(own.database).waits_s > 0
    (own.folder / "unmounted").rename(own.folder / "wal")
    wait_until(lambda: not wal.archiver(own.database).failing, DEADLINE_S, "nothing was lost: it goes on")
    wal.switch_off(own.database)
    assert not wal.archiver(own.database).is_on
