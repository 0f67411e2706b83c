"""What staff can do with payments and gift codes in the admin."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord, GiftCode, Payment
from accounts.rules import Edition
from accounts.selectors import edition_of
from accounts.shop.booking import take_notices
from accounts.shop.buying import open_payment, shown_code
from accounts.shop.dummy_till import DummyTill
from accounts.shop.till import prices
from tests.integration.worlds.makers import make_account

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on", "reason": "asked for"}


@pytest.fixture
def bob(db):
    return make_account("bob")


@pytest.fixture
def buy(bob):
    def paid(outcome: str = "paid") -> Payment:
        product, now = prices().products[0], timezone.now()
        payment = open_payment(product=product, buyer=bob, email=bob.email, recipient="buyer", now=now)
        take_notices(provider="dummy", told=DummyTill().play(payment, outcome, now), now=now)
        payment.refresh_from_db()
        return payment

    return paid


def lever(payment: Payment, name: str) -> str:
    return reverse(f"admin:accounts_payment_{name}", args=[payment.pk])


def edition(account) -> Edition:
    return edition_of(account, timezone.now())


def deeds() -> list[str]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))


def test_refund_in_parts(client, staff, buy, bob):
    payment = buy()
    client.post(lever(payment, "refund"), DIALOG | {"amount": "2.00"})
    assert edition(bob) is Edition.PREMIUM
    over = client.post(lever(payment, "refund"), DIALOG | {"amount": "9.00"}, follow=True)
    assert over.status_code == 200
    payment.refresh_from_db()
    assert str(payment.refunded_amount) == "2.00"
    client.post(lever(payment, "refund"), DIALOG)
    payment.refresh_from_db()
    assert (payment.standing, edition(bob)) == ("refunded", Edition.FREE)
    asked = AuditRecord.objects.filter(action="payment_refund_asked")
    assert [(row.account, row.detail["amount"]) for row in asked.order_by("pk")] == [
        (staff, "2.00"),
        (staff, "3.00"),
    ]
    assert client.post(lever(payment, "refund"), DIALOG).status_code == 403, "nothing is left to refund"


def test_what_was_held_is_accepted(client, staff, buy, bob):
    payment = buy("less")
    assert edition(bob) is Edition.FREE
    assert "asked for were 5.00" in client.get(reverse("admin:accounts_payment_changelist")).content.decode()
    client.post(lever(payment, "accept"), DIALOG)
    assert edition(bob) is Edition.PREMIUM
    assert "payment_accepted" in deeds()


def test_asking_the_provider_says_what_was_new(client, staff, buy):
    payment = buy()
    assert client.post(lever(payment, "look_up"), DIALOG).status_code == 200
    assert "payment_looked_up" in deeds()


def test_others_refund_nothing(client, buy, bob):
    payment = buy()
    for account in (None, bob, make_account("clerk", is_staff=True)):
        if account is not None:
            client.force_login(account)
        assert client.post(lever(payment, "refund"), DIALOG).status_code in (302, 403)
    assert edition(bob) is Edition.PREMIUM


def test_making_codes_and_making_one_worthless(client, staff):
    form = {"count": "3", "days": "30", "note": "spring fair", "ends_at_0": "", "ends_at_1": ""}
    assert client.post(reverse("admin:accounts_giftcode_add"), form).status_code == 302
    assert GiftCode.objects.filter(note="spring fair", made_by=staff).count() == 3
    code = GiftCode.objects.latest("pk")
    listed = client.get(reverse("admin:accounts_giftcode_changelist")).content.decode()
    assert shown_code(code) in listed
    client.post(reverse("admin:accounts_giftcode_void", args=[code.pk]), DIALOG)
    code.refresh_from_db()
    assert code.voided_at is not None
    assert {"gift_codes_made", "gift_code_voided"} <= set(deeds())
    for wrong in ({"count": "0"}, {"count": "501"}, {"days": "0"}, {"days": "99999"}):
        assert client.post(reverse("admin:accounts_giftcode_add"), form | wrong).status_code == 200
    assert GiftCode.objects.count() == 3
