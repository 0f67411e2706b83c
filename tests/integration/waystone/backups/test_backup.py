"""Backups on a real PostgreSQL: made, proven by a restore, found broken, left half-way, forgotten."""

import io
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from characters.models import Line
from tests.embedded_servers import wait_until
from tests.integration.worlds.makers import make_account
from waystone.backups import cycle, keeping
from waystone.backups.cycle import judge_age, look_after
from waystone.backups.database import own_database
from waystone.backups.errors import NoRoom, NotProven, NotWhole
from waystone.backups.keeping import Busy, adopt, exclusive, is_due, make_backup, prove_backup, tidy
from waystone.backups.manifest import read_manifest
from waystone.backups.sealing import make_key_file
from worlds.models import Alarm, Backup, PopulationHour, World

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def quietly(what: str, done: float) -> None:
    """Tell nobody."""


def made(config) -> Backup:
    return make_backup(config, timezone.now(), quietly, timezone.now)


def prove(config, row: Backup):
    return prove_backup(config, row, timezone.now(), quietly)


def open_alarms() -> set[str]:
    return set(Alarm.objects.filter(ended_at__isnull=True).values_list("key", flat=True))


def damage(row: Backup) -> None:
    """Change one byte in the middle of a backup's file."""
    with open(row.place, "r+b") as file:
        file.seek(row.size // 2)
        byte = file.read(1)
        file.seek(row.size // 2)
        file.write(bytes([byte[0] ^ 1]))


def test_the_command_makes_and_proves_a_backup(backups, played, databases):
    before = databases()
    out = io.StringIO()
    call_command("backup", stdout=out)
    row = Backup.objects.get()
    assert row.state == Backup.State.PROVEN and row.proven_at is not None and row.size > 10_000
    assert row.report["rows"] > 100 and row.report["tables"] > 40 and row.report["invariants"] > 20
    told = out.getvalue()
    assert "Proven: restored" in told and row.sha256 in told
    assert "e-mail addresses and password hashes" in told  # it is not encrypted, and says so
    assert databases() == before
    out = io.StringIO()
    call_command("backup", "--list", stdout=out)
    assert row.name in out.getvalue() and "proven" in out.getvalue()


def test_what_was_counted_is_in_the_manifest(backups, played):
    row = made(backups())
    manifest = read_manifest(backups().folder / f"{row.name}.manifest.json")
    assert manifest.census.rows["characters_line"] == 2 == manifest.census.rows["characters_character"]
    assert manifest.dump.sha256 == row.sha256 and manifest.label == "master" and manifest.recipient == ""


def test_telling_how_far_it_is_leaves_no_connection_open(backups, played):
    """What pg_dump says is read by a thread, which writes to the row: once a backup, for ever."""
    users = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    with own_database().connect(autocommit=True) as opened:
        before = opened.execute(users).fetchall()
        made(backups())
        row = Backup.objects.get()
        assert row.progress == "made"
        wait_until(
            lambda: opened.execute(users).fetchall() == before, 30, "the sessions are as many as before"
        )


def test_saves_go_on_and_put_no_backup_off(backups, played):
    """Players save all the while: the backup is one moment of it, and none of them waits for it."""
    config, stop, saves = backups(), threading.Event(), []

    def play() -> None:
        while not stop.is_set():
            Line.objects.filter(pk=played[0].lines.get().pk).update(grants=len(saves))
            make_account(f"bob{len(saves)}")
            saves.append(is_due(config, timezone.now()))
        connection.close()

    player = threading.Thread(target=play)
    player.start()
    try:
        row = made(config)
        seen = len(saves)
        prove(config, row)
    finally:
        stop.set()
        player.join()
    assert seen > 0 and len(saves) > seen
    assert Backup.objects.get().state == Backup.State.PROVEN


def test_whether_one_is_due_does_not_depend_on_saves(backups, played, monkeypatch):
    config = backups(hour=4)
    monkeypatch.setattr(keeping, "born_at", lambda now: timezone.now() - 9 * DAY)
    slot = keeping.rules.newest_slot(timezone.now(), 4)
    assert is_due(config, slot)
    for number in range(50):
        make_account(f"bob{number}")
        assert is_due(config, slot + timedelta(seconds=number))


def test_a_damaged_backup_is_not_proven_and_another_one_becomes_due(backups, played, monkeypatch):
    config = backups(hour=4)
    monkeypatch.setattr(keeping, "born_at", lambda now: timezone.now() - 9 * DAY)
    row = made(config)
    assert not is_due(config, timezone.now())
    damage(row)
    with pytest.raises(NotWhole, match="SHA-256"):
        prove(config, row)
    row.refresh_from_db()
    assert row.state == Backup.State.FAILED and "SHA-256" in row.error
    assert is_due(config, timezone.now() + timedelta(minutes=6))
    adopt(config, timezone.now())  # its manifest is in the folder still
    row.refresh_from_db()
    assert row.state == Backup.State.FAILED and is_due(config, timezone.now() + timedelta(minutes=6))


def test_one_that_fails_half_way_leaves_no_dump(backups, played, monkeypatch):
    """The keys could not be read: without this each attempt would leave a whole dump."""

    def no_keys(*arguments):
        raise PermissionError(13, "Permission denied")

    make_key_file(backups().folder.parent / "backup.key")
    config = backups(key_file=backups().folder.parent / "backup.key")
    monkeypatch.setattr(keeping, "archive_keys", no_keys)
    with pytest.raises(PermissionError):
        made(config)
    assert Backup.objects.get().state == Backup.State.FAILED
    assert not list(config.folder.iterdir())


def test_a_drill_server_that_is_gone_keeps_no_backup_from_being_made(backups, played):
    config = backups(drill_url="postgresql://alice@127.0.0.1:1/postgres")
    look_after(config, is_wanted=True)
    assert Backup.objects.get().state == Backup.State.MADE
    assert open_alarms() == {cycle.DRILL}


def test_a_backup_of_a_broken_database_is_not_proven_and_an_alarm_says_so(backups, played, databases):
    config, before = backups(), databases()
    Line.objects.filter(character=played[0]).update(chain=bytes(32))
    look_after(config, is_wanted=True)
    row = Backup.objects.get()
    assert row.state == Backup.State.MADE and "invariants do not hold" in row.error
    assert open_alarms() == {cycle.DRILL}
    assert databases() == before  # the scratch database is gone, although the drill failed
    assert (backups().folder / f"{row.name}.dump").exists()


def test_a_restore_that_lost_rows_is_not_proven(backups, played, monkeypatch):
    """The counts are taken in the backup's own snapshot: what is missing afterwards is named."""
    config = backups()
    row = made(config)
    path = config.folder / f"{row.name}.manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"accounts_account": 1', b'"accounts_account": 2'))
    with pytest.raises(NotProven, match="accounts_account: 1 rows, 2 were backed up"):
        prove(config, row)


def test_only_one_looks_after_backups_at_a_time(backups, played):
    with exclusive(), pytest.raises(Busy, match="Another process"), exclusive():
        pass
    with exclusive():
        pass  # the lock ended with who had it


def test_what_a_process_that_is_gone_left_is_ended_and_made_anew(backups, played, databases, monkeypatch):
    config = backups()
    monkeypatch.setattr(keeping, "born_at", lambda now: timezone.now() - 9 * DAY)
    config.folder.mkdir()
    left = config.folder / ".master-20261123T041500Z.dump.77.part"
    left.write_bytes(b"half")
    Backup.objects.create(name="master-20261123T041500Z", started_at=timezone.now() - timedelta(minutes=9))
    before = databases()
    own_database().named(keeping.scratch_name(timezone.now())).create()
    look_after(config, is_wanted=True)
    old, new = Backup.objects.order_by("started_at")
    assert old.state == Backup.State.FAILED and "ended before it was done" in old.error
    assert new.state == Backup.State.PROVEN
    assert not left.exists() and databases() == before


def test_others_scratch_databases_are_not_ours_to_drop(backups, played, databases):
    theirs = own_database().named(f"{own_database().name}_drill_deadbeef_20261123041500")
    theirs.create()
    tidy(backups(), timezone.now())
    assert theirs.name in databases()
    theirs.drop()


def test_a_full_disk_fails_the_backup_with_an_alarm_and_keeps_what_is_there(backups, played, monkeypatch):
    config = backups()
    good = made(config)
    monkeypatch.setattr(keeping.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1}))
    with pytest.raises(NoRoom, match="WAYSTONE_BACKUP_DIR"):
        made(config)
    look_after(config, is_wanted=True)
    alarm = Alarm.objects.get(key=cycle.FAILED, ended_at__isnull=True)
    assert alarm.level == Alarm.Level.URGENT and "No room" in alarm.text
    good.refresh_from_db()
    assert good.state == Backup.State.PROVEN
    monkeypatch.undo()
    look_after(backups(folder=config.folder), is_wanted=True)
    assert open_alarms() == set()


