"""Receipts on another host: all of them, whatever dies; what Mallory leaves there is not believed."""

import io
import json
import threading
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from tests.integration.worlds.makers import make_world
from waystone.backups import replica, replicating
from waystone.backups.errors import BackupError
from waystone.backups.replicating import keep_replicating
from waystone.backups.sealing import make_key_file
from waystone.backups.targets import FolderTarget
from worlds.models import Alarm, StoredReceipt, World
from worlds.uplink.base64url import encode_base64url
from zonecluster.protocol.character import state_hash

pytestmark = pytest.mark.django_db(transaction=True)
STATE = b'{"schema":1}'


@pytest.fixture
def world(transactional_db, settings) -> World:
    settings.CONFIG = replace(settings.CONFIG, world="aurora")
    return make_world("aurora")


@pytest.fixture
def target(backups, tmp_path) -> FolderTarget:
    (tmp_path / "there").mkdir()
    backups(replica_target=str(tmp_path / "there"))
    return FolderTarget(tmp_path / "there")


def a_receipt(world: World, *, slug="aurora", state=STATE, at=None, **changes) -> StoredReceipt:
    """A stored receipt as a world keeps it. (The signature is the master's to judge.)"""
    row = {"op_id": uuid4(), "line": uuid4(), "version": 7, **changes}
    claims = {
        "world": slug, "line": str(row["line"]), "version": row["version"], "epoch": 1_000_001,
        "op_id": str(row["op_id"]), "chain": "A" * 43 + "=", "at": "2026-11-23T04:15:00Z",
        "state_hash": b64encode(state_hash(STATE)).decode(),
    }  # fmt: skip
    token = ".".join(["e30", encode_base64url(json.dumps(claims).encode()), "c2ln"])
    return StoredReceipt(
        world=world, receipt=token, kind="level", state=state, at=at or timezone.now(), **row
    )


def some(world: World, count: int) -> list[StoredReceipt]:
    return StoredReceipt.objects.bulk_create(a_receipt(world) for _ in range(count))


def contents() -> set[tuple]:
    rows = StoredReceipt.objects.values_list("op_id", "line", "version", "receipt", "kind", "state", "at")
    return {tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows}


def test_a_lost_database_gets_all_of_them_back(world, target, monkeypatch):
    monkeypatch.setattr(replica, "ROWS_A_FILE", 4)
    now = timezone.now()
    some(world, 9)
    assert replica.ship(world, target, None, now) == replica.Shipped(9, 0)
    assert replica.ship(world, target, None, now) == replica.Shipped(0, 0)
    some(world, 2)
    assert replica.ship(world, target, None, now + timedelta(days=1)) == replica.Shipped(2, 0)
    before = contents()
    StoredReceipt.objects.all().delete()
    some(world, 1)  # what came since is kept
    assert replica.load(world, target, None, now) == replica.Loaded(11, 11, 0)
    assert before < contents() and len(contents()) == 12
    assert replica.load(world, target, None, now) == replica.Loaded(11, 0, 0)


def test_one_that_commits_late_is_not_left_out(world, target):
    """Its id is lower than those that were committed before it: a mere watermark would pass it by."""
    has_written, may_commit = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            a_receipt(world).save()
            has_written.set()
            may_commit.wait(30)
        connection.close()

    writer = threading.Thread(target=late)
    writer.start()
    assert has_written.wait(30)
    some(world, 1)
    try:
        with pytest.raises(BackupError, match="tried again"):
            replica.ship(world, target, None, timezone.now())
    finally:
        may_commit.set()
        writer.join()
    assert replica.ship(world, target, None, timezone.now()).rows == 2


def test_sealed_files_need_the_key(world, target, backups, tmp_path):
    make_key_file(tmp_path / "backup.key")
    backups(key_file=tmp_path / "backup.key")
    some(world, 3)
    out = io.StringIO()
    call_command("replica", "--ship", stdout=out)
    call_command("replica", stdout=out)
    assert "3 receipts written; 0 still" in out.getvalue() and "0 are still to be written" in out.getvalue()
    StoredReceipt.objects.all().delete()
    assert replica.load(world, target, None, timezone.now()) == replica.Loaded(0, 0, 1)
    call_command("replica", "--load", stdout=out)
    assert "3 receipts brought back of 3 found; refused: 0" in out.getvalue()


def test_what_mallory_leaves_there_is_not_believed(world, target, tmp_path):
    now = timezone.now()
    wrong = [
        a_receipt(world, slug="borealis"),
        a_receipt(world, state=b'{"schema":1,"money":999}'),
        a_receipt(world),
        a_receipt(world),
    ]
    wrong[2].version = 8
    wrong[3].receipt = "nonsense"
    StoredReceipt.objects.bulk_create([*wrong, a_receipt(world)])
    replica.ship(world, target, None, now)
    StoredReceipt.objects.all().delete()
    day = next((tmp_path / "there" / "receipts" / "aurora").iterdir()) / f"{now:%Y-%m-%d}"
    (day / "0000000000000001-0000000000000002-0123456789abcdef.rows").write_bytes(b"\x00" * 99)
    (day / "notes.txt").write_text("hello")
    assert replica.load(world, target, None, now) == replica.Loaded(1, 1, 5)


def test_a_changed_file_is_refused_and_the_others_are_not(world, target, tmp_path, monkeypatch):
    monkeypatch.setattr(replica, "ROWS_A_FILE", 1)
    some(world, 2)
    replica.ship(world, target, None, timezone.now())
    first = sorted((tmp_path / "there").rglob("*.rows"))[0]
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    StoredReceipt.objects.all().delete()
    assert replica.load(world, target, None, timezone.now()) == replica.Loaded(1, 1, 1)


def test_days_past_the_fourteen_are_deleted(world, target):
    now = timezone.now()
    for days in (20, 15, 3):
        some(world, 1)
        replica.ship(world, target, None, now - timedelta(days=days))
    assert replica.forget_old_days(world, target, now) == 1
    assert replica.forget_old_days(world, target, now) == 0


def test_a_target_that_is_gone_raises_an_alarm_and_loses_nothing(world, target, tmp_path):
    some(world, 2)
    (tmp_path / "there").rename(tmp_path / "unmounted")
    keep_replicating(timezone.now())
    alarm = Alarm.objects.get(key=replicating.ALARM)
    assert alarm.ended_at is None and "is not there" in alarm.text and alarm.world == world
    (tmp_path / "unmounted").rename(tmp_path / "there")
    keep_replicating(timezone.now())
    alarm.refresh_from_db()
    assert alarm.ended_at is not None
    assert replica.standing(world, target)[1] == 0


def test_without_a_target_nothing_is_written(world, backups):
    backups(replica_target="")
    assert not replicating.is_wanted()
    keep_replicating(timezone.now())
    with pytest.raises(BackupError, match="WAYSTONE_REPLICA_TARGET is not set"):
        replicating.standing()
