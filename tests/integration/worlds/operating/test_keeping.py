"""Keeping a world: who may do what, page texts and picture, players, orders by the uplink, history."""

import io
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts.models import Account, AuditRecord
from characters.reports import receive_report
from tests.integration.worlds.makers import make_account, make_line, make_world
from tests.queries import assert_same_queries
from worlds.models import (
    KeeperInvitation,
    Pseudonym,
    World,
    WorldBanner,
    WorldKeeper,
    WorldOrder,
    WorldSanction,
)
from worlds.operating import orders, texts
from worlds.operating.keepers import kept_worlds
from worlds.operating.sanctions import end_sanction, sanction
from worlds.signing import ensure_signing_key
from worlds.tickets import NoTicket, is_operator, issue_ticket
from worlds.uplink.messages import Report
from worlds.uplink.orders import Announce, Kick, OrderEnded, Policy

pytestmark = pytest.mark.django_db

LATER = "2026-12-01T04:00:00+00:00"


@pytest.fixture(autouse=True)
def _signing_key():
    ensure_signing_key(settings.CONFIG.signing_keys_dir)


def person(name: str) -> Account:
    account = make_account(name)
    EmailAddress.objects.create(user=account, email=account.email, primary=True, verified=True)
    return account


def client_of(account: Account | None) -> Client:
    client = Client()
    if account is not None:
        client.force_login(account)
    return client


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def haven(now) -> World:
    """Alice's world; Manu is a manager, Moe a moderator, and Mallory keeps another world."""
    world = make_world("haven", owner=person("alice"), last_report_at=now)
    WorldKeeper.objects.create(world=world, account=person("manu"), role="manager", since=now)
    WorldKeeper.objects.create(world=world, account=person("moe"), role="moderator", since=now)
    make_world("elsewhere", owner=person("mallory"))
    return world


@pytest.fixture
def rowan(haven, now):
    """A character of Bob that plays in Haven."""
    bob = person("bob")
    Pseudonym.objects.create(account=bob, world=haven)
    return make_line(bob, "Rowan", holder=haven, lease_until=now + timedelta(minutes=1)).character


def by(name: str) -> Client:
    return client_of(Account.objects.get(email=f"{name}@example.org"))


def report_of(world: World, now, *ended: OrderEnded, **more):
    world.refresh_from_db()
    said = Report("wss://play.example.org/world-link/", now, [], done=list(ended), **more)
    return receive_report(world=world, report=said, now=now)


# ---------------------------------------------------------------- who may

# name of the address, method, what is sent: owner, manager, moderator
PAGES = [
    ("kept_world", "get", {}, (200, 200, 200)),
    ("kept_players", "get", {}, (200, 200, 200)),
    ("kept_page", "get", {}, (200, 200, 403)),
    ("kept_restarts", "get", {}, (200, 200, 403)),
    ("kept_history", "get", {}, (200, 200, 403)),
    ("kept_keepers", "get", {}, (200, 403, 403)),
    ("kept_announce", "post", {"text": "Hear."}, (302, 302, 403)),
    ("kept_maintenance", "post", {"text": ""}, (302, 302, 403)),
    ("kept_page", "post", {}, (400, 400, 403)),
    ("kept_banner", "post", {"remove": "1"}, (302, 302, 403)),
    ("kept_restarts", "post", {"what": "cancel", "was_due_at": LATER}, (302, 302, 403)),
    ("kept_find", "post", {"name": "Nobody"}, (400, 400, 400)),
    ("kept_keepers", "post", {"email": "x"}, (400, 403, 403)),
]


@pytest.mark.parametrize(("name", "method", "sent", "statuses"), PAGES)
def test_each_page_is_for_these_roles_and_nobody_else(haven, name, method, sent, statuses):
    path = reverse(name, args=["haven"])
    answers = [getattr(by(who), method)(path, sent).status_code for who in ("alice", "manu", "moe")]
    assert tuple(answers) == statuses
    assert getattr(by("mallory"), method)(path, sent).status_code == 404
    stranger = getattr(Client(), method)(path, sent)
    assert stranger.status_code == 302 and reverse("account_login") in stranger["Location"]


