"""Stripe: checkout and refunds by its API, webhooks by their signature, whatever order they come in."""

import json
import time
from datetime import timedelta
from itertools import permutations
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from accounts.models import AuditRecord, Entitlement, Payment, PaymentNotice
from accounts.rules import Edition
from accounts.selectors import edition_of
from accounts.shop.booking import take_notices
from accounts.shop.buying import DeedRefused, open_payment, refund_payment
from accounts.shop.reconciling import reconcile
from accounts.shop.till import TillUnavailable, prices
from tests.integration.accounts.shop.conftest import WEBHOOK, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stripe_shop")]

SESSIONS = "POST /v1/checkout/sessions"
MINE = {"product": "month", "recipient": "buyer", "recipient_email": ""}


@pytest.fixture
def payment(bob) -> Payment:
    product = prices().product("month")
    assert product is not None
    made = open_payment(product=product, buyer=bob, email=bob.email, recipient="buyer", now=timezone.now())
    Payment.objects.filter(pk=made.pk).update(transaction_id="cs_1")
    made.refresh_from_db()
    return made


def session_of(payment: Payment, **changes: object) -> dict[str, object]:
    session = {
        "object": "checkout.session",
        "id": "cs_1",
        "payment_intent": "pi_1",
        "payment_status": "paid",
        "status": "complete",
        "amount_total": 500,
        "currency": "eur",
        "client_reference_id": payment.token,
        "metadata": {"waystone_payment": payment.token},
    }
    return {**session, **changes}


def refund_of(status: str = "succeeded", amount: int = 500) -> dict[str, object]:
    return {
        "object": "refund",
        "id": "re_1",
        "payment_intent": "pi_1",
        "amount": amount,
        "currency": "eur",
        "status": status,
    }


def dispute_of(status: str) -> dict[str, object]:
    return {
        "object": "dispute",
        "id": "du_1",
        "payment_intent": "pi_1",
        "amount": 500,
        "currency": "eur",
        "status": status,
    }


def edition(account) -> Edition:
    return edition_of(account, timezone.now())


class TestCheckout:
    def test_the_buyer_is_sent_to_stripe_with_our_price(self, client, bob, stripe_shop):
        stripe_shop.answers[SESSIONS] = (
            200,
            {"id": "cs_1", "object": "checkout.session", "url": "https://checkout.stripe.com/c/pay/cs_1"},
        )
        client.force_login(bob)
        page = client.get("/premium/checkout/")
        assert "form-action 'self' https://checkout.stripe.com;" in page.headers["Content-Security-Policy"]
        answer = client.post("/premium/checkout/", {**MINE, "total": "0.01"})
        assert answer.headers["Location"] == "https://checkout.stripe.com/c/pay/cs_1"
        payment = Payment.objects.get()
        assert (payment.transaction_id, payment.standing) == ("cs_1", "open")
        [(_, asked, headers)] = stripe_shop.asked
        assert asked["line_items[0][price_data][unit_amount]"] == "500"
        assert asked["line_items[0][price_data][currency]"] == "eur"
        assert asked["client_reference_id"] == payment.token
        assert asked["payment_intent_data[metadata][waystone_payment]"] == payment.token
        assert urlsplit(asked["success_url"]).path == f"/premium/payments/{payment.token}/"
        assert headers["Idempotency-Key"] == f"waystone-checkout-{payment.token}"
        assert "sk_test" not in payment.extra_data

    def test_stripe_away_means_that_nothing_was_charged(self, client, bob, stripe_shop):
        stripe_shop.answers[SESSIONS] = (402, {"error": {"message": "no", "type": "card_error"}})
        client.force_login(bob)
        answer = client.post("/premium/checkout/", MINE)
        assert answer.status_code == 503
        assert "Nothing was charged" in answer.content.decode()

    def test_coming_back_with_a_browser_proves_nothing(self, client, bob, payment):
        client.force_login(bob)
        page = client.get(f"/premium/payments/{payment.token}/?payment_status=paid")
        assert "not heard of your payment yet" in page.content.decode()
        assert edition(bob) is Edition.FREE
        assert client.post(f"/premium/payments/{payment.token}/try/", {"outcome": "paid"}).status_code == 404


