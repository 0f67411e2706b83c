"""Maintenance, announcements, pace of time and the queue as rows; what tickets and lists say of them."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.daemon import rows
from worlds.daemon.core.effects import ForgetWaiting, StoreWaiting, WaitingRow
from worlds.daemon.queue_rows import load_queue
from worlds.models import Announcement, WaitingPlayer, World
from worlds.selectors import world_page
from worlds.signing import ensure_signing_key
from worlds.tickets import NoTicket, issue_ticket
from worlds.world_life import LifeRefused, announce, begin_maintenance, end_maintenance, set_game_rate
from zonecluster.rules.sky import GameClock

pytestmark = pytest.mark.django_db


def deeds() -> list[str]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))


# ---------------------------------------------------------------- maintenance


def test_maintenance_begins_changes_its_text_and_ends_each_with_an_audit_row() -> None:
    now, world = timezone.now(), make_world("aurora")
    deed = {"world": world, "by": None, "reason": "stairs"}
    assert begin_maintenance(text=" New stairs. ", now=now, **deed)
    assert not begin_maintenance(text="New stairs.", now=now, **deed)
    assert begin_maintenance(text="Until noon.", now=now + timedelta(hours=1), **deed)
    row = World.objects.get(pk=world.pk)
    assert (row.maintenance_since, row.maintenance_text) == (now, "Until noon.")
    assert end_maintenance(now=now, **deed) and not end_maintenance(now=now, **deed)
    row.refresh_from_db()
    assert (row.maintenance_since, row.maintenance_text) == (None, "")
    assert deeds() == ["maintenance_begun", "maintenance_begun", "maintenance_ended"]


@pytest.mark.parametrize("text", ["x" * 201, "two\nlines", "a\x07bell"])
def test_text_that_cannot_be_shown_is_refused(text: str) -> None:
    world = make_world("aurora")
    with pytest.raises(LifeRefused, match="200 characters"):
        begin_maintenance(world=world, text=text, reason="", by=None, now=timezone.now())
    assert World.objects.get().maintenance_since is None and deeds() == []


@pytest.mark.parametrize("by_report", [False, True])
def test_in_maintenance_owner_and_staff_get_tickets_others_the_text(by_report: bool) -> None:
    now, alice = timezone.now(), make_account("alice")
    world = make_world("aurora", owner=alice, last_report_at=now)
    said = {"report": {"maintenance": "New stairs."}} if by_report else {
        "maintenance_since": now, "maintenance_text": "New stairs."
    }  # fmt: skip
    World.objects.update(**said)
    world.refresh_from_db()
    ensure_signing_key(settings.CONFIG.signing_keys_dir)
    for account in (alice, make_account("staff", is_staff=True)):
        assert issue_ticket(account=account, world=world, now=now).ticket
    with pytest.raises(NoTicket, match="New stairs.") as refused:
        issue_ticket(account=make_account("bob"), world=world, now=now)
    assert refused.value.code == "world_maintenance"
    page = world_page("aurora", now)
    assert page is not None and page.row.maintenance == "New stairs."


def test_page_list_and_rest_show_the_maintenance(client) -> None:
    now = timezone.now()
    make_world("aurora", last_report_at=now, maintenance_since=now, maintenance_text="New <b>stairs</b>.")
    page = client.get(reverse("world_page", args=["aurora"])).content.decode()
    assert "New &lt;b&gt;stairs&lt;/b&gt;." in page and "Under maintenance" in page
    assert "Under maintenance" in client.get(reverse("world_list")).content.decode()
    assert client.get("/api/v1/worlds/aurora/").json()["maintenance"] == "New <b>stairs</b>."


@pytest.mark.parametrize("said", [7, ["x"], {"a": 1}, None])
def test_report_that_says_nonsense_says_nothing(said: object) -> None:
    now = timezone.now()
    make_world("aurora", last_report_at=now, report={"maintenance": said})
    page = world_page("aurora", now)
    assert page is not None and page.row.maintenance is None


# ---------------------------------------------------------------- announcements, pace of time


def test_announcement_waits_for_the_daemon() -> None:
    now, world = timezone.now(), make_world("aurora")
    later = now + timedelta(hours=1)
    announce(world=world, text=" The fair opens. ", by=None, now=now)
    announce(world=world, text="It closes.", by=None, now=now, at=later)
    assert list(Announcement.objects.order_by("at").values_list("text", "at", "said_at")) == [
        ("The fair opens.", now, None),
        ("It closes.", later, None),
    ]
    assert deeds() == ["announced", "announced"]


def test_no_more_announcements_wait_than_can_be_said() -> None:
    now, world = timezone.now(), make_world("aurora")
    Announcement.objects.bulk_create([Announcement(world=world, text="x", at=now) for _ in range(100)])
    with pytest.raises(LifeRefused, match="100 announcements wait"):
        announce(world=world, text="One more.", by=None, now=now)
    with pytest.raises(LifeRefused, match="Say something"):
        announce(world=world, text="  ", by=None, now=now)
    assert Announcement.objects.count() == 100


def test_another_pace_of_time_makes_no_jump() -> None:
    now, world = timezone.now(), make_world("aurora")
    before = GameClock(world.game_epoch.timestamp(), 24.0).game_s(now.timestamp())
    assert set_game_rate(world=world, rate=60.0, reason="feast", by=None, now=now)
    assert not set_game_rate(world=world, rate=60.0, reason="feast", by=None, now=now)
    row = World.objects.get()
    after = GameClock(row.game_epoch.timestamp(), row.game_rate).game_s(now.timestamp())
    assert after == pytest.approx(before, abs=0.1) and deeds() == ["game_rate_set"]
    with pytest.raises(LifeRefused, match="times as fast"):
        set_game_rate(world=world, rate=0.0, reason="", by=None, now=now)


# ---------------------------------------------------------------- the queue


def waiting(account: UUID, **fields: object) -> StoreWaiting:
    values: dict[str, object] = {name: uuid4() for name in ("id", "admission", "character")}
    values |= {"name": "Bob", "edition": "free", "rank": 2, "arrival": 5, "resume_digest": b"d" * 32}
    return StoreWaiting(WaitingRow(account=account, **values | fields))  # type: ignore[arg-type]


def test_queue_survives_in_rows_and_is_forgotten_there() -> None:
    now, account = timezone.now(), uuid4()
    make_world("aurora")
    make_world("borealis")
    stored = waiting(account)
    rows.write_rows("aurora", [stored, waiting(uuid4(), rank=1, arrival=9)], now)
    found = load_queue("aurora", now + timedelta(seconds=90))
    assert [row.rank for row in found] == [1, 2]
    row = found[1]
    assert (row.id, row.account, row.resume_digest) == (stored.row.id, account, b"d" * 32)
    assert row.waited_s == pytest.approx(90.0)
    assert load_queue("borealis", now) == []
    rows.write_rows("aurora", [ForgetWaiting(stored.row.id), ForgetWaiting(stored.row.id)], now)
    assert [row.rank for row in load_queue("aurora", now)] == [1]


def test_another_log_in_takes_the_account_s_row_over_and_waiting_began_once() -> None:
    now, account = timezone.now(), uuid4()
    make_world("aurora")
    first, second = waiting(account), waiting(account, resume_digest=b"e" * 32)
    rows.write_rows("aurora", [first], now)
    rows.write_rows("aurora", [second], now)
    again = waiting(account, id=second.row.id, resume_digest=b"f" * 32)
    rows.write_rows("aurora", [again], now + timedelta(minutes=5))
    row = WaitingPlayer.objects.get()
    assert (row.id, bytes(row.resume_digest), row.since) == (second.row.id, b"f" * 32, now)


def test_catalog_has_the_limits_and_the_clock() -> None:
    world = make_world("aurora", max_queue=7, game_rate=48.0)
    catalog = rows.load_catalog("aurora", "ws://127.0.0.1:1/")
    assert (catalog.max_queue, catalog.game_rate) == (7, 48.0)
    assert catalog.game_epoch_s == world.game_epoch.timestamp()
