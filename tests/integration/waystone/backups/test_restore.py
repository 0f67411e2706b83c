"""A backup takes the place of a database: proven first, beside it; whatever fails leaves what was there."""

import io
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Account
from characters.models import Incarnation, Line
from waystone.backups import restoring
from waystone.backups.database import Database, own_database
from waystone.backups.drill import manage, migrations_of
from waystone.backups.dumping import dump, scratch
from waystone.backups.errors import BackupError, NoRoom, NotOurs, NotProven, NotWhole
from waystone.backups.keeping import adopt, copy_backup, make_backup, new_job
from waystone.backups.manifest import encode_manifest, read_manifest
from waystone.backups.restoring import Found, find_backup, is_empty, kept_databases, restore
from waystone.backups.sealing import make_key_file
from worlds.models import Backup

pytestmark = pytest.mark.django_db(transaction=True)


def quietly(what: str, done: float) -> None:
    """Tell nobody."""


@pytest.fixture
def made(backups, played) -> Backup:
    return make_backup(backups(), timezone.now(), quietly, timezone.now)


@pytest.fixture
def place(transactional_db) -> Iterator[Database]:
    """A name for a database in whose place a backup goes, and nothing of that name before and after."""
    database = own_database().named("waystone_b_place")
    yield database
    for name in [*kept_databases(database), database.name]:
        database.named(name).drop()


def put_back(config, found: Found, place: Database, *, is_master: bool = False, **how):
    job = new_job(config, own_database(), quietly)
    return restore(found, place, job, now=timezone.now(), is_master=is_master, **how)


def rows(database: Database, query: str) -> list[tuple]:
    with database.connect() as opened:
        return opened.execute(query).fetchall()


def test_into_nothing_and_then_in_place_of_it(backups, made, place, databases):
    config = backups()
    found = find_backup("latest", config, "master")
    proof, kept = put_back(config, found, place, is_master=True)
    assert kept == "" and proof.invariants > 20
    assert rows(place, "SELECT count(*) FROM characters_line") == [(2,)]
    incarnations = rows(place, "SELECT number, closed_at IS NULL, reason FROM characters_incarnation")
    assert incarnations == [(2, True, f"restored from {made.name}")]
    assert not Incarnation.objects.exists()  # the present one is left alone
    with place.connect() as opened:
        opened.execute("CREATE TABLE only_here (a int)")
    _, kept = put_back(config, found, place)
    assert kept_databases(place) == [kept]
    assert rows(place.named(kept), "SELECT count(*) FROM only_here") == [(0,)]
    assert rows(place, "SELECT to_regclass('only_here') IS NULL") == [(True,)]
    assert not [name for name in databases() if restoring.NEW in name]


def test_a_worlds_own_database_has_no_incarnation(backups, made, place):
    put_back(backups(), find_backup(made.name, backups(), "master"), place)
    assert rows(place, "SELECT count(*) FROM characters_incarnation") == [(0,)]


def test_one_made_while_the_master_collected_raises_the_incarnation_again(backups, played, place):
    Incarnation.objects.create(
        number=2, began_at=timezone.now(), reason="a disk", collects_since=timezone.now()
    )
    config = backups()
    make_backup(config, timezone.now(), quietly, timezone.now)
    put_back(config, find_backup("latest", config, "master"), place, is_master=True)
    told = rows(place, "SELECT number, closed_at IS NULL FROM characters_incarnation ORDER BY number")
    assert told == [(2, False), (3, True)]


