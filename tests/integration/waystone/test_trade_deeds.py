"""What staff can do to trade in the admin: stop it with a reason, take the stop back; nobody else can."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import AuditRecord
from characters.models import TradeStop
from characters.trade_stops import stops_in
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import World

pytestmark = pytest.mark.django_db
ADD = "/admin/characters/tradestop/add/"
DIALOG = {"_form_submitted": "on"}


@pytest.fixture
def world() -> World:
    return make_world("lantern", tier="official")


def resume_page(stop: TradeStop) -> str:
    return reverse("admin:characters_tradestop_resume", args=[stop.pk])


def test_trade_is_stopped_from_the_worlds_page_and_resumed(client, staff, world):
    button = reverse("admin:worlds_world_stop_trade", args=[world.pk])
    assert button in client.get(reverse("admin:worlds_world_change", args=[world.pk])).content.decode()
    form = client.get(button)["Location"]
    assert form == f"{ADD}?world={world.pk}"
    assert world.name in client.get(form).content.decode()
    assert stops_in(world) == set(), "a link alone does nothing"
    asked = {"world": world.pk, "item_kind": "gem", "reason": "doubled gems"}
    assert client.post(ADD, asked | {"reason": ""}).status_code == 200 and stops_in(world) == set()
    assert client.post(ADD, asked).status_code == 302
    stop = TradeStop.objects.get()
    assert (stops_in(world), stop.by, stop.reason) == ({"gem"}, staff, "doubled gems")
    assert client.post(ADD, asked).status_code == 200, "it is stopped already, says the form"
    assert client.post(resume_page(stop), DIALOG | {"reason": ""}).status_code == 200
    done = client.post(resume_page(stop), DIALOG | {"reason": "mended"})
    assert done["HX-Redirect"] == reverse("admin:characters_tradestop_changelist")
    assert stops_in(world) == set()
    audit = AuditRecord.objects.order_by("pk").values_list("action", "account", "detail")
    assert list(audit) == [
        ("trade_stopped", staff.pk, {"kind": "gem", "reason": "doubled gems"}),
        ("trade_resumed", staff.pk, {"kind": "gem", "reason": "mended"}),
    ]


def test_a_stop_without_a_world_and_a_kind_is_of_everything_everywhere(client, staff, world):
    assert client.post(ADD, {"world": "", "item_kind": "", "reason": "an attack"}).status_code == 302
    assert stops_in(world) == stops_in(make_world("other", tier="open")) == {""}


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk", "viewer"])
def test_others_stop_and_resume_nothing(client, world, role):
    stop = TradeStop.objects.create(world=world, item_kind="rope", reason="x")
    status = 302 if role in ("anonymous", "player") else 403
    if role != "anonymous":
        account = make_account("mallory", is_staff=role != "player")
        if role == "viewer":
            rights = Permission.objects.filter(codename__in=["view_tradestop", "view_world", "change_world"])
            account.user_permissions.set(rights)
        client.force_login(account)
    button = reverse("admin:worlds_world_stop_trade", args=[world.pk])
    assert client.get(button).status_code == status
    asked = {"world": world.pk, "item_kind": "", "reason": "mine"}
    assert client.post(ADD, asked).status_code == status
    assert client.post(resume_page(stop), DIALOG | {"reason": "mine"}).status_code == status
    assert stops_in(world) == {"rope"} and not AuditRecord.objects.exists()
