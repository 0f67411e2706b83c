"""What is kept of costs and of slow handlers, in the database; and who may switch a handler on."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.alarms import raise_alarm
from worlds.cost_rules import Cost, handler_alarm
from worlds.costs import KEPT, record_minute
from worlds.daemon import rows
from worlds.daemon.core.measuring import RecordMinute, SwitchOff
from worlds.daemon.upkeep_rows import load_upkeep
from worlds.models import Alarm, PopulationHour, SlowHandler, World, Zone, ZoneCost
from worlds.slow_handlers import handlers_off, switch_on

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday: hour 36 of the week
DIALOG = {"_form_submitted": "1", "reason": "the loop is mended"}


def make_zone(world: World, slug: str) -> Zone:
    return Zone.objects.create(world=world, slug=slug, name=slug.title(), size=100, entry_x=1, entry_y=1)


# ---------------------------------------------------------------- costs


def test_minutes_become_the_hour_of_the_week_and_a_closed_zone_costs_nothing() -> None:
    world = make_world("demo")
    harbour, mossgate = make_zone(world, "harbour"), make_zone(world, "mossgate")
    record_minute(world, {harbour.pk: Cost(30, 2, 4)}, 5, NOON)
    record_minute(world, {mossgate.pk: Cost(9, 1, 0)}, 7, NOON + timedelta(minutes=1))
    row = ZoneCost.objects.get(zone=harbour)
    assert (row.hour, row.cpu_ms, row.players, row.commands) == (36, 15, 1, 2)
    assert (row.weeks, row.minutes) == (1, 2)
    assert ZoneCost.objects.get(zone=mossgate).cpu_ms == 9
    hour = PopulationHour.objects.get()
    assert (hour.at, hour.mean, hour.most, hour.samples) == (NOON, 6, 7, 2)


def test_a_zone_that_is_gone_or_anothers_costs_the_others_nothing() -> None:
    world, other = make_world("demo"), make_world("other")
    harbour, foreign = make_zone(world, "harbour"), make_zone(other, "harbour")
    costs = {harbour.pk: Cost(30), foreign.pk: Cost(1), 10**9: Cost(1)}
    rows.write_rows("demo", [RecordMinute(costs, 3)], NOON)
    rows.write_rows("demo", [RecordMinute(costs, 3)], NOON + timedelta(minutes=1))
    assert list(ZoneCost.objects.values_list("zone", flat=True)) == [harbour.pk]


def test_hours_are_kept_for_eight_weeks() -> None:
    world, other = make_world("demo"), make_world("other")
    for each in (world, other):
        for age in (KEPT + timedelta(hours=1), KEPT):
            PopulationHour.objects.create(world=each, at=NOON - age, mean=1, most=1, samples=60)
    record_minute(world, {}, 0, NOON + timedelta(minutes=59))
    assert sorted(world.population_hours.values_list("at", flat=True)) == [NOON - KEPT, NOON]
    assert other.population_hours.count() == 2


# ---------------------------------------------------------------- slow handlers

OFF = SwitchOff("look", "east", 7.5, 61.0, 500)


def test_what_is_off_is_written_once_and_read_with_upkeep() -> None:
    world, other = make_world("demo"), make_world("other")
    for minutes in (0, 1):
        rows.write_rows("demo", [OFF], NOON + timedelta(minutes=minutes))
    row = SlowHandler.objects.get()
    assert (row.kind, row.cluster, row.runs, row.off_at) == ("look", "east", 500, NOON)
    assert load_upkeep("demo", NOON).handlers_off == frozenset({"look"})
    assert handlers_off(other) == frozenset()
    assert switch_on(handler=row, reason="mended", by=None, now=NOON)
    assert handlers_off(world) == frozenset()
    rows.write_rows("demo", [OFF], NOON)  # slow again: another row, the first one is history
    assert SlowHandler.objects.count() == 2


def page(handler: SlowHandler) -> str:
    return reverse("admin:worlds_slowhandler_switch_on", args=[handler.pk])


@pytest.fixture
def handler() -> SlowHandler:
    world = make_world("demo")
    key = handler_alarm("look")
    raise_alarm(world=world, key=key, text="look is slow", advice="mend it", now=NOON)
    rows.write_rows("demo", [OFF], NOON)
    return SlowHandler.objects.get()


def test_staff_switches_it_on_with_a_reason_and_the_alarm_ends(client, handler: SlowHandler) -> None:
    alice = make_account("alice", is_staff=True)
    wanted = ("view_slowhandler", "change_slowhandler")
    alice.user_permissions.add(*Permission.objects.filter(codename__in=wanted))
    client.force_login(alice)
    assert client.post(page(handler), DIALOG).status_code == 200
    handler.refresh_from_db()
    assert handler.on_by == alice and handler.on_at is not None
    record = AuditRecord.objects.get()
    assert record.action == "handler_switched_on" and record.detail["reason"] == DIALOG["reason"]
    assert Alarm.objects.get().ended_at is not None
    client.post(page(handler), DIALOG)
    assert AuditRecord.objects.count() == 1


@pytest.mark.parametrize("role", ["anonymous", "player", "viewer"])
def test_others_switch_nothing_on(client, handler: SlowHandler, role: str) -> None:
    if role != "anonymous":
        mallory = make_account("mallory", is_staff=role == "viewer")
        mallory.user_permissions.add(Permission.objects.get(codename="view_slowhandler"))
        client.force_login(mallory)
    assert client.post(page(handler), DIALOG).status_code == (403 if role == "viewer" else 302)
    handler.refresh_from_db()
    assert handler.on_at is None and not AuditRecord.objects.exists()
