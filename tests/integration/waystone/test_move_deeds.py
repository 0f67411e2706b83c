"""What staff can do to where zones run, in the admin: moves, pins; nobody else can."""

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import Zone, ZoneCluster, ZoneMove

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on", "reason": "the evening"}
MOVE = DIALOG | {"cluster": "west", "copy": "2"}


@pytest.fixture
def zone() -> Zone:
    world = make_world("lantern", tier="official")
    east = ZoneCluster.objects.create(world=world, name="east", udp_port=0)
    ZoneCluster.objects.create(world=world, name="west", udp_port=0)
    ZoneCluster.objects.create(world=world, name="shut", udp_port=0, is_enabled=False)
    other = make_world("borealis")
    ZoneCluster.objects.create(world=other, name="north", udp_port=0)
    return Zone.objects.create(
        world=world, slug="quay", name="Quay", size=100, entry_x=1, entry_y=1, home_cluster=east
    )


def lever(name: str, row: Zone | ZoneMove) -> str:
    return reverse(f"admin:worlds_{row._meta.model_name}_{name}", args=[row.pk])


def told(answer) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_a_move_is_asked_for_and_taken_back(client, staff, zone):
    answer = client.post(lever("move_zone", zone), MOVE)
    move = ZoneMove.objects.get()
    assert (move.zone, move.instance, move.target) == ("quay", zone.pk * 1000 + 2, "west")
    assert (move.state, move.reason, move.source) == ("waiting", "the evening", "")
    assert "moves it now" in told(answer)
    assert b"quay" in client.get(reverse("admin:worlds_zonemove_change", args=[move.pk])).content
    client.post(lever("take_back", move), DIALOG)
    move.refresh_from_db()
    assert move.state == "dropped" and move.ended_at is not None
    actions = list(AuditRecord.objects.order_by("id").values_list("action", "target", "account"))
    who = ("lantern/quay", staff.pk)
    assert actions == [("zone_move_asked", *who), ("zone_move_dropped", *who)]
    assert client.post(lever("take_back", move), DIALOG).status_code == 403, "it is over"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"cluster": "north"}, "no cluster"),  # another world's
        ({"cluster": "shut"}, "disabled"),
        ({"cluster": "West End"}, ""),
        ({"copy": "0"}, ""),
        ({"copy": "1000"}, ""),
        ({"reason": ""}, ""),
    ],
)
def test_what_makes_no_sense_is_refused(client, staff, zone, asked, text):
    assert text in told(client.post(lever("move_zone", zone), MOVE | asked))
    assert not ZoneMove.objects.exists() and not AuditRecord.objects.exists()


def test_one_move_of_a_copy_at_a_time(client, staff, zone):
    client.post(lever("move_zone", zone), MOVE)
    assert "waiting or under way" in told(client.post(lever("move_zone", zone), MOVE))
    client.post(lever("move_zone", zone), MOVE | {"copy": "1"})
    assert ZoneMove.objects.count() == 2


def test_a_move_under_way_is_not_taken_back(client, staff, zone):
    client.post(lever("move_zone", zone), MOVE)
    ZoneMove.objects.update(state="moving")
    assert client.post(lever("take_back", ZoneMove.objects.get()), DIALOG).status_code == 403
    assert ZoneMove.objects.get().state == "moving"


def test_a_pinned_zone_goes_home_and_nowhere_else(client, staff, zone):
    assert "Pinned." in told(client.post(lever("pin", zone), DIALOG))
    zone.refresh_from_db()
    assert zone.is_pinned
    assert "pinned" in told(client.post(lever("move_zone", zone), MOVE))
    client.post(lever("move_zone", zone), MOVE | {"cluster": "east"})
    assert ZoneMove.objects.get().target == "east"
    client.post(lever("unpin", zone), DIALOG)
    zone.refresh_from_db()
    assert not zone.is_pinned
    names = list(AuditRecord.objects.order_by("id").values_list("action", flat=True))
    assert names == ["zone_pinned", "zone_move_asked", "zone_unpinned"]


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk", "viewer"])
def test_others_move_and_pin_nothing(client, zone, role):
    move = ZoneMove.objects.create(
        world=zone.world,
        zone="quay",
        target="west",
        reason="r",
        state="waiting",
        asked_at=zone.world.created_at,
    )
    status = 302 if role in ("anonymous", "player") else 403
    if role != "anonymous":
        account = make_account("mallory", is_staff=role != "player")
        if role == "viewer":
            names = ["view_zone", "view_zonemove", "change_world"]
            account.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(account)
    for name, row in (("move_zone", zone), ("pin", zone), ("unpin", zone), ("take_back", move)):
        assert client.get(lever(name, row)).status_code == status
        assert client.post(lever(name, row), MOVE).status_code == status
    zone.refresh_from_db()
    move.refresh_from_db()
    assert (zone.is_pinned, move.state) == (False, "waiting") and not AuditRecord.objects.exists()
    assert ZoneMove.objects.count() == 1