def test_pages_about_one_player_keeper_or_sanction_are_as_closed(haven, rowan, now):
    bob = rowan.account
    ban = sanction(
        world=haven,
        account=bob,
        character_name="Rowan",
        kind="ban",
        reason="x",
        until=None,
        by=haven.owner,
        now=now,
    )
    keeper = WorldKeeper.objects.get(account__email="moe@example.org").pk
    paths = {
        reverse("kept_player", args=["haven", rowan.pk]): (
            {"deed": "kick", "lasting": "day"},
            (404, 403, 302),
        ),
        reverse("kept_lift", args=["haven", ban.pk]): ({}, (404, 403, 302)),
        reverse("kept_keeper", args=["haven", keeper]): ({"what": "hand_over"}, (404, 403, 403)),
        reverse("kept_withdraw", args=["haven", 1]): ({}, (404, 403, 403)),
    }
    for path, (sent, (other, _, moderator)) in paths.items():
        assert by("mallory").post(path, sent).status_code == other
        assert by("bob").post(path, sent).status_code == 404
        assert by("moe").post(path, sent).status_code == moderator
    assert by("mallory").post(reverse("kept_lift", args=["elsewhere", ban.pk])).status_code == 404


def test_another_worlds_sanctions_keepers_and_orders_cannot_be_reached(haven, now):
    keeper = WorldKeeper.objects.get(account__email="moe@example.org")
    gone = by("mallory").post(reverse("kept_keeper", args=["elsewhere", keeper.pk]), {"what": "remove"})
    assert gone.status_code == 404 and WorldKeeper.objects.filter(pk=keeper.pk).exists()
    order = orders.give_order(world=haven, deed=Announce("Hear."), about="", by=haven.owner, now=now)
    orders.note_ended(World.objects.get(slug="elsewhere"), [OrderEnded(order.pk, True)], now)
    order.refresh_from_db()
    assert order.outcome == "waiting"


def test_keepers_are_let_in_during_maintenance(haven):
    assert all(
        is_operator(Account.objects.get(email=f"{n}@example.org"), haven) for n in ("alice", "manu", "moe")
    )
    assert not is_operator(Account.objects.get(email="mallory@example.org"), haven)


# ---------------------------------------------------------------- keepers


def test_an_invited_person_joins_changes_leaves(haven, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = by("alice").post(
            reverse("kept_keepers", args=["haven"]), {"email": " Carol@Example.org", "role": "moderator"}
        )
    assert answer.status_code == 302
    assert mail.outbox[0].to == ["carol@example.org"] and "Haven" in mail.outbox[0].body
    invitation = KeeperInvitation.objects.get()
    path = reverse("keeper_invitation", args=[invitation.pk])
    assert by("mallory").post(path, {"answer": "accept"}).status_code == 404
    carol = make_account("carol")
    assert client_of(carol).post(path, {"answer": "accept"}).status_code == 302
    assert not kept_worlds(carol), "the address is not confirmed"
    EmailAddress.objects.create(user=carol, email=carol.email, primary=True, verified=True)
    assert client_of(carol).post(path, {"answer": "accept"})["Location"] == reverse(
        "kept_world", args=["haven"]
    )
    assert [(kept.world.slug, kept.role) for kept in kept_worlds(carol)] == [("haven", "moderator")]
    keeper = WorldKeeper.objects.get(account=carol)
    change = reverse("kept_keeper", args=["haven", keeper.pk])
    by("alice").post(change, {"what": "role", "role": "manager"})
    keeper.refresh_from_db()
    assert keeper.role == "manager"
    by("alice").post(change, {"what": "role", "role": "owner"})
    keeper.refresh_from_db()
    assert keeper.role == "manager"
    client_of(carol).post(reverse("kept_leave", args=["haven"]))
    assert not kept_worlds(carol)
    deeds = AuditRecord.objects.filter(target="haven").order_by("pk").values_list("action", flat=True)
    assert list(deeds) == ["keeper_invited", "keeper_joined", "keeper_role_changed", "keeper_left"]


def test_a_world_is_handed_over_and_its_owner_cannot_just_leave(haven):
    alice = by("alice")
    alice.post(reverse("kept_leave", args=["haven"]))
    haven.refresh_from_db()
    assert haven.owner.email == "alice@example.org"
    manu = WorldKeeper.objects.get(account__email="manu@example.org")
    alice.post(reverse("kept_keeper", args=["haven", manu.pk]), {"what": "hand_over"})
    haven.refresh_from_db()
    assert haven.owner.email == "manu@example.org"
    assert alice.get(reverse("kept_keepers", args=["haven"])).status_code == 403
    assert [kept.role for kept in kept_worlds(Account.objects.get(email="alice@example.org"))] == ["manager"]


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("alice@example.org", "owner"),
        ("MOE@example.org", "They keep this world already"),
        ("nonsense", "Enter a valid email"),
    ],
)
def test_who_cannot_be_invited(haven, email, words):
    answer = by("alice").post(reverse("kept_keepers", args=["haven"]), {"email": email, "role": "manager"})
    assert answer.status_code == 400 and words in answer.content.decode()
    assert email in answer.content.decode(), "what was typed is still there"


