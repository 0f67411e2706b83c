"""How the shop is shown: amounts, what editions give, payments as plain values. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from accounts.models import Account, GiftCode, Payment
from accounts.rules import LIMITS, Edition, EditionLimits
from accounts.shop.booking import rounds_of
from accounts.shop.buying import shown_code
from accounts.shop.prices import WHOLE

SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
MAX_SHOWN = 100  # payments on a page: more than anybody makes

WORDS = {
    "open": ("Not paid yet", ""),
    "pending": ("On its way", "warn"),
    "failed": ("Not paid", "bad"),
    "held": ("Held", "warn"),
    "paid": ("Paid", "good"),
    "refunded": ("Refunded", ""),
    "disputed": ("Disputed", "warn"),
    "charged_back": ("Charged back", "bad"),
}


def money(amount: Decimal, currency: str) -> str:
    """Return an amount for people: €5.00, ¥ as JPY 500."""
    number = f"{amount:.0f}" if currency in WHOLE else f"{amount:.2f}"
    sign = SIGNS.get(currency)
    return f"{sign}{number}" if sign else f"{currency} {number}"


@dataclass(frozen=True)
class Tick:
    """One line of what an edition gives."""

    has: bool
    text: str


def ticks_of(limits: EditionLimits) -> list[Tick]:
    """Return what an edition gives, as the page says it: from the limits themselves, so that it is true."""
    ticks = [
        Tick(True, f"{limits.character_slots} places for characters"),
        Tick(
            True,
            "No highest level" if limits.level_cap is None else f"Levels up to {limits.level_cap}",
        ),
        Tick(
            limits.may_enter_premium_worlds,
            "Premium worlds, too" if limits.may_enter_premium_worlds else "No Premium worlds",
        ),
    ]
    if hasattr(limits, "may_enter_premium_zones"):
        ticks.append(
            Tick(
                limits.may_enter_premium_zones,
                "Premium zones in all worlds" if limits.may_enter_premium_zones else "No Premium zones",
            )
        )
    if hasattr(limits, "queue_place"):
        is_first = limits.queue_place == min(each.queue_place for each in LIMITS.values())
        words = (
            "First in the queue of a full world" if is_first else "The usual place in a full world's queue"
        )
        ticks.append(Tick(True, words))
    return ticks


def offers() -> list[dict[str, Any]]:
    """Return the editions side by side."""
    return [
        {"edition": edition.value, "name": edition.name.title(), "ticks": ticks_of(LIMITS[edition])}
        for edition in (Edition.FREE, Edition.PREMIUM)
    ]


def premium_until(account: Account, now: datetime) -> tuple[bool, datetime | None]:
    """Return whether Premium is in force, and its end, all that comes after without a gap counted in.

    An end of None with True: for good.
    """
    rounds, others = rounds_of(account, now)
    spans = [
        each for each in [*rounds, *others] if each.is_open and (each.ends_at is None or each.ends_at > now)
    ]
    end = now
    for span in sorted(spans, key=lambda each: each.starts_at):
        if span.starts_at > end:
            break
        if span.ends_at is None:
            return True, None
        end = max(end, span.ends_at)
    return end > now, (end if end > now else None)


def payments_of(account: Account) -> list[Payment]:
    """Return what an account paid for, newest first."""
    return list(Payment.objects.filter(buyer=account).exclude(standing="open")[:MAX_SHOWN])


def shown_payment(payment: Payment, viewer: Account | None, now: datetime) -> dict[str, Any]:
    """Return the values of a payment's page and receipt."""
    words, tone = WORDS[payment.standing]
    code = GiftCode.objects.filter(payment=payment).select_related("redeemed_by").first()
    is_paid = payment.standing == Payment.Standing.PAID
    return {
        "payment": payment,
        "words": words,
        "tone": tone,
        "price": money(payment.total, payment.currency),
        "paid": money(payment.captured_amount, payment.currency),
        "refunded": money(payment.refunded_amount, payment.currency) if payment.refunded_amount else "",
        "tax": money(payment.tax, payment.currency) if payment.tax else "",
        "is_waiting": payment.standing in ("open", "pending"),
        "is_paid": is_paid,
        "is_for_me": viewer is not None and payment.account_id == viewer.pk,
        "code": shown_code(code) if code is not None and is_paid and not code.voided_at else "",
        "is_code_used": code is not None and code.redeemed_by_id is not None,
        "seller": [line.strip() for line in settings.SHOP.seller.split("|") if line.strip()],
    }
