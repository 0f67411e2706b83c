"""Reports of poisoned documents on a real PostgreSQL: kept once, read after a restart, ended by staff."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.daemon import rows
from worlds.daemon.core.effects import EndQuarantine, StorePoison
from worlds.models import Quarantine, World
from worlds.quarantines import let_in_again
from zonecluster.protocol import bus

pytestmark = pytest.mark.django_db
HERO, LINE, DIGEST = uuid4(), uuid4(), b"d" * 32
DIALOG = {"_form_submitted": "on"}
TRACEBACK = 'Traceback (most recent call last):\n  File "rules.py"\nZeroDivisionError: by <zero>'


@pytest.fixture
def world() -> World:
    return make_world("aurora")


def stored(digest: bytes = DIGEST, **changes: object) -> StorePoison:
    fields = {
        "cluster": "east", "incarnation": 1, "session": uuid4(), "stay": 7, "where": "command:buy",
        "error": TRACEBACK, "document": b'{"money":5}', "character": HERO, "name": "Rowan",
    }  # fmt: skip
    return StorePoison(bus.Poisoned(**{**fields, **changes}), digest, LINE, 4)


def quarantined() -> dict[UUID, bytes]:
    """Return what a daemon that starts now reads."""
    return rows.load_catalog("aurora", "ws://127.0.0.1:1/").quarantined


def test_kept_once_and_read_by_the_next_daemon(world: World) -> None:
    effect = stored()
    rows.write_rows("aurora", [effect, effect], timezone.now())
    rows.write_rows("aurora", [effect], timezone.now() + timedelta(hours=1))
    row = Quarantine.objects.get()
    assert (row.where, row.error, bytes(row.document)) == ("command:buy", TRACEBACK, b'{"money":5}')
    assert (row.line, row.version, row.character, row.cluster) == (LINE, 4, HERO, "east")
    assert quarantined() == {HERO: DIGEST}
    make_world("borealis")
    assert rows.load_catalog("borealis", "ws://127.0.0.1:1/").quarantined == {}


def test_the_newest_of_several_counts(world: World) -> None:
    now = timezone.now()
    rows.write_rows("aurora", [stored(b"new" * 10)], now)
    rows.write_rows("aurora", [stored(b"old" * 10)], now - timedelta(hours=1))
    assert quarantined() == {HERO: b"new" * 10}


def test_nothing_in_a_report_can_spoil_the_row(world: World) -> None:
    hostile = stored(
        name="\0" * 100 + "R" * 100,
        where="w\0" * 200,
        error="\0" * 9000,
        cluster="e" * 99,
        document=b"\xff\0",
    )
    rows.write_rows("aurora", [hostile], timezone.now())
    row = Quarantine.objects.get()
    assert row.character_name == "R" * 40 and len(row.where) == 60 and bytes(row.document) == b"\xff\0"


def test_it_ends_when_the_document_is_another_and_in_this_world_alone(world: World) -> None:
    make_world("borealis")
    for slug in ("aurora", "borealis"):
        rows.write_rows(slug, [stored()], timezone.now())
    rows.write_rows("aurora", [EndQuarantine(HERO), EndQuarantine(uuid4())], timezone.now())
    assert quarantined() == {}
    assert rows.load_catalog("borealis", "ws://127.0.0.1:1/").quarantined == {HERO: DIGEST}
    row = Quarantine.objects.get(world=world)
    assert row.released_at is not None and row.released_by is None


def test_a_world_that_goes_takes_its_reports_with_it_and_staff_that_goes_does_not(world: World) -> None:
    staff = make_account("staff", is_staff=True)
    rows.write_rows("aurora", [stored()], timezone.now())
    assert let_in_again(quarantine=Quarantine.objects.get(), reason="mended", by=staff, now=timezone.now())
    with connection.cursor() as cursor:  # the deed alone would keep its account, and a trigger keeps the deed
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE accounts_auditrecord")
    staff.delete()
    assert Quarantine.objects.get().released_at is not None
    world.delete()
    assert not Quarantine.objects.exists()


# ---------------------------------------------------------------- the admin


def page(name: str = "change") -> str:
    return reverse(f"admin:worlds_quarantine_{name}", args=[Quarantine.objects.get().pk])


@pytest.fixture
def report(world: World) -> Quarantine:
    rows.write_rows("aurora", [stored()], timezone.now())
    return Quarantine.objects.get()


def as_role(client, role: str) -> None:
    if role == "anonymous":
        return
    account = make_account("mallory", is_staff=role in ("clerk", "viewer"))
    if role == "viewer":
        account.user_permissions.add(Permission.objects.get(codename="view_quarantine"))
    client.force_login(account)


@pytest.fixture
def staff(client):
    account = make_account("staff", is_staff=True, is_superuser=True)
    client.force_login(account)
    return account


def test_operators_see_what_was_raised_on_what(client, staff, report) -> None:
    text = client.get(page()).content.decode()
    assert "ZeroDivisionError: by &lt;zero&gt;" in text and "&quot;money&quot;: 5" in text
    assert "Let in again" in text and "out" in text
    listed = client.get(reverse("admin:worlds_quarantine_changelist")).content.decode()
    assert "Rowan" in listed and "command:buy" in listed


def test_a_list_reads_no_documents(client, staff, report) -> None:
    with connection.execute_wrapper(_refuse_documents):
        assert client.get(reverse("admin:worlds_quarantine_changelist")).status_code == 200


def _refuse_documents(execute, sql, *rest):
    assert '"worlds_quarantine"."document"' not in sql
    return execute(sql, *rest)


def test_let_in_again_with_a_reason_once(client, staff, report) -> None:
    lever = page("let_in")
    assert "Let this character in again?" in client.get(lever).content.decode()
    assert client.post(lever, DIALOG | {"reason": ""}).status_code == 200 and quarantined() == {HERO: DIGEST}
    done = client.post(lever, DIALOG | {"reason": "the rule is mended"})
    assert done["HX-Redirect"] == page() and quarantined() == {}
    row = AuditRecord.objects.get()
    assert (row.action, row.account, row.target) == ("quarantine_ended", staff, str(HERO))
    assert row.detail == {"reason": "the rule is mended", "world": "aurora"}
    assert client.post(lever, DIALOG | {"reason": "again"}).status_code == 403
    assert "let in again" in client.get(page()).content.decode()


@pytest.mark.parametrize(
    ("role", "sees", "does"),
    [("anonymous", 302, 302), ("player", 302, 302), ("clerk", 403, 403), ("viewer", 200, 403)],
)
def test_others_let_nobody_in(client, report, role: str, sees: int, does: int) -> None:
    as_role(client, role)
    assert client.get(page()).status_code == sees
    assert client.post(page("let_in"), DIALOG | {"reason": "mine"}).status_code == does
    assert quarantined() == {HERO: DIGEST} and not AuditRecord.objects.exists()


def test_nobody_writes_or_deletes_a_report_by_hand(client, staff, report) -> None:
    assert client.post(page(), {"character_name": "Mallory"}).status_code == 403
    assert client.post(page("delete"), {"post": "yes"}).status_code == 403
    assert client.get(reverse("admin:worlds_quarantine_add")).status_code == 403
    assert Quarantine.objects.get().character_name == "Rowan"