class TestSignature:
    def test_only_stripe_is_believed(self, client, bob, payment):
        event = {
            "id": "evt_1",
            "object": "event",
            "type": "checkout.session.completed",
            "created": int(time.time()),
        }
        body = json.dumps({**event, "livemode": False, "data": {"object": session_of(payment)}}).encode()
        for signature in (
            "",
            "nonsense",
            "t=1,v1=00",
            signed(body, "whsec_of_mallory"),
            signed(body + b" "),
            signed(body, at=time.time() - 3600),
        ):
            answer = client.post(
                WEBHOOK, body, content_type="application/json", headers={"Stripe-Signature": signature}
            )
            assert answer.status_code == 400, signature
        assert not PaymentNotice.objects.exists()
        good = client.post(
            WEBHOOK, body, content_type="application/json", headers={"Stripe-Signature": signed(body)}
        )
        assert good.status_code == 200
        assert edition(bob) is Edition.PREMIUM

    def test_a_live_event_is_not_for_a_shop_with_a_test_key(self, tell, bob, payment):
        answer = tell("checkout.session.completed", session_of(payment), "evt_1", livemode=True)
        assert answer.status_code == 400
        assert edition(bob) is Edition.FREE

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"object":"event"}', b"\xff\xfe"])
    def test_hostile_bodies_are_refused_even_signed(self, client, body):
        answer = client.post(
            WEBHOOK, body, content_type="application/json", headers={"Stripe-Signature": signed(body)}
        )
        assert answer.status_code == 400
        assert not PaymentNotice.objects.exists()

    def test_a_huge_body_is_refused(self, client):
        body = b" " * 300_000
        answer = client.post(
            WEBHOOK, body, content_type="application/json", headers={"Stripe-Signature": signed(body)}
        )
        assert answer.status_code == 413

    def test_nobody_reads_there(self, client):
        assert client.get(WEBHOOK).status_code == 405


class TestWebhooks:
    def test_told_twice_is_booked_once(self, tell, bob, payment):
        for event_id in ("evt_1", "evt_1", "evt_2"):
            assert tell("checkout.session.completed", session_of(payment), event_id).status_code == 200
        assert edition(bob) is Edition.PREMIUM
        assert Entitlement.objects.count() == 1
        assert PaymentNotice.objects.count() == 2
        assert AuditRecord.objects.filter(action="payment_paid").count() == 1

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_any_order_comes_to_the_same(self, tell, bob, payment, order):
        story = [
            ("checkout.session.completed", session_of(payment), "evt_1"),
            ("charge.dispute.created", dispute_of("needs_response"), "evt_2"),
            ("charge.dispute.closed", dispute_of("won"), "evt_3"),
        ]
        for number in order:
            assert tell(*story[number]).status_code == 200
        payment.refresh_from_db()
        assert (payment.standing, edition(bob)) == ("paid", Edition.PREMIUM)

    def test_a_refund_before_its_payment_waits_for_it(self, tell, bob, payment):
        tell("refund.created", refund_of(), "evt_2")
        assert PaymentNotice.objects.get().payment is None
        tell("checkout.session.completed", session_of(payment), "evt_1")
        payment.refresh_from_db()
        assert (payment.standing, edition(bob)) == ("refunded", Edition.FREE)
        assert not PaymentNotice.objects.filter(payment=None).exists()

    def test_paid_after_the_checkout_had_run_out_counts(self, tell, bob, payment):
        gone = session_of(payment, payment_status="unpaid", status="expired", payment_intent=None)
        tell("checkout.session.expired", gone, "evt_1")
        payment.refresh_from_db()
        assert payment.standing == "failed"
        tell("checkout.session.async_payment_succeeded", session_of(payment), "evt_2")
        assert edition(bob) is Edition.PREMIUM

    @pytest.mark.parametrize(("amount", "currency"), [(499, "eur"), (500, "usd"), (1, "eur")])
    def test_another_amount_is_held(self, tell, bob, payment, amount, currency):
        tell(
            "checkout.session.completed", session_of(payment, amount_total=amount, currency=currency), "evt_1"
        )
        payment.refresh_from_db()
        assert (payment.standing, edition(bob)) == ("held", Edition.FREE)
        assert "asked for were 5.00" in payment.concern

    def test_a_chargeback_that_is_lost_takes_premium(self, tell, bob, payment):
        tell("checkout.session.completed", session_of(payment), "evt_1")
        tell("charge.dispute.created", dispute_of("needs_response"), "evt_2")
        assert edition(bob) is Edition.FREE
        tell("charge.dispute.closed", dispute_of("lost"), "evt_3")
        payment.refresh_from_db()
        assert (payment.standing, edition(bob)) == ("charged_back", Edition.FREE)

    def test_what_belongs_to_another_shop_of_the_same_stripe_account_is_let_be(self, tell, bob, payment):
        foreign = session_of(payment, client_reference_id="order 17", metadata={}, payment_intent="pi_other")
        assert tell("checkout.session.completed", foreign, "evt_1").status_code == 200
        assert tell("customer.created", {"object": "customer", "id": "cus_1"}, "evt_2").status_code == 200
        payment.refresh_from_db()
        assert (payment.standing, edition(bob)) == ("open", Edition.FREE)

    def test_a_webhook_at_a_shop_without_stripe_is_nobodys(self, client, settings, tell, payment):
        settings.SHOP = settings.SHOP.__class__(**{**settings.SHOP.__dict__, "till": "dummy"})
        assert tell("checkout.session.completed", session_of(payment), "evt_1").status_code == 404