# ---------------------------------------------------------------- the page


def page_values(**changes) -> dict:
    return {"language": "de", "region": "eu-west", "ruleset": "co-op", **changes}


def test_the_page_is_changed_and_the_world_is_told_its_message_of_the_day(haven, now):
    values = page_values(
        tagline="Moss", motd="Rain.", house_rules="Be kind.", tags=["story", "small"], is_listed="on"
    )
    assert by("manu").post(reverse("kept_page", args=["haven"]), values).status_code == 302
    haven.refresh_from_db()
    assert (haven.tagline, haven.tags, haven.language, haven.is_listed) == (
        "Moss",
        ["story", "small"],
        "de",
        True,
    )
    assert report_of(haven, now).motd == "Rain."
    record = AuditRecord.objects.get(action="world_page_changed")
    assert record.detail["after"]["tagline"] == "Moss" and record.detail["before"]["tagline"] == ""


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tags", ["story", "<script>"], "not one of the available choices"),
        ("tags", list(texts.TAGS)[: texts.MAX_TAGS + 1], "at most 6"),
        ("tagline", "x" * 141, "at most 140"),
        ("description", "a\x00b", "Null characters"),
        ("region", "Mars <b>", "small letters"),
        ("language", "tlh", "not one of the available choices"),
    ],
)
def test_bad_texts_are_refused_and_nothing_typed_is_lost(haven, field, value, words):
    values = page_values(appeals="Write to us.", **{}) | {field: value}
    answer = by("manu").post(reverse("kept_page", args=["haven"]), values)
    page = answer.content.decode()
    assert answer.status_code == 400 and words in page and "Write to us." in page and "<script>" not in page
    haven.refresh_from_db()
    assert haven.appeals == ""


def picture(kind: str = "PNG", size: tuple[int, int] = (900, 600)) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_drawn_anew_and_sent_to_everybody(haven, kind):
    upload = SimpleUploadedFile("banner.png", picture(kind), "image/png")
    assert by("manu").post(reverse("kept_banner", args=["haven"]), {"banner": upload}).status_code == 302
    banner = WorldBanner.objects.get()
    answer = Client().get(reverse("world_banner", args=["haven", banner.digest]))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
    assert "immutable" in answer["Cache-Control"] and len(answer.content) <= texts.MAX_BYTES
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.format == "WEBP" and shown.width == 3 * shown.height and shown.width <= texts.WIDTH
    assert Client().get(reverse("world_banner", args=["elsewhere", banner.digest])).status_code == 404


def hidden_page() -> bytes:
    return picture("PNG") + b"<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "no picture that can be read"),
        (b"GIF89a" + bytes(100), "no picture that can be read"),
        (picture("PNG")[:200], "no picture that can be read"),
        (bytes(texts.MAX_UPLOAD + 1), "larger than 1.5 MB"),
        (b"", "submitted file is empty"),
    ],
)
def test_what_is_no_picture_is_refused(haven, data, words):
    upload = SimpleUploadedFile("banner.png", data, "image/png")
    answer = by("manu").post(reverse("kept_banner", args=["haven"]), {"banner": upload})
    assert answer.status_code == 400 and words in answer.content.decode()
    assert not WorldBanner.objects.exists()


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_drawn():
    out = io.BytesIO()
    Image.new("1", (8000, 6000)).save(out, "PNG")
    with pytest.raises(texts.BannerRefused, match="too many pixels"):
        texts.banner_of(io.BytesIO(out.getvalue()))


