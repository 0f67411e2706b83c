"""The place for copies is gone, empty or full: an alarm, nothing lost, and made up for when it is back."""

import resource
from pathlib import Path

import pytest
from django.utils import timezone

from waystone.backups import cycle
from waystone.backups.cycle import look_after
from waystone.backups.errors import NoRoom, TargetGone
from waystone.backups.keeping import copy_backup, make_backup
from worlds.models import Alarm, Backup

pytestmark = pytest.mark.django_db(transaction=True)


def open_alarms() -> set[str]:
    return set(Alarm.objects.filter(ended_at__isnull=True).values_list("key", flat=True))


@pytest.fixture
def there(backups, tmp_path: Path) -> Path:
    """The folder for copies."""
    folder = tmp_path / "there"
    folder.mkdir()
    backups(target=str(folder))
    return folder


def test_while_it_is_gone_backups_are_made_and_proven_and_copied_afterwards(backups, played, there):
    there.rmdir()
    look_after(backups(), is_wanted=True)
    row = Backup.objects.get()
    assert row.state == Backup.State.PROVEN and row.copied_at is None
    alarm = Alarm.objects.get(key=cycle.TARGET)
    assert "Mount it" in alarm.text and "WAYSTONE_BACKUP_TARGET" in alarm.advice
    look_after(backups())
    alarm.refresh_from_db()
    assert alarm.times == 2 and Backup.objects.count() == 1
    there.mkdir()
    look_after(backups())
    row.refresh_from_db()
    assert row.copied_at is not None and row.target == str(there) and open_alarms() == set()
    assert (there / f"{row.name}.dump").read_bytes() == Path(row.place).read_bytes()
    assert (there / f"{row.name}.manifest.json").exists()


def test_a_mount_point_without_its_disk_is_not_filled(backups, played, there):
    look_after(backups(), is_wanted=True)
    there.rename(there.with_name("unmounted"))
    there.mkdir()
    row = make_backup(backups(), timezone.now(), lambda what, done: None, timezone.now)
    with pytest.raises(TargetGone, match="Is the disk mounted"):
        copy_backup(backups(), row, timezone.now())
    assert list(there.iterdir()) == []


def test_a_full_one_keeps_what_is_there_and_has_nothing_half_way(backups, played, there):
    look_after(backups(), is_wanted=True)
    before = {path.name: path.read_bytes() for path in there.iterdir()}
    row = make_backup(backups(), timezone.now(), lambda what, done: None, timezone.now)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))  # writing fails as on a full disk
    try:
        with pytest.raises(NoRoom, match="Make room"):
            copy_backup(backups(), row, timezone.now())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == before
    row.refresh_from_db()
    assert row.copied_at is None and row.state == Backup.State.MADE


def test_with_another_target_everything_is_copied_anew(backups, played, there, tmp_path):
    look_after(backups(), is_wanted=True)
    (tmp_path / "another").mkdir()
    look_after(backups(target=str(tmp_path / "another")))
    row = Backup.objects.get()
    assert row.target == str(tmp_path / "another")
    assert {path.name for path in (tmp_path / "another").iterdir()} == {path.name for path in there.iterdir()}