def test_after_26_hours_without_a_proof_there_is_an_urgent_alarm(backups, played, monkeypatch):
    config, now = backups(), timezone.now()
    monkeypatch.setattr(cycle, "born_at", lambda now: now - 9 * DAY)
    judge_age(config, now)
    alarm = Alarm.objects.get(key=cycle.OLD, ended_at__isnull=True)
    assert alarm.level == Alarm.Level.URGENT and "216 hours" in alarm.text
    look_after(config, is_wanted=True)
    judge_age(config, timezone.now())
    assert open_alarms() == set()
    judge_age(config, timezone.now() + timedelta(hours=27))
    assert open_alarms() == {cycle.OLD}
    judge_age(backups(is_on=False), timezone.now() + timedelta(hours=27))
    assert open_alarms() == set()


def test_old_ones_are_deleted_here_and_at_the_target_and_the_proven_one_never(backups, played, tmp_path):
    (tmp_path / "there").mkdir()
    config = backups(target=str(tmp_path / "there"), keep_days=7, keep_weeks=0)
    rows = []
    for days in (40, 30, 1):
        row = made(config)
        keeping.copy_backup(config, row, timezone.now())
        Backup.objects.filter(pk=row.pk).update(started_at=timezone.now() - days * DAY)
        rows.append(row)
    prove(config, rows[1])
    assert keeping.forget_old(config, timezone.now()) == [rows[0].name]
    assert Backup.objects.get(pk=rows[0].pk).state == Backup.State.DELETED
    for folder in (config.folder, tmp_path / "there"):
        names = {path.name.split(".")[0] for path in folder.iterdir()}
        assert names == {rows[1].name, rows[2].name}