def test_nothing_of_an_uploaded_file_itself_is_kept():
    assert b"script" not in texts.banner_of(io.BytesIO(hidden_page()))


# ---------------------------------------------------------------- players


def test_players_are_shown_by_name_and_nothing_of_the_person(haven, rowan):
    page = by("moe").get(reverse("kept_players", args=["haven"])).content.decode()
    assert "Rowan" in page and "bob@" not in page and str(rowan.account.uid) not in page
    assert "Rowan" not in by("mallory").get(reverse("kept_players", args=["elsewhere"])).content.decode()
    player = by("moe").get(reverse("kept_player", args=["haven", rowan.pk])).content.decode()
    assert "Rowan" in player and "bob@" not in player


def test_players_cost_the_same_queries_however_many(haven, rowan, now):
    def grow(numbers: range = range(2, 32)) -> None:
        for number in numbers:
            account = make_account(f"p{number}")
            make_line(account, f"Hero {number}", holder=haven, lease_until=now + timedelta(minutes=1))
            sanction(
                world=haven,
                account=account,
                character_name=f"Hero {number}",
                kind="mute",
                reason="x",
                until=None,
                by=haven.owner,
                now=now,
            )

    grow(range(2))
    assert_same_queries(by("moe"), reverse("kept_players", args=["haven"]), grow)


def test_history_costs_the_same_queries_however_many(haven, now):
    def grow() -> None:
        for number in range(20):
            orders.give_order(world=haven, deed=Announce(f"{number}"), about="x", by=haven.owner, now=now)

    grow()
    orders.note_ended(haven, [OrderEnded(row.pk, True) for row in WorldOrder.objects.all()], now)
    assert_same_queries(by("manu"), reverse("kept_history", args=["haven"]), grow)


def test_a_kick_rides_on_the_next_answer_until_a_report_tells_its_end(haven, rowan, now):
    path = reverse("kept_player", args=["haven", rowan.pk])
    by("moe").post(path, {"deed": "kick", "reason": "Sleep.", "lasting": "day"})
    order = report_of(haven, now).orders[0]
    assert (order.kind, order.body) == ("kick", {"character": str(rowan.pk), "reason": "Sleep."})
    assert [one.id for one in report_of(haven, now).orders] == [order.id], "the answer may have been lost"
    assert report_of(haven, now, OrderEnded(order.id, True, "Put\x07 out.")).orders == []
    row = WorldOrder.objects.get()
    assert (row.outcome, row.told) == ("done", "Put out.")
    report_of(haven, now, OrderEnded(order.id, False, "no"), OrderEnded(uuid4(), True))
    row.refresh_from_db()
    assert row.outcome == "done", "what has ended stays"


def test_an_order_that_no_world_answers_expires(haven, now):
    orders.give_order(world=haven, deed=Kick(UUID(int=1)), about="Rowan", by=haven.owner, now=now)
    late = now + timedelta(minutes=2)
    assert report_of(haven, late).orders == []
    assert orders.expire_orders(now=late) == 1
    assert WorldOrder.objects.get().outcome == "expired"
    assert orders.expire_orders(now=late + orders.KEEP_FOR * 2) == 0 and not WorldOrder.objects.exists()


def test_orders_that_nobody_answers_do_not_pile_up(haven, now):
    for _ in range(orders.MOST_WAITING):
        orders.give_order(world=haven, deed=Announce("Hear."), about="", by=haven.owner, now=now)
    answer = by("manu").post(reverse("kept_announce", args=["haven"]), {"text": "One more."})
    assert answer.status_code == 400 and "One more." in answer.content.decode()


