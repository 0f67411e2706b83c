"""What is written down of metrics and alarms is what there is: documents, dashboard, rules."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from prometheus_client import CollectorRegistry

from tests.integration.worlds.makers import make_world
from waystone.gateway.hub import Hub
from waystone.gateway.metrics import GatewayFigures
from waystone.observing import requests, tasks
from waystone.observing.deployment import DeploymentFigures
from worlds import alarms
from worlds.bus import Outbox
from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.metrics import CoreFigures, ShellFigures
from worlds.models import Alarm, Backup

pytestmark = pytest.mark.django_db
DOCS = Path(__file__).parents[3] / "docs"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NAME = re.compile(r"\bwaystone_(?:web|deployment|gateway|daemon|worker|beat|zone)_[a-z_]+\b")
SUFFIXES = ("_bucket", "_sum", "_count")


def names(registry: CollectorRegistry) -> set[str]:
    """Return the names by which Prometheus knows what is in a registry; of a histogram, without its parts."""
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
        if not family.name.startswith("process_")
    }


@pytest.fixture
def there_is() -> set[str]:
    make_world("lantern", last_report_at=NOW)
    Backup.objects.create(name="b", started_at=NOW, proven_at=NOW)
    core = DaemonCore(Catalog("lantern", "", 10, "ws://"), NOW, 1)
    shell = ShellFigures()
    shell.registry.register(CoreFigures(core.world, Outbox(), lambda: 7))
    of_gateway, of_deployment = CollectorRegistry(), CollectorRegistry()
    of_gateway.register(GatewayFigures(Hub(world="lantern", name="g")))
    of_deployment.register(DeploymentFigures())
    registries = [shell.registry, of_gateway, of_deployment, requests.registry, tasks.registry]
    return set().union(*map(names, registries))


def test_every_metric_is_documented_and_no_other(there_is):
    text = (DOCS / "monitoring.md").read_text()
    table = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `waystone_"))
    assert set(NAME.findall(table)) == there_is


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml"])
def test_dashboard_and_rules_use_only_what_there_is(there_is, file):
    text = (DOCS / "monitoring" / file).read_text()
    of_zones = set(NAME.findall((DOCS / "operating.md").read_text()))
    used = set(NAME.findall(text))
    known = there_is | of_zones | {name + suffix for name in there_is | of_zones for suffix in SUFFIXES}
    assert len(used) > 8 and used <= known
    if file.endswith("json"):
        panels = json.loads(text)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_kind_of_alarm_is_documented_and_no_other():
    text = (DOCS / "monitoring.md").read_text().split("## Alarms")[1]
    assert dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", text, re.MULTILINE)) == alarms.KINDS


def test_an_alarm_of_an_unknown_kind_counts_and_is_a_fault_of_ours(caplog):
    alarms.raise_alarm(key="sky_falls:east", text="x", advice="", now=NOW)
    assert Alarm.objects.get().key == "sky_falls:east"


def test_an_alarm_that_lasts_is_one_row_and_the_next_one_another():
    world = make_world("lantern")
    for _ in range(3):
        alarms.raise_alarm(key="host_lost:attic", text="x", advice="", now=NOW, world=world)
    assert Alarm.objects.get().times == 3
    alarms.end_alarm(key="host_lost:attic", now=NOW, world=world)
    alarms.end_alarm(key="host_lost:attic", now=NOW, world=world)
    alarms.raise_alarm(key="host_lost:attic", text="x", advice="", now=NOW, world=world)
    assert set(Alarm.objects.values_list("times", "ended_at")) == {(1, None), (3, NOW)}


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("given", "is_kept"), [("abcDEF-123", True), ("short", False), ("x" * 65, False), ("a\nb12345", False)]
)
def test_a_request_has_an_id_and_a_decent_one_is_kept(given, is_kept):
    got = Client().get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert (got == given) is is_kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", got)


def test_paths_that_lead_nowhere_are_one_route():
    client = Client()
    for number in range(5):
        client.get(f"/nowhere/{number}")
    client.generic("BREW", "/healthz")
    routes = {
        sample.labels["route"]
        for family in requests.registry.collect()
        if family.name == "waystone_web_requests"
        for sample in family.samples
    }
    methods = {
        sample.labels["method"]
        for family in requests.registry.collect()
        if family.name == "waystone_web_requests"
        for sample in family.samples
    }
    assert "none" in routes and not any("nowhere" in route for route in routes)
    assert "other" in methods and "BREW" not in methods
