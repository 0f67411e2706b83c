"""What the daemon reads of upkeep, and what it writes back, on a real PostgreSQL."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tests.integration.worlds.makers import make_world
from worlds.daemon import rows
from worlds.daemon.core.upkeep import (
    EndAlarm,
    NoteAnnouncement,
    NoteMove,
    NoteRestart,
    RaiseAlarm,
)
from worlds.daemon.upkeep_rows import load_upkeep
from worlds.models import Alarm, Announcement, PlacementPlan, Restart, World, ZoneMove
from worlds.restart_steps import Step, document_of, steps_of
from worlds.restarts import plan_restart, postpone_restart


def make_move(world: World, now: datetime, **fields: object) -> ZoneMove:
    values = {"zone": "harbour", "instance": 1001, "target": "west", "reason": "full", "state": "waiting"}
    return ZoneMove.objects.create(world=world, asked_at=now, **{**values, **fields})


def note(row: ZoneMove | None, state: str, **fields: object) -> NoteMove:
    names = ("harbour", 1001, "east", "west", "full")
    return NoteMove(row.pk if row else None, *names, state, **fields)


@pytest.mark.django_db
def test_only_what_is_asked_of_this_world_is_read() -> None:
    now = timezone.now()
    world, other = make_world("aurora"), make_world("borealis")
    waiting = make_move(world, now)
    moving = make_move(world, now, state="moving")
    for state in ("proposed", "done", "failed", "dropped"):
        make_move(world, now, state=state)
    make_move(other, now)
    due = Restart.objects.create(world=world, kind="rolling", due_at=now, made_at=now, steps=[{"a": 1}])
    Restart.objects.create(world=other, kind="full", due_at=now, made_at=now)
    said = Announcement.objects.create(world=world, text="Old.", at=now, said_at=now)
    told = Announcement.objects.create(world=world, text="Soon.", at=now)
    Announcement.objects.create(world=world, text="Later.", at=now + timedelta(minutes=1))
    event = load_upkeep("aurora", now)
    assert [move.id for move in event.moves] == [moving.pk, waiting.pk]
    assert [(row.id, row.kind, row.steps) for row in event.restarts] == [(due.pk, "rolling", ({"a": 1},))]
    assert [row.id for row in event.announcements] == [told.pk] != [said.pk]
    assert event.maintenance is None and event.wall == now
    World.objects.filter(slug="aurora").update(maintenance_since=now, maintenance_text="Wait.")
    maintenance = load_upkeep("aurora", now).maintenance
    assert maintenance is not None and (maintenance.since, maintenance.text) == (now, "Wait.")


@pytest.mark.django_db
def test_a_move_is_written_down_from_begin_to_end_and_ends_once() -> None:
    now = timezone.now()
    row = make_move(make_world("aurora"), now)
    rows.write_rows("aurora", [note(row, "moving")], now)
    rows.write_rows("aurora", [note(row, "done", players=3)], now + timedelta(seconds=2))
    rows.write_rows("aurora", [note(row, "failed", error="late")], now + timedelta(seconds=9))
    row.refresh_from_db()
    assert (row.state, row.players, row.error, row.source) == ("done", 3, "", "east")
    assert (row.started_at, row.ended_at) == (now, now + timedelta(seconds=2))


@pytest.mark.django_db
def test_the_daemons_own_move_is_one_row_of_history() -> None:
    now = timezone.now()
    make_world("aurora")
    rows.write_rows("aurora", [note(None, "moving"), note(None, "failed", error="x" * 500)], now)
    row = ZoneMove.objects.get()
    assert (row.state, row.reason, len(row.error), row.ended_at) == ("failed", "full", 400, now)


@pytest.mark.django_db
@pytest.mark.parametrize(("ends", "state"), [(("done", "done"), "done"), (("done", "failed"), "failed")])
def test_a_plan_is_over_with_its_last_move(ends: tuple[str, str], state: str) -> None:
    now = timezone.now()
    world = make_world("aurora")
    plan = PlacementPlan.objects.create(world=world, state="approved", reason="even", made_at=now)
    moves = [make_move(world, now, plan=plan), make_move(world, now, plan=plan)]
    rows.write_rows("aurora", [note(moves[0], ends[0])], now)
    plan.refresh_from_db()
    assert (plan.state, plan.ended_at) == ("approved", None)
    rows.write_rows("aurora", [note(moves[1], ends[1])], now)
    plan.refresh_from_db()
    assert (plan.state, plan.ended_at) == (state, now)


@pytest.mark.django_db
def test_restarts_announcements_and_alarms_are_written() -> None:
    now = timezone.now()
    world = make_world("aurora")
    restart = Restart.objects.create(world=world, kind="full", due_at=now, made_at=now)
    line = Announcement.objects.create(world=world, text="Soon.", at=now)
    alarm = RaiseAlarm("cluster_dead:east", "East is dead.", "Look at its log.", "urgent")
    begun, back = Step(now, "begun"), Step(now, "players_back", text="4 of 4")
    rows.write_rows("aurora", [NoteRestart(restart.pk, "running", (begun,))], now)
    rows.write_rows("aurora", [NoteAnnouncement(line.pk, 7), alarm, alarm], now)
    restart.refresh_from_db()
    line.refresh_from_db()
    assert (restart.state, restart.started_at, restart.steps) == ("running", now, document_of(begun))
    assert (line.said_at, line.heard) == (now, 7)
    assert [(row.key, row.times, row.ended_at) for row in Alarm.objects.all()] == [(alarm.key, 2, None)]
    done = NoteRestart(restart.pk, "done", (back,))
    rows.write_rows("aurora", [done, EndAlarm(alarm.key)], now)
    rows.write_rows("aurora", [NoteRestart(restart.pk, "running", ())], now)
    restart.refresh_from_db()
    assert (restart.state, steps_of(restart.steps), restart.ended_at) == ("done", [begun, back], now)
    assert Alarm.objects.get().ended_at == now


@pytest.mark.django_db
@pytest.mark.parametrize("meanwhile", ["put off", "called off", "nothing"])
def test_a_restart_is_claimed_only_as_it_was_seen(meanwhile: str) -> None:
    world, now = make_world("aurora"), timezone.now()
    restart = Restart.objects.create(world=world, kind="full", due_at=now, made_at=now)
    claim = NoteRestart(restart.pk, "running", (Step(now, "begun"),), due_at=now)
    if meanwhile == "put off":
        Restart.objects.update(due_at=now + timedelta(minutes=30))
    elif meanwhile == "called off":
        Restart.objects.update(state="cancelled")
    rows.write_rows("aurora", [claim], now)
    rows.write_rows("aurora", [claim], now)
    restart.refresh_from_db()
    is_claimed = meanwhile == "nothing"
    assert (restart.started_at is not None, len(restart.steps)) == (is_claimed, int(is_claimed))


@pytest.mark.django_db
def test_steps_of_the_daemon_and_of_staff_stand_beside_each_other() -> None:
    world, now = make_world("aurora"), timezone.now()
    soon = now + timedelta(hours=1)
    restart = plan_restart(world=world, kind="full", due_at=soon, reason="", by=None, now=now)
    notice = Step(now, "notice", minutes=60, due=soon)
    rows.write_rows("aurora", [NoteRestart(restart.pk, "planned", (notice,))], now)
    row = postpone_restart(restart=restart, minutes=5, reason="raid", by=None, now=now)
    rows.write_rows("aurora", [NoteRestart(restart.pk, "planned", (notice,))], now)
    row.refresh_from_db()
    assert [step.what for step in steps_of(row.steps)] == ["planned", "notice", "changed", "notice"]
    assert (row.state, row.started_at) == ("planned", None)


@pytest.mark.django_db
def test_another_worlds_restart_is_not_touched() -> None:
    make_world("aurora")
    other, now = make_world("beacon"), timezone.now()
    restart = Restart.objects.create(world=other, kind="full", due_at=now, made_at=now)
    rows.write_rows("aurora", [NoteRestart(restart.pk, "done", (Step(now, "done"),))], now)
    restart.refresh_from_db()
    assert (restart.state, restart.steps) == ("planned", [])