def test_a_ban_holds_at_the_ticket_in_the_report_and_is_lifted(haven, rowan, now):
    World.objects.filter(pk=haven.pk).update(appeals="Write to keepers@example.org.")
    path = reverse("kept_player", args=["haven", rowan.pk])
    assert by("moe").post(path, {"deed": "ban", "reason": "Theft.", "lasting": "week"}).status_code == 302
    haven.refresh_from_db()
    with pytest.raises(NoTicket, match="banned you until .*Theft. Write to keepers") as refused:
        issue_ticket(account=rowan.account, world=haven, now=now)
    assert refused.value.code == "banned_here"
    (news,) = report_of(haven, timezone.now()).accounts
    assert news.is_banned and "Theft." in news.banned_for
    with pytest.raises(NoTicket) as elsewhere:
        issue_ticket(account=rowan.account, world=World.objects.get(slug="elsewhere"), now=now)
    assert elsewhere.value.code == "world_offline"
    ban = WorldSanction.objects.get()
    assert by("moe").post(reverse("kept_lift", args=["haven", ban.pk])).status_code == 302
    assert by("moe").post(reverse("kept_lift", args=["haven", ban.pk])).status_code == 404
    issue_ticket(account=rowan.account, world=haven, now=timezone.now())
    assert not report_of(haven, timezone.now()).accounts[0].is_banned


def test_a_search_for_what_no_text_has_is_a_bad_request(haven, rowan):
    moe, path = by("moe"), reverse("kept_players", args=["haven"])
    moe.raise_request_exception = False
    assert moe.get(f"{path}?q=a%00b").status_code == 400
    assert moe.get(f"{path}?q=%2500").status_code == 200


def test_a_ban_ends_by_itself(haven, rowan, now):
    until = now + timedelta(hours=1)
    sanction(
        world=haven,
        account=rowan.account,
        character_name="Rowan",
        kind="ban",
        reason="x",
        until=until,
        by=haven.owner,
        now=now,
    )
    World.objects.filter(pk=haven.pk).update(last_report_at=until)
    haven.refresh_from_db()
    with pytest.raises(NoTicket):
        issue_ticket(account=rowan.account, world=haven, now=until - timedelta(seconds=1))
    issue_ticket(account=rowan.account, world=haven, now=until)
    ban = WorldSanction.objects.get()
    assert end_sanction(world=haven, sanction=ban.pk, by=haven.owner, now=until) is None, "nothing to lift"
    assert not AuditRecord.objects.filter(action="ban_lifted").exists()


def test_a_mute_is_told_with_reports_and_replaced_by_a_newer_one(haven, rowan):
    path = reverse("kept_player", args=["haven", rowan.pk])
    for reason in ("Shouting.", "Shouting again."):
        by("moe").post(path, {"deed": "mute", "reason": reason, "lasting": "good"})
    (news,) = report_of(haven, timezone.now()).accounts
    assert (news.mute.reason, news.mute.until, news.is_banned) == ("Shouting again.", None, False)
    assert WorldSanction.objects.filter(ended_at__isnull=True).count() == 1


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"deed": "ban", "lasting": "day"}, "Say why"),
        ({"lasting": "day"}, "Choose one"),
        ({"deed": "slap", "lasting": "day"}, "not one of the available choices"),
        ({"deed": "mute", "reason": "x", "lasting": "ages"}, "not one of the available choices"),
        ({"deed": "mute", "reason": "x" * 201, "lasting": "day"}, "at most 200"),
    ],
)
def test_bad_deeds_are_refused(haven, rowan, sent, words):
    answer = by("moe").post(reverse("kept_player", args=["haven", rowan.pk]), sent)
    assert answer.status_code == 400 and words in answer.content.decode()
    assert not WorldSanction.objects.exists()


def test_keepers_cannot_ban_each_other_nor_strangers_to_the_world(haven, now):
    manu = Account.objects.get(email="manu@example.org")
    Pseudonym.objects.create(account=manu, world=haven)
    hero = make_line(manu, "Manus", holder=haven, lease_until=now + timedelta(minutes=1)).character
    answer = by("moe").post(
        reverse("kept_player", args=["haven", hero.pk]), {"deed": "ban", "reason": "x", "lasting": "day"}
    )
    assert answer.status_code == 400 and "They keep this world" in answer.content.decode()
    stranger = make_line(person("carol"), "Carola").character
    assert by("moe").get(reverse("kept_player", args=["haven", stranger.pk])).status_code == 404
    assert by("moe").post(reverse("kept_find", args=["haven"]), {"name": "Carola"}).status_code == 400
    assert by("moe").post(reverse("kept_find", args=["haven"]), {"name": "manus"}).status_code == 302


# ---------------------------------------------------------------- restarts, maintenance, history


