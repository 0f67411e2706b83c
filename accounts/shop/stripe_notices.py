"""What Stripe's events and objects tell, as notices. Pure: plain dictionaries in, whatever sent them.

Source: Stripe API reference, "Event types", "Checkout Session", "Refund", "Dispute", "Charge".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.shop.prices import from_smallest_units
from accounts.shop.standing import Kind, Notice

MAX_CENTS = 10**9
EVENTS = (  # what the webhook endpoint at Stripe is to send
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
)
ALSO_READ = ("charge.refund.updated", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated")


class BadEvent(ValueError):
    """An event that is not of the form that Stripe documents; the text says what is amiss."""


@dataclass(frozen=True)
class Event:
    """One event: its notice, and whose it is by our token, by Stripe's payment intent, or both."""

    event_id: str
    notice: Notice
    token: str
    intent: str


def read_event(event: Mapping[str, Any]) -> Event | None:
    """Return what an event tells; None if it is of a kind that the shop does not need.

    Raises: BadEvent
    """
    kind, event_id = _text(event, "type"), _text(event, "id")
    if kind not in EVENTS and kind not in ALSO_READ:
        return None
    data = event.get("data")
    subject = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(subject, Mapping):
        raise BadEvent("data.object is missing")
    return read_object(subject, event_id, _instant(event), kind)


def read_object(subject: Mapping[str, Any], event_id: str, at: datetime, kind: str = "") -> Event | None:
    """Return what an object tells: a checkout session, a charge, a refund or a dispute.

    Raises: BadEvent
    """
    found = {
        "checkout.session": _session,
        "charge": _charge,
        "refund": _refund,
        "dispute": _dispute,
    }.get(_text(subject, "object"))
    if found is None:
        return None
    notice = found(subject, at, kind)
    if notice is None:
        return None
    return Event(event_id, notice, _token(subject), _id(subject.get("payment_intent")))


def _session(session: Mapping[str, Any], at: datetime, kind: str) -> Notice | None:
    subject = _id(session.get("payment_intent")) or _text(session, "id")
    if session.get("payment_status") == "paid":
        amount, currency = _money(session, "amount_total")
        return Notice(Kind.PAID, subject, at, "", amount, currency)
    if kind in ("checkout.session.async_payment_failed", "checkout.session.expired"):
        return Notice(Kind.FAILED, subject, at, kind.rpartition(".")[2])
    if session.get("status") == "expired":
        return Notice(Kind.FAILED, subject, at, "expired")
    return Notice(Kind.PENDING, subject, at) if session.get("status") == "complete" else None


def _charge(charge: Mapping[str, Any], at: datetime, kind: str) -> Notice | None:
    amount, currency = _money(charge, "amount_refunded")
    return Notice(Kind.REFUND_TOTAL, _text(charge, "id"), at, "", amount, currency)


def _refund(refund: Mapping[str, Any], at: datetime, kind: str) -> Notice | None:
    amount, currency = _money(refund, "amount")
    status = refund.get("status") or "succeeded"  # old ones have none
    return Notice(Kind.REFUND, _text(refund, "id"), at, str(status)[:40], amount, currency)


def _dispute(dispute: Mapping[str, Any], at: datetime, kind: str) -> Notice | None:
    amount, currency = _money(dispute, "amount")
    return Notice(Kind.DISPUTE, _text(dispute, "id"), at, _text(dispute, "status")[:40], amount, currency)


def _text(source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise BadEvent(f"{name}: a text of 1 to 200 characters is missing")
    return value


def _id(value: object) -> str:
    """Return an object's id, whether it is named or spelled out; empty if there is none."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and len(value) <= 200 else ""


def _token(subject: Mapping[str, Any]) -> str:
    """Return our token, which the checkout gave to Stripe; empty: it has none."""
    metadata = subject.get("metadata")
    marked = metadata.get("waystone_payment") if isinstance(metadata, Mapping) else None
    for value in (subject.get("client_reference_id"), marked):
        if isinstance(value, str):
            try:
                return str(UUID(value))
            except ValueError:
                continue
    return ""


def _money(source: Mapping[str, Any], name: str) -> tuple[Any, str]:
    count, currency = source.get(name), source.get("currency")
    if type(count) is not int or not 0 <= count <= MAX_CENTS:
        raise BadEvent(f"{name}: a whole number of the smallest unit is missing")
    if not isinstance(currency, str) or not (
        len(currency) == 3 and currency.isascii() and currency.isalpha()
    ):
        raise BadEvent("currency: three letters are missing")
    return from_smallest_units(count, currency), currency.upper()


def _instant(event: Mapping[str, Any]) -> datetime:
    created = event.get("created")
    if type(created) is not int or not 0 < created < 2**33:
        raise BadEvent("created: seconds since 1970 are missing")
    return datetime.fromtimestamp(created, UTC)
