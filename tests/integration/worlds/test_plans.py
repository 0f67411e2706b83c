"""Placement plans as rows: made from what clusters report, approved, dropped, made by the planner itself."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds import plans, tasks
from worlds.models import Alarm, Host, PlacementPlan, Restart, World, Zone, ZoneCluster, ZoneCost, ZoneMove
from worlds.planning.model import HOURS

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 20, 30, tzinfo=UTC)  # a Friday
HOUR = 4 * 24 + 20


@pytest.fixture
def world() -> World:
    return make_world("lantern", host_status={"cores": 8, "memory_mb": 16_000})


@pytest.fixture
def staff():
    return make_account("staff", is_staff=True, is_superuser=True)


def cluster(
    world: World, name: str, *, zones: dict[int, float] | None = None, **fields: object
) -> ZoneCluster:
    """Make a living cluster. Args: zones: CPU ms/s by instance number."""
    instances = [
        {"instance": number, "cpu_ms": cost, "players": 10} for number, cost in (zones or {}).items()
    ]
    status = {"instances": list(zones or {}), "figures": {"instances": instances, "unassigned_ms": 20.0}}
    return ZoneCluster.objects.create(
        world=world, name=name, udp_port=0, last_seen_at=NOW, status=status, **fields
    )


def zone(world: World, slug: str, *, cost: float = 0.0, **fields: object) -> Zone:
    row = Zone.objects.create(world=world, slug=slug, name=slug, size=100, entry_x=1, entry_y=1, **fields)
    rows = (
        ZoneCost(zone=row, hour=hour, cpu_ms=cost, players=1, commands=0, updated_at=NOW)
        for hour in range(HOURS if cost else 0)
    )
    ZoneCost.objects.bulk_create(rows)
    return row


@pytest.fixture
def uneven(world):
    """Two busy zones on one of two clusters."""
    tavern, arena = zone(world, "tavern", cost=400), zone(world, "arena", cost=350)
    east = cluster(world, "east", zones={tavern.pk * 1000 + 1: 400, arena.pk * 1000 + 1: 350})
    west = cluster(world, "west")
    Zone.objects.filter(world=world).update(home_cluster=east)
    return east, west


def test_a_dry_run_moves_nothing_and_says_why(world, uneven, staff):
    plan = plans.make_plan(world=world, now=NOW, by=staff)
    move = plan.moves.get()
    assert (plan.state, move.state, move.source, move.target) == ("proposed", "proposed", "east", "west")
    assert "east would be" in move.reason and plan.reason.startswith("One move")
    assert plan.figures["before"]["busiest"] > 0.9 > plan.figures["after"]["busiest"]
    assert set(Zone.objects.values_list("home_cluster__name", flat=True)) == {"east"}
    assert AuditRecord.objects.get().action == "placement_planned"


def test_approved_moves_wait_for_the_daemon_and_the_zone_has_a_new_home(world, uneven, staff):
    plan = plans.make_plan(world=world, now=NOW)
    plans.approve(plan=plan, by=staff, now=NOW, reason="evening")
    plan.refresh_from_db()
    move = plan.moves.get()
    assert (plan.state, move.state) == ("approved", "waiting")
    assert Zone.objects.get(slug=move.zone).home_cluster.name == "west"
    assert AuditRecord.objects.get().detail == {"moves": 1, "plan": plan.pk, "reason": "evening"}
    with pytest.raises(plans.PlanRefused, match="not proposed"):
        plans.approve(plan=plan, by=staff, now=NOW)
    with pytest.raises(plans.PlanRefused, match="not proposed"):
        plans.drop(plan=plan, by=staff, now=NOW, reason="")


def test_no_second_plan_while_zones_are_moving(world, uneven, staff):
    plans.approve(plan=plans.make_plan(world=world, now=NOW), by=staff, now=NOW)
    other = plans.make_plan(world=world, now=NOW)
    with pytest.raises(plans.PlanRefused, match="being moved"):
        plans.approve(plan=other, by=staff, now=NOW)


def test_a_zone_that_runs_nowhere_only_gets_another_home(world, staff):
    zone(world, "tavern", cost=500), zone(world, "arena", cost=500)
    east = cluster(world, "east")
    cluster(world, "west")
    Zone.objects.update(home_cluster=east)
    plan = plans.make_plan(world=world, now=NOW)
    plans.approve(plan=plan, by=staff, now=NOW)
    plan.refresh_from_db()
    assert (plan.state, plan.moves.get().state) == ("done", "done")
    assert set(Zone.objects.values_list("home_cluster__name", flat=True)) == {"east", "west"}


def moved(west: ZoneCluster, east: ZoneCluster) -> None:
    status = {**east.status, "instances": []}
    ZoneCluster.objects.filter(pk=west.pk).update(status=east.status)
    ZoneCluster.objects.filter(pk=east.pk).update(status=status)


def pinned(west: ZoneCluster, east: ZoneCluster) -> None:
    Zone.objects.update(is_pinned=True)


def gone(west: ZoneCluster, east: ZoneCluster) -> None:
    ZoneCluster.objects.filter(pk=west.pk).update(is_enabled=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (moved, "is not where it was"),
        (pinned, "is pinned to east now"),
        (gone, "west is not there any more"),
        (None, "its hour is over"),
    ],
)
def test_a_plan_of_what_is_not_so_any_more_is_refused_and_changes_nothing(
    world, uneven, staff, change, words
):
    east, west = uneven
    plan = plans.make_plan(world=world, now=NOW)
    if change is not None:
        change(west, east)
    later = NOW if change is not None else NOW + timedelta(minutes=61)
    with pytest.raises(plans.PlanRefused, match=words):
        plans.approve(plan=plan, by=staff, now=later)
    assert set(Zone.objects.values_list("home_cluster__name", flat=True)) == {"east"}
    assert plan.moves.get().state == "proposed" and not AuditRecord.objects.exists()


def test_a_newer_dry_run_replaces_an_older_one(world, uneven):
    old = plans.make_plan(world=world, now=NOW)
    plans.make_plan(world=world, now=NOW)
    old.refresh_from_db()
    assert (old.state, old.moves.get().state) == ("dropped", "dropped")


def test_what_is_pinned_or_dead_or_disabled_is_left_out(world, uneven):
    Zone.objects.filter(world=world).update(is_pinned=True)
    assert not plans.make_plan(world=world, now=NOW).moves.exists()
    Zone.objects.filter(world=world).update(is_pinned=False)
    ZoneCluster.objects.filter(name="west").update(is_enabled=False)
    assert not plans.make_plan(world=world, now=NOW).moves.exists()
    ZoneCluster.objects.filter(name="west").update(is_enabled=True, last_seen_at=NOW - timedelta(minutes=1))
    assert not plans.make_plan(world=world, now=NOW).moves.exists()


def test_without_a_living_cluster_there_is_nothing_to_plan_with(world):
    with pytest.raises(plans.PlanRefused, match="No zone cluster"):
        plans.make_plan(world=world, now=NOW)


def test_what_a_zone_costs_now_counts_although_it_is_not_usual(world):
    tavern, arena = zone(world, "tavern", cost=10), zone(world, "arena", cost=10)
    cluster(world, "east", zones={tavern.pk * 1000 + 1: 400, arena.pk * 1000 + 1: 380})
    cluster(world, "west")
    assert plans.make_plan(world=world, now=NOW).moves.count() == 1


def test_the_machines_of_hosts_count_and_what_staff_has_set_goes_before_what_they_say(world):
    host = Host.objects.create(world=world, name="attic", status={"cores": 16, "memory_mb": 2000}, cores=2)
    cluster(world, "east")
    cluster(world, "west", host=host)
    seats, machines = plans.seats_and_machines(world, NOW)
    assert [(seat.name, seat.machine, seat.capacity) for seat in seats] == [
        ("east", "", 780.0),
        ("west", "attic", 780.0),
    ]
    assert {machine.name: machine.capacity for machine in machines} == {"": 6375.0, "attic": 1700.0}
    assert {machine.name: machine.memory_mb for machine in machines} == {"": 15_600.0, "attic": 1600.0}


def test_too_little_room_whatever_is_moved_is_an_alarm_that_ends(world, uneven):
    ZoneCluster.objects.filter(name="west").update(is_enabled=False)
    ZoneCost.objects.filter(zone__slug="arena").update(cpu_ms=700)
    plans.make_plan(world=world, now=NOW)
    assert "too small" in Alarm.objects.get(ended_at=None).text
    ZoneCluster.objects.filter(name="west").update(is_enabled=True)
    plans.make_plan(world=world, now=NOW)
    assert not Alarm.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize(("placement", "state"), [("automatic", "approved"), ("proposed", "proposed")])
def test_the_planner_plans_by_itself_as_it_may(world, uneven, placement, state):
    World.objects.update(placement=placement)
    plans.plan_when_due(now=NOW)
    assert PlacementPlan.objects.get().state == state
    plans.plan_when_due(now=NOW + timedelta(minutes=10))
    assert PlacementPlan.objects.count() == 1, "it rests"


def test_the_planner_leaves_a_world_alone_that_wants_none_or_needs_none(world, uneven):
    World.objects.update(placement="by_hand")
    plans.plan_when_due(now=NOW)
    World.objects.update(placement="automatic")
    ZoneCost.objects.all().delete()
    ZoneCluster.objects.update(status={})
    plans.plan_when_due(now=NOW)
    assert not PlacementPlan.objects.exists()


@pytest.mark.parametrize("due", [timedelta(minutes=5), timedelta(minutes=-1)])
def test_nothing_is_planned_near_a_restart(world, uneven, due):
    Restart.objects.create(world=world, kind="rolling", due_at=NOW + due, made_at=NOW)
    plans.plan_when_due(now=NOW)
    assert not PlacementPlan.objects.exists()


def test_the_task_plans(world, uneven):
    ZoneCluster.objects.update(last_seen_at=datetime.now(UTC))
    tasks.plan_placement()
    assert ZoneMove.objects.filter(state="waiting").count() == 1


# ---------------------------------------------------------------- admin


def test_staff_plans_and_approves_in_the_admin(client, world, uneven, staff):
    ZoneCluster.objects.update(last_seen_at=datetime.now(UTC))
    client.force_login(staff)
    lever = reverse("admin:worlds_world_plan_placement", args=[world.pk])
    done = client.post(lever, {"_form_submitted": "on"})
    plan = PlacementPlan.objects.get()
    page = reverse("admin:worlds_placementplan_change", args=[plan.pk])
    assert done["HX-Redirect"] == page
    assert "east would be" in client.get(page).content.decode()
    approve = reverse("admin:worlds_placementplan_approve", args=[plan.pk])
    assert client.post(approve, {"_form_submitted": "on", "reason": "full evenings"})["HX-Redirect"] == page
    assert ZoneMove.objects.get().state == "waiting"
    assert client.post(approve, {"_form_submitted": "on", "reason": "again"}).status_code == 403


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk", "viewer"])
def test_others_plan_and_approve_nothing(client, world, uneven, role):
    plan = plans.make_plan(world=world, now=NOW)
    status = 302 if role in ("anonymous", "player") else 403
    if role != "anonymous":
        account = make_account("mallory", is_staff=role != "player")
        if role == "viewer":
            rights = Permission.objects.filter(
                codename__in=["view_placementplan", "view_world", "change_world"]
            )
            account.user_permissions.set(rights)
        client.force_login(account)
    deed = {"_form_submitted": "on", "reason": "mine"}
    for name, row in (
        ("world_plan_placement", world),
        ("placementplan_approve", plan),
        ("placementplan_drop", plan),
    ):
        address = reverse(f"admin:worlds_{name}", args=[row.pk])
        assert client.post(address, deed).status_code == status
    plan.refresh_from_db()
    assert (plan.state, PlacementPlan.objects.count()) == ("proposed", 1)