def test_a_policy_is_ordered_checked_first_and_shown_as_the_world_tells_it(haven, now):
    path = reverse("kept_restarts", args=["haven"])
    values = {
        "what": "policy", "when": "fixed", "at": "04:30", "time_zone": "Europe/Berlin",
        "weekdays": ["0", "2"], "kind": "full", "min_uptime_h": "20",
        "blackout_days": "2026-12-24\n2026-12-25",
    }  # fmt: skip
    assert by("manu").post(path, values).status_code == 302
    (order,) = report_of(haven, now).orders
    assert order.body == {
        "when": "fixed", "kind": "full", "at": "04:30", "time_zone": "Europe/Berlin", "weekdays": 5,
        "min_uptime_h": 20, "blackout_days": ["2026-12-24", "2026-12-25"],
    }  # fmt: skip
    report_of(haven, now, policy=Policy("fixed", "full", "05:15"))
    page = by("manu").get(path).content.decode()
    assert 'value="05:15"' in page
    for change, words in (
        ({"at": ""}, "needs the time"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"weekdays": []}, "at least one day"),
        ({"blackout_days": "Christmas"}, "is no date"),
    ):
        answer = by("manu").post(path, values | change)
        assert answer.status_code == 400 and words in answer.content.decode(), change


def test_a_restart_is_planned_postponed_and_called_off_by_absolute_orders(haven, now):
    path = reverse("kept_restarts", args=["haven"])
    due = (now + timedelta(days=1)).replace(second=0, microsecond=0)
    plan = {"what": "plan", "due_at": f"{due:%Y-%m-%dT%H:%M}", "kind": "rolling", "reason": "New stairs."}
    assert by("manu").post(path, plan).status_code == 302
    assert by("manu").post(path, plan | {"due_at": "2020-01-01T00:00"}).status_code == 400
    assert (
        by("manu").post(path, {"what": "postpone", "minutes": "60", "was_due_at": "then"}).status_code == 400
    )
    assert by("manu").post(path, {"what": "dance"}).status_code == 404
    by("manu").post(path, {"what": "postpone", "minutes": "60", "was_due_at": due.isoformat()})
    bodies = [(order.kind, order.body) for order in report_of(haven, now).orders]
    assert [kind for kind, _ in bodies] == ["restart", "postpone"]
    assert bodies[1][1]["due_at"].startswith(f"{due + timedelta(hours=1):%Y-%m-%dT%H:%M}")


def test_a_world_is_closed_and_opened_by_its_managers(haven, now):
    path = reverse("kept_maintenance", args=["haven"])
    by("manu").post(path, {"text": "New stairs."})
    assert report_of(haven, now).maintenance == "New stairs."
    assert "Let players in again" in by("manu").get(reverse("kept_world", args=["haven"])).content.decode()
    by("manu").post(path, {"end": "1"})
    assert report_of(haven, now).maintenance is None


def test_history_says_who_did_what_without_addresses_but_to_the_owner(haven, rowan):
    path = reverse("kept_player", args=["haven", rowan.pk])
    by("moe").post(path, {"deed": "mute", "reason": "Shouting.", "lasting": "day"})
    by("alice").post(reverse("kept_announce", args=["haven"]), {"text": "Hear ye."})
    seen = by("manu").get(reverse("kept_history", args=["haven"])).content.decode()
    assert "A moderator" in seen and "muted: Rowan" in seen and "moe@" not in seen and "The owner" in seen
    assert "Hear ye." in seen
    owners = by("alice").get(reverse("kept_history", args=["haven"])).content.decode()
    assert "moe@example.org, moderator" in owners and "<strong>You</strong>" in owners
    assert "bob@" not in owners
    assert "bob" not in str(list(AuditRecord.objects.values_list("detail", flat=True)))


def test_the_overview_shows_what_a_world_says_however_odd_it_is(haven):
    World.objects.filter(pk=haven.pk).update(
        report={
            "clusters": [{"name": 7}],
            "started_at": "soon",
            "restart": [],
            "policy": "no",
            "maintenance": 3,
        }
    )
    for name in ("kept_world", "kept_restarts"):
        assert by("manu").get(reverse(name, args=["haven"])).status_code == 200
    live = (
        by("moe").get(reverse("kept_world", args=["haven"]), headers={"HX-Target": "state"}).content.decode()
    )
    assert "<html" not in live and 'id="state"' in live
