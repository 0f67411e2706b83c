"""Counting minutes, incidents, the status pages, their JSON and the badge."""

import json
from datetime import timedelta
from xml.etree import ElementTree

import httpx
import pytest
from django.utils import timezone

from accounts.models import Account, AuditRecord
from tests.integration.site.conftest import hour_ago, make_minutes, make_world, tell
from tests.queries import assert_same_queries
from worlds import tasks
from worlds.models import Availability, Incident, World
from worlds.selectors import world_page
from worlds.status import sampling
from worlds.status.history import history_of, platform_parts
from worlds.status.incidents import (
    IncidentRefused,
    open_incidents,
    recent_incidents,
    update_incident,
)
from worlds.status.rules import Verdict

pytestmark = pytest.mark.django_db


def test_a_minute_is_counted_once_for_hour_and_day(lanternrest):
    make_minutes(lanternrest, hour_ago(), "+")
    make_minutes(lanternrest, hour_ago(), "+")
    make_minutes(lanternrest, hour_ago() + timedelta(seconds=40), "-")
    rows = Availability.objects.filter(world=lanternrest).order_by("span")
    counted = [(row.span, row.samples, row.up, row.most) for row in rows]
    assert counted == [("day", 1, 1, 3), ("hour", 1, 1, 3)]


def test_minutes_add_up_to_shares_and_verdicts(lanternrest):
    make_minutes(lanternrest, hour_ago(3), "+" * 50 + "-" * 10, players=7)
    make_minutes(lanternrest, hour_ago(2), "p" * 60, players=0)
    history = history_of(lanternrest.pk, timezone.now())
    last = history.hours[-4:]
    assert [bar.verdict for bar in last] == [Verdict.DOWN, Verdict.PLANNED, Verdict.NONE, Verdict.NONE]
    assert history.day == pytest.approx(50 / 60)
    assert history.most == 7
    assert (len(history.days), len(history.hours)) == (90, 48)


def test_worlds_are_counted_by_what_players_can_do(lanternrest, monkeypatch):
    now = timezone.now()
    asleep = make_world("asleep", last_report_at=now - timedelta(hours=1))
    closed = make_world("closed", last_report_at=now, maintenance_since=now)
    make_world("never")
    monkeypatch.setattr("worlds.tasks.site_answers", lambda url: False)
    tasks.count_availability()
    hours = Availability.objects.filter(span="hour")
    found = {row.world_id or row.part: (row.up, row.planned) for row in hours}
    assert found == {
        lanternrest.pk: (1, 0),
        asleep.pk: (0, 0),
        closed.pk: (0, 1),
        "site": (0, 0),
        "background": (1, 0),
    }
    assert [part.is_up for part in platform_parts(now)] == [False, True]


def test_counting_costs_the_same_however_many_worlds(lanternrest, django_assert_num_queries):
    now = timezone.now()
    with django_assert_num_queries(2):
        sampling.count_minute(now, is_site_up=True)
    for number in range(5):
        make_world(f"w-{number}", last_report_at=now)
    with django_assert_num_queries(2):
        assert sampling.count_minute(now + timedelta(minutes=1), is_site_up=True) == 6


def test_minutes_that_nobody_counted_are_background_work_that_was_away():
    now = timezone.now()
    make_minutes(None, now - timedelta(days=2), "+", part="background")
    site, background = platform_parts(now)
    assert (site.is_up, background.is_up) == (None, False)
    yesterday = background.history.days[-2]
    assert yesterday.verdict == Verdict.DOWN
    assert site.history.days[-2].verdict == Verdict.NONE, "what the site did then, nobody knows"


def test_old_hours_go_before_old_days(lanternrest):
    for days in (1, 9, 401):
        make_minutes(lanternrest, timezone.now() - timedelta(days=days), "+")
    tasks.forget_old_availability()
    assert Availability.objects.filter(span="hour").count() == 1
    assert Availability.objects.filter(span="day").count() == 2


@pytest.mark.parametrize(("status", "is_up"), [(200, True), (500, False), (302, False)])
def test_the_site_works_if_it_says_so_itself(monkeypatch, status, is_up):
    asked = []

    def get(url: str, **_: object) -> httpx.Response:
        asked.append(url)
        return httpx.Response(status)

    monkeypatch.setattr(httpx, "get", get)
    assert sampling.site_answers("https://waystone.example") is is_up
    assert asked == ["https://waystone.example/healthz"]


def test_a_site_that_cannot_be_reached_is_down():
    assert sampling.site_answers("http://127.0.0.1:1") is False


def test_an_incident_is_begun_told_and_over_with_audit(staff: Account, lanternrest):
    now = timezone.now()
    text = "We see it.\n\nMore soon."
    incident = tell("Log-in is slow", text=text, worlds=[lanternrest], by=staff, now=now)
    assert [row.worlds for row in open_incidents(world="lanternrest")] == [[("lanternrest", "Lanternrest")]]
    assert open_incidents(world="elsewhere") == []
    update_incident(incident=incident, state="over", text="It was a cable.", by=staff, now=now)
    assert open_incidents() == []
    (row,) = recent_incidents(now)
    assert [update.text for update in row.updates] == ["It was a cable.", "We see it.\n\nMore soon."]
    assert recent_incidents(now + timedelta(days=15)) == []
    update_incident(incident=incident, state="known", text="It is back.", by=staff, now=now)
    assert Incident.objects.get().ended_at is None
    rows = AuditRecord.objects.filter(target=str(incident.pk)).order_by("pk")
    actions = [row.action for row in rows if row.account_id == staff.pk]
    assert actions == ["incident_begun", "incident_updated", "incident_updated"]