class TestRefunds:
    @pytest.fixture
    def paid(self, tell, payment) -> Payment:
        tell("checkout.session.completed", session_of(payment), "evt_1")
        payment.refresh_from_db()
        return payment

    def test_staff_pays_back_and_premium_ends(self, paid, bob, staff, stripe_shop):
        stripe_shop.answers["POST /v1/refunds"] = (200, refund_of())
        refund_payment(payment=paid, amount=None, reason="asked for", by=staff, now=timezone.now())
        assert edition(bob) is Edition.FREE
        [(_, asked, headers)] = stripe_shop.asked
        assert (asked["payment_intent"], asked["amount"]) == ("pi_1", "500")
        assert headers["Idempotency-Key"].startswith(f"waystone-refund-{paid.token}")
        paid.refresh_from_db()
        with pytest.raises(DeedRefused):
            refund_payment(payment=paid, amount=None, reason="again", by=staff, now=timezone.now())

    def test_a_part_back_leaves_premium(self, paid, bob, staff, stripe_shop):
        stripe_shop.answers["POST /v1/refunds"] = (200, refund_of(amount=200))
        done = refund_payment(
            payment=paid, amount=paid.total / 2, reason="kind", by=staff, now=timezone.now()
        )
        assert (str(done.refunded_amount), done.standing, edition(bob)) == ("2.00", "paid", Edition.PREMIUM)

    def test_a_refund_that_stripe_refuses_changes_nothing(self, paid, bob, staff, stripe_shop):
        stripe_shop.answers["POST /v1/refunds"] = (400, {"error": {"message": "no balance"}})
        with pytest.raises(TillUnavailable, match="no balance"):
            refund_payment(payment=paid, amount=None, reason="asked for", by=staff, now=timezone.now())
        assert edition(bob) is Edition.PREMIUM


class TestReconciliation:
    def test_a_webhook_that_never_came_is_made_up_for(self, payment, bob, stripe_shop):
        Payment.objects.update(created=timezone.now() - timedelta(hours=1))
        stripe_shop.answers["GET /v1/checkout/sessions/cs_1"] = (200, session_of(payment))
        empty = {"object": "list", "data": [], "has_more": False}
        stripe_shop.answers["GET /v1/refunds"] = (200, empty)
        stripe_shop.answers["GET /v1/disputes"] = (200, empty)
        assert reconcile(timezone.now()).found == 1
        assert edition(bob) is Edition.PREMIUM
        again = reconcile(timezone.now().replace(hour=3))
        assert (again.found, again.booked, again.given) == (0, 0, 0)

    def test_stripe_away_breaks_nothing(self, payment, bob):
        Payment.objects.update(created=timezone.now() - timedelta(hours=1))
        assert reconcile(timezone.now()).unreachable == 1
        assert edition(bob) is Edition.FREE

    def test_a_checkout_that_nobody_came_back_to_is_closed(self, payment):
        Payment.objects.update(created=timezone.now() - timedelta(days=3), transaction_id="")
        reconcile(timezone.now())
        payment.refresh_from_db()
        assert payment.standing == "failed"

    def test_what_came_while_its_payment_was_unknown_is_found_later(self, payment, tell, bob):
        tell("checkout.session.completed", session_of(payment), "evt_1")
        PaymentNotice.objects.create(
            provider="stripe",
            notice_id="evt_2",
            kind="refund",
            subject="re_1",
            intent="pi_1",
            status="succeeded",
            amount="5.00",
            currency="EUR",
            happened_at=timezone.now(),
        )
        reconcile(timezone.now())
        assert edition(bob) is Edition.FREE
        assert take_notices(provider="stripe", told=[], now=timezone.now()) == 0
