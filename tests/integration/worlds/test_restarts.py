"""Restarts as rows: planned by policies and by staff, changed, called off, given up."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection, transaction

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds import restarts, tasks
from worlds.models import Alarm, PopulationHour, Restart, RestartPolicy
from worlds.restart_steps import Step, document_of, steps_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
FIVE = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # 05:00 in Berlin


@pytest.fixture
def world():
    return make_world("lantern")


@pytest.fixture
def alice():
    return make_account("alice", is_staff=True)


@pytest.fixture
def policy(world):
    fields = {"when": "fixed", "at": time(5), "time_zone": "Europe/Berlin", "kind": "full"}
    return RestartPolicy.objects.create(world=world, **fields)


def whats(row) -> list[str]:
    return [step.what for step in steps_of(Restart.objects.get(pk=row.pk).steps)]


def test_a_policy_plans_the_next_restart_once(world, policy):
    assert restarts.plan_by_policies(now=NOW) == 1
    assert restarts.plan_by_policies(now=NOW) == 0
    row = Restart.objects.get()
    assert (row.due_at, row.kind, row.state, row.by) == (FIVE, "full", "planned", None)
    assert steps_of(row.steps) == [Step(NOW, "planned", due=FIVE, text="at 05:00, Europe/Berlin, as set")]


def test_the_task_plans_too(world, policy):
    tasks.plan_restarts()
    tasks.plan_restarts()
    assert Restart.objects.count() == 1


def test_never_plans_nothing(world):
    RestartPolicy.objects.create(world=world)
    assert restarts.plan_by_policies(now=NOW) == 0 and not Alarm.objects.exists()


def test_after_one_is_done_the_next_is_planned_with_the_minimum_uptime(world, policy):
    restarts.plan_by_policies(now=NOW)
    Restart.objects.update(state="done", ended_at=FIVE)
    restarts.plan_by_policies(now=FIVE + timedelta(minutes=2))
    assert Restart.objects.get(state="planned").due_at == FIVE + timedelta(days=1)


def test_off_peak_learns_from_the_hours_of_the_last_eight_weeks(world):
    policy = RestartPolicy.objects.create(world=world, when="off_peak", time_zone="UTC")
    hours = [NOW - timedelta(hours=n) for n in range(1, 1 + 3 * 168)]
    PopulationHour.objects.bulk_create(
        PopulationHour(world=world, at=at, mean=0.5 if at.hour == 7 else 20, most=30, samples=60)
        for at in hours
    )
    old = NOW - timedelta(weeks=9)
    PopulationHour.objects.create(world=world, at=old, mean=0, most=0, samples=60)
    due = restarts.due_by_policy(policy, NOW)
    assert due.at == datetime(2026, 11, 24, 7, tzinfo=UTC) and "0.5 players" in due.why


def test_a_stored_policy_that_can_never_fire_raises_an_alarm_which_ends_when_it_can(world, policy):
    policy.blackout_days = ["no date"]
    policy.save()
    assert restarts.plan_by_policies(now=NOW) == restarts.plan_by_policies(now=NOW) == 0
    alarm = Alarm.objects.get()
    assert alarm.key == "restart_policy" and "dates" in alarm.text and alarm.times == 2
    policy.blackout_days = []
    policy.save()
    assert restarts.plan_by_policies(now=NOW) == 1
    assert Alarm.objects.get().ended_at == NOW


def test_one_bad_policy_does_not_keep_other_worlds_from_theirs(world, policy):
    other = make_world("beacon")
    RestartPolicy.objects.create(world=other, when="fixed", at=None)
    assert restarts.plan_by_policies(now=NOW) == 1
    assert Restart.objects.get().world == world


def test_a_changed_policy_moves_what_it_had_planned(world, policy):
    restarts.plan_by_policies(now=NOW)
    policy.at, policy.kind = time(6), "rolling"
    policy.save()
    restarts.change_policy(row=policy, now=NOW)
    row = Restart.objects.get()
    assert (row.due_at, row.kind) == (FIVE + timedelta(hours=1), "rolling")
    assert whats(row) == ["planned", "changed"]
    policy.when = "never"
    restarts.change_policy(row=policy, now=NOW)
    assert Restart.objects.get().state == "cancelled"


def test_a_changed_policy_leaves_what_staff_put_off_or_planned(world, policy, alice):
    restarts.plan_by_policies(now=NOW)
    row = restarts.postpone_restart(
        restart=Restart.objects.get(), minutes=90, reason="event", by=alice, now=NOW
    )
    policy.at = time(7)
    restarts.change_policy(row=policy, now=NOW)
    assert Restart.objects.get().due_at == row.due_at == FIVE + timedelta(minutes=90)


def test_a_policy_that_can_never_fire_is_refused(world, policy):
    policy.time_zone = "Mars/Olympus"
    with pytest.raises(restarts.RestartRefused, match="no time zone"):
        restarts.change_policy(row=policy, now=NOW)


# ---------------------------------------------------------------- staff


def plan(world, by, **fields):
    values = {"kind": "rolling", "due_at": FIVE, "reason": "new maps", "now": NOW} | fields
    return restarts.plan_restart(world=world, by=by, **values)


def test_staff_plans_postpones_and_calls_off_and_each_leaves_an_audit_row(world, alice):
    row = plan(world, alice)
    row = restarts.postpone_restart(restart=row, minutes=30, reason="raid", by=alice, now=NOW)
    assert row.due_at == FIVE + timedelta(minutes=30)
    row = restarts.cancel_restart(restart=row, reason="no need", by=alice, now=NOW)
    assert row.state == "cancelled" and whats(row) == ["planned", "changed", "called_off"]
    actions = list(AuditRecord.objects.order_by("pk").values_list("action", "target", "account"))
    assert actions == [
        (action, "lantern", alice.pk)
        for action in ("restart_planned", "restart_postponed", "restart_cancelled")
    ]


def test_a_second_restart_is_refused_and_the_first_stays(world, alice):
    plan(world, alice)
    with pytest.raises(restarts.RestartRefused, match="planned or under way"):
        plan(world, alice, due_at=FIVE + timedelta(days=1))
    assert Restart.objects.get().due_at == FIVE and AuditRecord.objects.count() == 1


@pytest.mark.parametrize("due_at", [NOW - timedelta(minutes=2), NOW + timedelta(days=61)])
def test_times_that_cannot_be_are_refused(world, alice, due_at):
    with pytest.raises(restarts.RestartRefused, match="between now and"):
        plan(world, alice, due_at=due_at)
    assert not Restart.objects.exists()


@pytest.mark.parametrize(("kind", "seconds"), [("full", 60), ("rolling", 0)])
def test_now_warns_players_of_a_full_one_for_a_minute(world, alice, kind, seconds):
    row = restarts.restart_now(restart=plan(world, alice, kind=kind), reason="leak", by=alice, now=NOW)
    assert row.due_at == NOW + timedelta(seconds=seconds)


def test_now_never_puts_one_off(world, alice):
    row = plan(world, alice, kind="full", due_at=NOW + timedelta(seconds=10))
    assert restarts.restart_now(restart=row, reason="leak", by=alice, now=NOW).due_at == row.due_at


@pytest.mark.parametrize("state", ["running", "done", "failed", "cancelled"])
@pytest.mark.parametrize(
    "deed",
    [
        lambda **deed: restarts.postpone_restart(minutes=5, **deed),
        restarts.restart_now,
        restarts.cancel_restart,
    ],
)
def test_what_has_begun_or_is_over_is_not_changed(world, alice, deed, state):
    row = plan(world, alice)
    Restart.objects.update(state=state)
    with pytest.raises(restarts.RestartRefused, match="too late"):
        deed(restart=row, reason="late", by=alice, now=NOW)
    assert whats(row) == ["planned"] and AuditRecord.objects.count() == 1


def test_postponing_into_the_past_or_for_ever_is_refused(world, alice):
    row = plan(world, alice)
    for minutes in (-60 * 24, 60 * 24 * 100):
        with pytest.raises(restarts.RestartRefused, match="Choose another time"):
            restarts.postpone_restart(restart=row, minutes=minutes, reason="x", by=alice, now=NOW)


def test_one_that_was_called_off_is_not_planned_again_for_that_night(world, policy, alice):
    restarts.plan_by_policies(now=NOW)
    restarts.cancel_restart(restart=Restart.objects.get(), reason="party", by=alice, now=NOW)
    restarts.plan_by_policies(now=NOW)
    assert Restart.objects.get(state="planned").due_at == FIVE + timedelta(days=1)


# ---------------------------------------------------------------- what nobody carried out


def test_one_that_nobody_began_is_failed_with_an_alarm_and_the_next_is_planned(world, policy):
    restarts.plan_by_policies(now=NOW)
    restarts.plan_by_policies(now=FIVE + timedelta(minutes=15))
    assert Restart.objects.get().state == "planned"  # the daemon may just be starting
    restarts.plan_by_policies(now=FIVE + timedelta(minutes=16))
    failed, planned = Restart.objects.order_by("due_at")
    assert failed.state == "failed" and "not begun" in failed.error and planned.state == "planned"
    assert Alarm.objects.get(ended_at=None).key == "restart_missed"


def test_a_missed_one_of_a_world_without_a_policy_is_failed_too(world, alice):
    plan(world, alice)
    restarts.plan_by_policies(now=FIVE + timedelta(hours=1))
    assert Restart.objects.get().state == "failed"


def test_one_under_way_for_hours_stays_with_an_urgent_alarm(world, policy):
    restarts.plan_by_policies(now=NOW)
    Restart.objects.update(state="running", started_at=FIVE)
    restarts.plan_by_policies(now=FIVE + timedelta(hours=3))
    assert Restart.objects.get().state == "running"
    alarm = Alarm.objects.get()
    assert (alarm.key, alarm.level) == ("restart_stuck", "urgent")


def test_a_planner_that_dies_half_way_leaves_nothing_and_the_next_one_plans(world, policy, monkeypatch):
    class Killed(BaseException):
        """The worker is gone."""

    def die(*_args, **_fields):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(restarts.log, "info", die)  # after the row was made, before the transaction ends
        with pytest.raises(Killed), transaction.atomic():
            restarts.plan_by_policies(now=NOW)
    assert not Restart.objects.exists()
    assert restarts.plan_by_policies(now=NOW) == 1


def test_the_database_itself_holds_one_restart_at_a_time(world):
    fields = {"world": world, "kind": "full", "due_at": NOW, "made_at": NOW}
    Restart.objects.create(**fields)
    assert "one_restart_at_a_time" in connection.introspection.get_constraints(
        connection.cursor(), Restart._meta.db_table
    )
    with pytest.raises(restarts.RestartRefused):
        restarts.plan_restart(world=world, kind="full", due_at=FIVE, reason="", by=None, now=NOW)


# ---------------------------------------------------------------- steps


def test_steps_are_written_and_read_as_they_are():
    steps = [
        Step(NOW, "cluster", name="east", run="12345678901234567890"),
        Step(NOW, "notice", minutes=15, due=FIVE),
        Step(NOW, "changed", due=FIVE, text="raid", by="alice@example.org"),
    ]
    assert steps_of(document_of(*steps)) == steps


@pytest.mark.parametrize(
    "document", [None, {}, "x", [1], [{"what": "begun"}], [{"at": "noon", "what": "begun"}]]
)
def test_steps_that_cannot_be_read_are_named(document):
    with pytest.raises(ValueError, match="steps of the restart cannot be read"):
        steps_of(document)