@pytest.mark.parametrize(
    "values",
    [
        *({"title": title} for title in (" ", "x" * 121, "a\nb")),
        *({"text": text} for text in ("", "a\x00b", "x" * 1001)),
        {"impact": "huge"},
    ],
)
def test_an_incident_that_says_nothing_is_refused(values):
    with pytest.raises(IncidentRefused):
        tell(**values)
    assert not Incident.objects.exists()
    assert not AuditRecord.objects.exists()


def test_the_status_page_tells_what_is_going_on(client, staff, lanternrest):
    make_minutes(lanternrest, hour_ago(), "+" * 30 + "-" * 30)
    make_minutes(None, timezone.now() - timedelta(minutes=1), "+", part="background")
    page = client.get("/status/").content.decode()
    assert "Everything works" in page
    assert "50 %" in page
    assert "No worlds" not in page
    incident = tell("<b>Worlds</b> are away", impact="major", text="<script>")
    page = client.get("/status/").content.decode()
    assert "Everything works" not in page
    assert "&lt;b&gt;Worlds&lt;/b&gt; are away" in page and "<script>" not in page
    assert "Worlds&lt;/b&gt; are away" in client.get("/status-now/").content.decode()
    update_incident(incident=incident, state="over", text="They are back.", by=staff, now=timezone.now())
    page = client.get("/status/").content.decode()
    assert "Everything works" in page and "They are back." in page


def test_a_status_that_nobody_counts_says_so(client):
    assert "nothing has been counted yet" in client.get("/status/").content.decode()
    make_minutes(None, timezone.now() - timedelta(minutes=30), "+", part="background")
    assert "Nobody has counted for a while" in client.get("/status/").content.decode()


def test_a_world_s_status_has_figures_and_lines_to_copy(client, lanternrest, settings):
    World.objects.filter(pk=lanternrest.pk).update(name='Lantern "[rest]"')
    make_minutes(lanternrest, hour_ago(), "+" * 60)
    page = client.get("/status/lanternrest/").content.decode()
    assert "100 %" in page
    assert f"{settings.PUBLIC_URL}/worlds/lanternrest/badge.svg" in page
    assert "alt=&quot;Lantern &amp;quot;[rest]&amp;quot;&quot;" in page, "what is copied is sound HTML"
    assert "[![Lantern &quot;\\[rest\\]&quot;]" in page
    assert client.get("/status/nowhere/").status_code == 404


def test_json_tells_the_same(client, staff, lanternrest):
    make_minutes(lanternrest, hour_ago(), "+" * 60, players=4)
    tell(worlds=[lanternrest])
    answer = client.get("/api/v1/worlds/lanternrest/status/")
    said = json.loads(answer.content)
    assert said["uptime"]["day"] == 1.0
    assert (len(said["days"]), len(said["hours"])) == (90, 48)
    assert said["hours"][-2] | {"at": ""} == {
        "at": "", "verdict": "up", "uptime": 1.0, "players": 4.0, "most_players": 4,
    }  # fmt: skip
    assert said["incidents"][0]["worlds"] == ["lanternrest"]
    assert answer["Access-Control-Allow-Origin"] == "*"
    again = client.get("/api/v1/worlds/lanternrest/status/", headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304
    platform = json.loads(client.get("/api/v1/status/").content)
    assert (platform["worlds"], platform["worlds_online"]) == (1, 1)
    assert [part["part"] for part in platform["parts"]] == ["site", "background"]
    assert client.get("/api/v1/worlds/nowhere/status/").status_code == 404


def test_a_badge_is_an_image_that_other_sites_may_show(client, lanternrest):
    answer = client.get("/worlds/lanternrest/badge.svg")
    assert answer["Content-Type"] == "image/svg+xml"
    assert "max-age=30" in answer["Cache-Control"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    ElementTree.fromstring(answer.content)  # noqa: S314  (our own text)
    assert b"0 players" in answer.content
    assert client.get("/worlds/nowhere/badge.svg").status_code == 404
    assert client.post("/worlds/lanternrest/badge.svg").status_code == 405


@pytest.mark.parametrize("path", ["/status/", "/worlds/", "/status/lanternrest/", "/worlds/lanternrest/"])
def test_queries_do_not_grow_with_rows(client, staff, lanternrest, path):
    def grow() -> None:
        now = timezone.now()
        for number in range(8):
            world = make_world(f"world-{number}", last_report_at=now)
            make_minutes(world, now - timedelta(minutes=3), "++-")
            tell(worlds=[world, lanternrest])

    tell(worlds=[lanternrest])
    assert_same_queries(client, path, grow)


def test_a_world_s_page_tells_its_past_and_its_rules(client, lanternrest):
    make_minutes(lanternrest, hour_ago(), "+" * 60)
    page = client.get("/worlds/lanternrest/").content.decode()
    assert "Be kind." in page
    assert "Rules of the house" in page
    assert "100 %" in page
    found = world_page("lanternrest", timezone.now())
    assert found is not None and found.row.tags == ["story", "co-op"]
    assert client.get("/worlds/lanternrest/now/").status_code == 200
    assert client.get("/worlds/nowhere/now/").status_code == 404
