"""How a zone cluster keeps time, as the admin shows it: to staff, and to nobody else."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.integration.worlds.makers import make_account, make_world
from worlds.cluster_figures import figures_of, figures_panel
from worlds.models import Zone, ZoneCluster
from zonecluster.daemon.phases import PHASES
from zonecluster.protocol.figures import ClusterFigures, Consumer, InstanceFigures, PhaseFigures

pytestmark = pytest.mark.django_db


def figures(**changes) -> ClusterFigures:
    values = {
        "phases": [PhaseFigures(name, 0.5 + number, 1.0 + number) for number, name in enumerate(PHASES)],
        "tick_p50_ms": 12.25,
        "tick_p99_ms": 31.5,
        "tick_max_ms": 44.0,
        "interval_p99_ms": 51.0,
        "late_p99_ms": 1.25,
        "instability": 0.0042,
        "ticks": 123456,
        "skipped_ticks": 7,
        "entities": 2048,
        "sent_bytes_per_player_s": 9300,
        "received_bytes_per_player_s": 1200,
        "drops": {"forged": 3, "rate_limited": 77},
        "lost_datagrams": 0,
    }
    return ClusterFigures(**{**values, **changes})


def make_cluster(**status) -> ZoneCluster:
    """Make a cluster's row as the world daemon writes it."""
    written = {
        "players": 1234,
        "dilation": 1.0,
        "metrics": "127.0.0.1:9464",
        "figures": msgspec.to_builtins(figures()),
    }
    world = make_world(f"world-{ZoneCluster.objects.count()}")
    now = timezone.now()
    return ZoneCluster.objects.create(
        world=world, name="east", udp_port=0, max_players=5000, last_seen_at=now, status={**written, **status}
    )


def address(cluster: ZoneCluster) -> str:
    return reverse("admin:worlds_zonecluster_change", args=[cluster.pk])


def test_figures_survive_the_database() -> None:
    cluster = make_cluster()
    assert figures_of(ZoneCluster.objects.get(pk=cluster.pk)) == figures()


def test_staff_see_every_phase_and_the_large_numbers(client) -> None:
    client.force_login(make_account("alice", is_staff=True, is_superuser=True))
    text = client.get(address(make_cluster())).content.decode()
    for phase in PHASES:
        assert f"<td>{phase}</td>" in text
    for shown in (
        "1,234",
        "100%",
        "12.2 ms",
        "31.5",
        "44.0",
        "0.0042",
        "9.3 kB/s",
        "rate_limited",
        "123,456",
    ):
        assert shown in text, shown
    assert "http://127.0.0.1:9464/metrics" in text
    assert 'hx-trigger="every 3s"' in text
    assert "sent_bytes_per_player_s" not in text  # drawn, not repeated as a document


def test_staff_see_who_uses_most_and_what_zones_cost(client) -> None:
    client.force_login(make_account("alice", is_staff=True, is_superuser=True))
    cluster = make_cluster()
    zone = Zone.objects.create(
        world=cluster.world, slug="harbour", name="The Harbour", size=100, entry_x=1, entry_y=1
    )
    costs = figures(
        window=3.0,
        cpu_ms=412.0,
        unassigned_ms=20.0,
        budget_refusals=1234,
        consumers=[Consumer(UUID(int=1), "Mallory", 87.654, 0.2127, 31.5, zone.pk * 1000 + 1)],
        instances=[
            InstanceFigures(zone.pk * 1000 + 1, 200, 55, 333.333, 40.0),
            InstanceFigures(7, 0, 0, 0.0, 0.0),
        ],
    )
    cluster.status["figures"] = msgspec.to_builtins(costs)
    cluster.save()
    text = client.get(address(cluster)).content.decode()
    for shown in ("Mallory", "87.65", "21.3%", "31.5", "The Harbour", "333.33", "a zone that is gone"):
        assert shown in text, shown
    assert "41.2 %" in text and "1,234 commands refused" in text


def test_slow_time_is_marked_by_more_than_colour() -> None:
    slow = make_cluster(dilation=0.47, figures=msgspec.to_builtins(figures(tick_p99_ms=103.0)))
    panel = figures_panel(slow, timezone.now())
    assert "! 47%" in panel
    assert "! 12.2 ms" in panel
    assert "! " not in figures_panel(make_cluster(), timezone.now())


def test_a_silent_cluster_is_said_to_be_silent() -> None:
    cluster = make_cluster()
    assert "Silent" in figures_panel(cluster, timezone.now() + timedelta(minutes=5))
    never = ZoneCluster.objects.create(world=cluster.world, name="west", udp_port=0)
    assert "never been seen" in figures_panel(never, timezone.now())


@pytest.mark.parametrize(
    "status",
    [
        {"figures": None},
        {"figures": {"phases": "many"}},
        {"figures": [1, 2]},
        {"figures": msgspec.to_builtins(figures(phases=[]))},
        {"dilation": "fast", "players": None},
        {"dilation": 0},
    ],
    ids=str,
)
def test_a_status_of_another_release_breaks_nothing(client, status) -> None:
    client.force_login(make_account("alice", is_staff=True, is_superuser=True))
    assert client.get(address(make_cluster(**status))).status_code == 200


def test_texts_from_a_cluster_are_no_markup() -> None:
    cluster = make_cluster(
        metrics="<script>alert(1)</script>",
        figures=msgspec.to_builtins(
            figures(
                drops={"<b>x</b>": 1},
                phases=[PhaseFigures("<i>", 1, 1)],
                consumers=[Consumer(UUID(int=1), "<u>M</u>", 1.0, 0.1)],
            )
        ),
    )
    panel = figures_panel(cluster, timezone.now())
    assert not any(mark in panel for mark in ("<script", "<b>", "<i>", "<u>"))


@pytest.mark.parametrize("role", ["anonymous", "player", "owner", "staff without the right"])
def test_others_do_not_see_them(client, role: str) -> None:
    cluster = make_cluster()
    if role != "anonymous":
        mallory: Account = make_account("mallory", is_staff=role.startswith("staff"))
        if role == "owner":
            cluster.world.owner = mallory
            cluster.world.save()
        client.force_login(mallory)
    response = client.get(address(cluster))
    assert response.status_code in (302, 403)
    assert b"figures" not in response.content


def test_staff_who_may_only_view_see_them(client) -> None:
    bob = make_account("bob", is_staff=True)
    bob.user_permissions.add(Permission.objects.get(codename="view_zonecluster"))
    client.force_login(bob)
    assert b'id="figures"' in client.get(address(make_cluster())).content