def test_what_is_there_stays_if_the_backup_is_not_whole(backups, made, place, databases):
    place.create()
    with place.connect() as opened:
        opened.execute("CREATE TABLE precious (a int)")
    before = databases()
    with open(made.place, "r+b") as file:
        file.truncate(made.size // 2)
    with pytest.raises(NotWhole):
        find_backup("latest", backups(), "master")
    found = Found(backups().folder / f"{made.name}.dump", None)  # by its path, without a manifest
    with pytest.raises(BackupError, match="pg_restore failed"):
        put_back(backups(), found, place)
    assert databases() == before and rows(place, "SELECT count(*) FROM precious") == [(0,)]


def test_what_is_there_stays_if_invariants_do_not_hold_unless_that_is_accepted(backups, played, place):
    Line.objects.filter(character=played[0]).update(chain=bytes(32))
    config = backups()
    make_backup(config, timezone.now(), quietly, timezone.now)
    found = find_backup("latest", config, "master")
    with pytest.raises(NotProven, match="do not hold"):
        put_back(config, found, place)
    assert not place.exists()
    put_back(config, found, place, accepts_findings=True)
    assert rows(place, "SELECT count(*) FROM characters_line") == [(2,)]


def test_nobody_may_be_connected(backups, made, place):
    place.create()
    with (
        place.connect(),
        pytest.raises(BackupError, match=r"waystone backups: still connected.*up --servers"),
    ):
        put_back(backups(), find_backup("latest", backups(), "master"), place)


def test_who_connects_at_the_last_moment_stops_it_and_loses_nothing(
    backups, made, place, monkeypatch, databases
):
    place.create()
    with place.connect() as opened:
        opened.execute("CREATE TABLE precious (a int)")
    monkeypatch.setattr(restoring, "check_free", lambda database: None)
    before = databases()
    with place.connect(), pytest.raises(BackupError, match="meanwhile"):
        put_back(backups(), find_backup("latest", backups(), "master"), place)
    assert databases() == before and rows(place, "SELECT count(*) FROM precious") == [(0,)]


def test_one_that_is_only_at_the_target_is_fetched(backups, made, tmp_path):
    (tmp_path / "there").mkdir()
    config = backups(target=str(tmp_path / "there"))
    copy_backup(config, made, timezone.now())
    elsewhere = backups(folder=tmp_path / "another machine")
    found = find_backup("latest", elsewhere, "master")
    assert found.path == tmp_path / "another machine" / f"{made.name}.dump" and found.manifest is not None
    with pytest.raises(BackupError, match="There is no backup 'aurora"):
        find_backup("aurora-20261123T041500Z", elsewhere, "master")
    with pytest.raises(BackupError, match="There is no backup 'latest'"):
        find_backup("latest", elsewhere, "borealis")  # another deployment's are not ours


def forged(there, made, **changes):
    """Mallory can write to the target: a copy of a true manifest, changed. Returns: its name."""
    name = "master-99991231T235959Z"
    true = read_manifest(there / f"{made.name}.manifest.json")
    part = msgspec.structs.replace(true.dump, name=f"{name}.dump")
    manifest = msgspec.structs.replace(true, **{"name": name, "parts": [part], **changes})
    (there / f"{name}.dump").write_bytes((there / true.dump.name).read_bytes())
    (there / manifest.file_name).write_bytes(encode_manifest(manifest))
    return name


@pytest.mark.parametrize("changes", [{}, {"mac": ""}, {"mac": "0" * 64}])
def test_what_somebody_else_put_there_is_passed_over(backups, made, tmp_path, changes):
    there = tmp_path / "there"
    there.mkdir()
    copy_backup(backups(target=str(there)), made, timezone.now())
    name, told = forged(there, made, **changes), []
    elsewhere = backups(folder=tmp_path / "another machine")
    found = find_backup("latest", elsewhere, "master", on_passed_over=told.append)
    assert found.manifest is not None and found.manifest.name == made.name
    assert len(told) == 1 and name in told[0]
    with pytest.raises(NotOurs, match="--accept-unsigned"):
        find_backup(name, elsewhere, "master")
    assert not (tmp_path / "another machine" / f"{name}.dump").exists()
    accepted = find_backup(name, elsewhere, "master", accept_unsigned=True)
    assert accepted.manifest is not None and accepted.manifest.name == name
    with pytest.raises(NotOurs):
        find_backup(str(accepted.path), elsewhere, "master")


def test_what_somebody_else_put_into_the_folder_is_not_adopted(backups, made):
    config = backups()
    forged(config.folder, made)
    Backup.objects.all().delete()
    adopt(config, timezone.now())
    assert [row.name for row in Backup.objects.all()] == [made.name]


def test_a_manifest_is_of_the_key_file_where_there_is_one(backups, played, tmp_path, settings):
    make_key_file(tmp_path / "backup.key")
    config = backups(key_file=tmp_path / "backup.key")
    make_backup(config, timezone.now(), quietly, timezone.now)
    settings.SECRET_KEY = "of another machine " * 4
    assert find_backup("latest", config, "master").manifest is not None
    with pytest.raises(NotOurs):
        find_backup("latest", backups(key_file=None), "master")


def test_a_backup_that_has_no_room_is_not_fetched(backups, made, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    copy_backup(backups(target=str(tmp_path / "there")), made, timezone.now())
    monkeypatch.setattr(restoring.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(NoRoom, match="1,000 are free"):
        find_backup("latest", backups(folder=tmp_path / "another machine"), "master")


def test_a_damaged_one_is_fetched_anew(backups, made, tmp_path):
    (tmp_path / "there").mkdir()
    config = backups(target=str(tmp_path / "there"))
    copy_backup(config, made, timezone.now())
    with open(made.place, "r+b") as file:
        file.truncate(100)
    found = find_backup("latest", config, "master")
    assert found.path.stat().st_size == made.size


def test_the_command_checks_asks_and_tells(backups, made, settings):
    out = io.StringIO()
    call_command("restore", "latest", "--check", stdout=out)
    assert "can be restored" in out.getvalue() and "invariants" in out.getvalue()
    with pytest.raises(CommandError, match="is not empty. Say --yes"):
        call_command("restore", "latest", stdout=out)
    with pytest.raises(CommandError, match="Say which"):
        call_command("restore", stdout=out)
    with pytest.raises(CommandError, match="WAYSTONE_BACKUP_KEY_FILE"):
        call_command("restore", "latest", "--keys", "/nonexistent", stdout=out)
    settings.CONFIG = replace(settings.CONFIG, role="world", world="borealis")
    with pytest.raises(CommandError, match="is a backup of 'master', and this deployment is 'borealis'"):
        call_command("restore", made.name, "--yes", stdout=out)
    assert Account.objects.count() == 1


def test_a_backup_of_an_older_waystone_is_brought_up_to_date(backups, played, place):
    """It is of before a migration: proven and restored all the same, with the tables of today."""
    config = backups()
    make_backup(config, timezone.now(), quietly, timezone.now)
    job = new_job(config, own_database(), quietly)
    with scratch(own_database().named("waystone_b_older")) as older:
        restoring.restore_and_prove(find_backup("latest", config, "master").path, None, older, job)
        manage(older, "migrate", "--no-input", "--verbosity", "0", "worlds", "0007")
        assert ("worlds", "0008_upkeep") not in migrations_of(older)
        part, _ = dump(older, config.folder / "older.dump", job)
    put_back(config, Found(config.folder / part.name, None), place)
    assert ("worlds", "0008_upkeep") in migrations_of(place) and not is_empty(place)


def test_one_of_a_newer_waystone_is_refused(backups, made, place):
    config = backups()
    job = new_job(config, own_database(), quietly)
    with scratch(own_database().named("waystone_b_newer")) as newer:
        restoring.restore_and_prove(find_backup("latest", config, "master").path, None, newer, job)
        with newer.connect() as opened:
            opened.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('worlds', '0999_later', now())"
            )
        part, _ = dump(newer, config.folder / "newer.dump", job)
    with pytest.raises(BackupError, match=r"newer Waystone \(it has had worlds.0999_later\)"):
        put_back(config, Found(config.folder / part.name, None), place)
    assert not place.exists()


def test_the_restored_database_knows_the_backup_that_it_came_from(backups, made):
    """In the backup itself its own row is still at work: it is known again by its files."""
    Backup.objects.update(state=Backup.State.RUNNING, size=0, sha256="")
    call_command("backup", "--no-verify", stdout=io.StringIO())
    again = Backup.objects.get(name=made.name)
    assert again.size == made.size and again.state in ("made", "proven")