def test_backups_that_the_database_has_forgotten_are_known_again(backups, played):
    config = backups()
    row = made(config)
    Backup.objects.all().delete()
    Backup.objects.create(name=row.name, started_at=row.started_at, state=Backup.State.FAILED)
    (config.folder / "borealis-20261123T041500Z.manifest.json").write_text("{}")
    keeping.adopt(config, timezone.now())
    again = Backup.objects.get()
    assert (again.name, again.state, again.size, again.sha256) == (row.name, "made", row.size, row.sha256)


def test_sealed_backups_hold_no_address_in_the_clear_and_can_be_proven(backups, played, tmp_path):
    key_file = tmp_path / "backup.key"
    backups(key_file=key_file)
    out = io.StringIO()
    call_command("backup", "--make-key", stdout=out)
    assert "without it no backup can be opened" in out.getvalue()
    call_command("backup", stdout=out)
    row = Backup.objects.get()
    assert row.state == Backup.State.PROVEN and row.place.endswith(".dump.age")
    folder = backups().folder
    assert sorted(path.name.removeprefix(row.name) for path in folder.iterdir()) == [
        ".dump.age", ".keys.tar.age", ".manifest.json",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"age-encryption.org/v1") for path in folder.glob("*.age"))
    key_file.unlink()
    make_key_file(key_file)
    with pytest.raises(NotWhole, match="another key"):
        prove(backups(), row)


def test_a_server_of_another_version_is_a_clear_error(backups, played, tmp_path):
    backups(tools=tmp_path)
    with pytest.raises(CommandError, match=r"The server is PostgreSQL \d+.*WAYSTONE_BACKUP_PG_BIN"):
        call_command("backup", stdout=io.StringIO())
    assert Backup.objects.get().state == Backup.State.FAILED


def test_one_that_takes_too_long_is_ended(backups, played):
    config = backups(time_limit_h=0)
    with pytest.raises(keeping.BackupError, match="TIME_LIMIT"):
        made(config)
    assert Backup.objects.get().state == Backup.State.FAILED
    assert list(config.folder.iterdir()) == []


def test_the_quiet_hour_is_the_worlds_own(backups, played):
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    world = World.objects.get()
    for hours in range(24 * 7):
        at = now - timedelta(hours=hours)
        PopulationHour.objects.create(
            world=world, at=at, mean=float((at.hour - 13) % 24), most=30, samples=60
        )
    assert keeping.quiet_hour(backups(), now) == 13
    assert keeping.quiet_hour(backups(hour=2), now) == 2
