"""Stripe: Checkout for paying, its API for refunds and looking up, its signature on webhooks.

django-payments' provider, with what a real shop needs on top: time limits, an idempotency key for each call
that moves money, our token on all that Stripe keeps, and nothing of the buyer's kept here. A card's number
never comes near this machine.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

import stripe
import structlog
from payments import PaymentError, RedirectNeeded
from payments.stripe.providers import StripeProviderV3

from accounts.models import Payment
from accounts.shop.booking import Told
from accounts.shop.pages import public_page_of
from accounts.shop.prices import in_smallest_units
from accounts.shop.stripe_notices import BadEvent, Event, read_event, read_object
from accounts.shop.till import Till, TillUnavailable

log = structlog.get_logger(__name__)

TIME_LIMIT = 10  # seconds for one call: a web thread waits for it
RETRIES = 2  # of the library's own, with the same idempotency key
CHECKOUT_LASTS = 3600  # seconds; then Stripe tells that it has expired
TOLERANCE = 300  # seconds: how old a signature may be, Stripe's own advice
MAX_LISTED = 100


class StripeProvider(StripeProviderV3):
    """django-payments' provider with calls of our own."""

    def __init__(self, api_key: str, endpoint_secret: str, address: str = "") -> None:
        super().__init__(api_key, endpoint_secret=endpoint_secret)
        self.is_live = "_live_" in api_key
        self.client = stripe.StripeClient(
            api_key,
            http_client=stripe.RequestsClient(timeout=TIME_LIMIT),
            max_network_retries=RETRIES,
            base_addresses={"api": address} if address else {},
        )

    def get_form(self, payment: Payment, data: object = None) -> NoReturn:
        session = self.create_session(payment)
        # Of the whole row this column alone: a notice may have changed the other ones by now.
        Payment.objects.filter(pk=payment.pk).update(transaction_id=session.id)
        if not session.url:
            raise PaymentError("Stripe gave no address to pay at")
        raise RedirectNeeded(session.url)

    def create_session(self, payment: Payment) -> Any:
        mark = {"waystone_payment": payment.token}
        price = {
            "currency": payment.currency.lower(),
            "unit_amount": in_smallest_units(payment.total, payment.currency),
            "product_data": {"name": payment.description},
        }
        asked: Any = {
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "client_reference_id": payment.token,
            "metadata": mark,
            "payment_intent_data": {
                "metadata": mark,
                "description": f"{payment.number} {payment.description}",
            },
            "customer_email": payment.billing_email,
            "expires_at": int(payment.created.timestamp()) + CHECKOUT_LASTS,
            "success_url": public_page_of(payment),
            "cancel_url": public_page_of(payment),
        }
        return self.client.v1.checkout.sessions.create(
            asked, {"idempotency_key": f"waystone-checkout-{payment.token}"}
        )

    def refund(self, payment: Payment, amount: Decimal | None = None) -> Any:
        """Refund an amount, all that is left if none is given. Returns: Stripe's refund."""
        amount = payment.captured_amount - payment.refunded_amount if amount is None else amount
        asked: Any = {
            "payment_intent": payment.intent,
            "amount": in_smallest_units(amount, payment.currency),
            "reason": "requested_by_customer",
            "metadata": {"waystone_payment": payment.token},
        }
        key = f"waystone-refund-{payment.token}-{payment.refunded_amount}-{amount}"
        return self.client.v1.refunds.create(asked, {"idempotency_key": key})

    def cancel(self, payment: Payment) -> None:
        self.client.v1.checkout.sessions.expire(payment.transaction_id)


class StripeTill(Till):
    name = "stripe"

    def __init__(self, provider: StripeProvider) -> None:
        self.provider = provider

    def begin(self, payment: Payment) -> str:
        try:
            payment.get_form()
        except RedirectNeeded as redirect:
            return str(redirect)
        except (PaymentError, stripe.StripeError) as error:
            raise _unavailable("checkout", payment, error) from error
        raise TillUnavailable("Stripe gave no address to pay at.")

    def refund(self, payment: Payment, amount: Decimal, now: datetime) -> list[Told]:
        try:
            refund = self.provider.refund(payment, amount)
        except stripe.StripeError as error:
            raise _unavailable("refund", payment, error) from error
        return _told([refund], payment, now)

    def look_up(self, payment: Payment, now: datetime) -> list[Told]:
        if not payment.transaction_id:
            return []
        v1 = self.provider.client.v1
        try:
            session = v1.checkout.sessions.retrieve(payment.transaction_id)
            found: list[Any] = [session]
            intent = session.payment_intent
            if intent:
                of_it: Any = {"payment_intent": intent, "limit": MAX_LISTED}
                found += [*v1.refunds.list(of_it).data, *v1.disputes.list(of_it).data]
        except stripe.StripeError as error:
            raise _unavailable("look up", payment, error) from error
        return _told(found, payment, now)

    def read_webhook(self, body: bytes, signature: str) -> Told | None:
        """Return what a webhook tells; None: nothing that the shop needs.

        Raises: BadEvent: not signed by Stripe, too old, or of another form.
        """
        try:
            text = body.decode()
            stripe.WebhookSignature.verify_header(
                text, signature, self.provider.endpoint_secret, tolerance=TOLERANCE
            )
            data = json.loads(text)
        except (ValueError, RecursionError, stripe.SignatureVerificationError) as error:
            raise BadEvent(f"not believed: {error}") from error
        if not isinstance(data, dict):
            raise BadEvent("an event is a JSON object")
        if bool(data.get("livemode")) != self.provider.is_live:
            raise BadEvent("a test event for a live shop, or the other way round: check key and secret")
        found = read_event(data)
        return None if found is None else _as_told(found)


def _unavailable(what: str, payment: Payment, error: Exception) -> TillUnavailable:
    log.error("stripe_failed", what=what, payment=payment.token, cause=str(error)[:400])
    return TillUnavailable(f"Stripe did not carry it out: {str(error)[:200]}")


def _as_told(event: Event) -> Told:
    return Told(event.event_id, event.notice, event.token, event.intent)


def _told(objects: Iterable[Any], payment: Payment, now: datetime) -> list[Told]:
    """Return what objects of the API tell, with ids by which the same state is the same notice."""
    found = []
    for each in objects:
        data: Mapping[str, Any] = each.to_dict()
        event = read_object(data, "looked-up", now)
        if event is None:
            continue
        notice = event.notice
        own_id = f"looked-up:{notice.subject}:{notice.kind}:{notice.status}:{notice.amount}"
        found.append(Told(own_id[:200], notice, payment.token, event.intent))
    return found
