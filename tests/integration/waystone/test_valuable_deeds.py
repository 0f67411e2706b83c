"""What staff see and do of valuables and budgets in the admin; nobody else can."""

from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from characters.lines import Entry, append_version, begin_main_line, fork_main_line
from characters.models import Character, Gain, Line, Valuable, ValuableEvent, WorldBudget
from characters.valuables import Claim, claim
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import World
from zonecluster.protocol.character import CharacterState, Item, decode_state, encode_state

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on"}
CROWN = UUID(int=0xC0FFEE)


@pytest.fixture
def world() -> World:
    return make_world("cairn", tier="verified")


@pytest.fixture
def fork(world) -> Line:
    """A fork with a crown and 900 coins, that waits for a decision; main has nothing."""
    now = timezone.now()
    character = Character.objects.create(account=make_account("alice"), name="Rowan", name_key="rowan")
    main = begin_main_line(character=character, now=now)
    fork = fork_main_line(character=character, world=world, now=now)
    state = CharacterState(money=900, bags={"bank": [Item("drowned-crown", 1, CROWN)]})
    version = append_version(line=fork, entry=Entry("item", encode_state(state), world, epoch=1), now=now)
    claim([Claim(fork, set(), {CROWN: "drowned-crown"}, version.op_id)], world=world, now=now)
    Line.objects.filter(pk=fork.pk).update(undecided_since=now)
    Gain.objects.create(world=world, line=main, hour=now.replace(minute=0, second=0, microsecond=0), money=77)
    return fork


def page(row, name: str = "change") -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=[row.pk])


def deeds() -> list[str]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))


def undecided() -> int:
    return Line.objects.filter(undecided_since__isnull=False).count()


def test_falls_that_wait_are_listed_and_told_on_the_first_page(client, staff, fork):
    assert (
        "1 character has gained more than a verified world may give"
        in client.get(reverse("admin:index")).content.decode()
    )
    text = client.get("/admin/characters/line/?decision=waits").content.decode()
    assert str(fork.pk) in text and str(Line.objects.get(world=None).pk) not in text
    text = client.get(page(fork)).content.decode()
    assert "77" in text and "Leave it a fork" in text and "money 0 → 900" in text


def test_a_fall_is_dismissed_once(client, staff, fork):
    dismiss = page(fork, "dismiss")
    assert client.post(dismiss, DIALOG | {"reason": ""}).status_code == 200 and undecided() == 1
    assert client.post(dismiss, DIALOG | {"reason": "made of nothing"})["HX-Redirect"] == page(fork)
    assert undecided() == 0 and deeds() == ["fall_dismissed"]
    assert client.post(dismiss, DIALOG | {"reason": "again"}).status_code == 403
    assert "Leave it a fork" not in client.get(page(fork)).content.decode()


def test_a_fall_is_lifted(client, staff, fork):
    client.post(page(fork, "lift"), DIALOG | {"reason": "a great evening"})
    main = Line.objects.get(world=None)
    assert decode_state(bytes(main.state)).money == 900 and undecided() == 0
    assert Valuable.objects.get(thing=CROWN, world=None).line == main
    assert deeds() == ["fork_lifted"]


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk", "viewer"])
@pytest.mark.parametrize("deed", ["dismiss", "lift"])
def test_others_decide_nothing(client, fork, role, deed):
    if role != "anonymous":
        account = make_account("mallory", is_staff=role != "player")
        if role == "viewer":
            names = ["view_line", "view_version", "view_valuable", "view_worldbudget"]
            account.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(account)
    status = 302 if role in ("anonymous", "player") else 403
    assert client.post(page(fork, deed), DIALOG | {"reason": "mine"}).status_code == status
    assert undecided() == 1 and deeds() == []


def test_a_valuable_is_found_by_its_id_and_shows_its_way(client, staff, fork, world):
    row = Valuable.objects.get(thing=CROWN, world=world)
    found = client.get(f"/admin/characters/valuable/?q={CROWN}").content.decode()
    assert page(row) in found
    other = client.get(f"/admin/characters/valuable/?q={UUID(int=1)}").content.decode()
    assert page(row) not in other
    text = client.get(page(row)).content.decode()
    assert "came into being" in text and "Rowan" in text and world.name in text and "v2 (item)" in text
    made = client.get(f"/admin/characters/valuableevent/?world__id__exact={world.pk}&kind__exact=made")
    assert page(ValuableEvent.objects.get()) in made.content.decode()
    assert "valuables made in it" in client.get(page(world)).content.decode()


def test_a_budget_is_set_with_an_audit_row(client, staff, world):
    form = client.get("/admin/characters/worldbudget/add/").content.decode()
    assert "Per hour and character" in form
    limits = {f"{name}_{per}": 7 for name in ("xp", "money", "valuables", "items") for per in ("hour", "day")}
    client.post("/admin/characters/worldbudget/add/", {"world": world.pk, **limits})
    budget = WorldBudget.objects.get()
    assert (budget.world, budget.money_day) == (world, 7)
    client.post(page(budget), {**limits, "money_day": -1})
    assert WorldBudget.objects.get().money_day == 7
    client.post(page(budget), {**limits, "money_day": 9})
    assert WorldBudget.objects.get().money_day == 9
    assert deeds() == ["worldbudget_added_by_staff", "worldbudget_changed_by_staff"]
