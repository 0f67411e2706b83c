"""Writes of the shop that people cause: opening a payment, refunds and decisions of staff, gift codes."""

from datetime import datetime
from decimal import Decimal
from uuid import uuid4

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts.models import Account, GiftCode, Payment
from accounts.services import record_audit
from accounts.shop.booking import Told, book, rounds_of, take_notices
from accounts.shop.codes import code_for, digest_of, read_code
from accounts.shop.prices import Product
from accounts.shop.standing import Kind, Notice
from accounts.shop.till import prices
from accounts.shop.tills import till, till_of

log = structlog.get_logger(__name__)

MAX_CODES = 500  # made at once: a sheet to print
REFUNDABLE = (Payment.Standing.PAID, Payment.Standing.HELD)


class PurchaseRefused(Exception):
    """It cannot be bought like this. `field` of the form, and what is wrong, for people."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class CodeRefused(Exception):
    """The code cannot be redeemed; the text says why, for people. `code`: for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class DeedRefused(Exception):
    """What staff asked for does not fit how the payment stands."""


def open_payment(
    *,
    product: Product,
    buyer: Account | None,
    email: str,
    recipient: str,
    recipient_email: str = "",
    now: datetime,
) -> Payment:
    """Write down a purchase that is not paid yet.

    Args: email: where the receipt goes. recipient_email: whose it is, with Payment.Recipient.EMAIL.
    Raises: PurchaseRefused, ShopClosed
    """
    place = till()
    if recipient == Payment.Recipient.BUYER and buyer is None:
        raise PurchaseRefused("recipient", "Log in first, or say for whom it is.")
    if recipient == Payment.Recipient.BUYER and buyer is not None and has_for_good(buyer, now):
        raise PurchaseRefused("recipient", "You have Premium for good already: nothing can be added to it.")
    _check_email("email", email)
    if recipient == Payment.Recipient.EMAIL:
        _check_email("recipient_email", recipient_email)
    with transaction.atomic():
        payment = Payment.objects.create(
            variant=place.name,
            buyer=buyer,
            account=buyer if recipient == Payment.Recipient.BUYER else None,
            billing_email=email.strip().lower(),
            recipient=recipient,
            recipient_email=recipient_email.strip().lower() if recipient == Payment.Recipient.EMAIL else "",
            product=product.slug,
            days=product.days,
            description=product.title,
            total=product.amount,
            currency=product.currency,
            tax=prices().tax_in(product.amount),
        )
        record_audit(
            action="payment_opened",
            account=buyer,
            target=payment.token,
            detail={"product": product.slug, "amount": str(product.amount), "recipient": recipient},
            now=now,
        )
    return payment


def _check_email(field: str, email: str) -> None:
    try:
        validate_email(email.strip())
    except ValidationError as error:
        text = "This is not a complete e-mail address. It looks like name@example.org."
        raise PurchaseRefused(field, text) from error


def has_for_good(account: Account, now: datetime) -> bool:
    """Return whether an account has Premium without an end."""
    rounds, others = rounds_of(account, now)
    return any(each.is_open and each.ends_at is None for each in [*rounds, *others])


def refund_payment(
    *, payment: Payment, amount: Decimal | None, reason: str, by: Account, now: datetime
) -> Payment:
    """Pay back a part, or all that is left. Premium is taken back when all of it went back.

    Raises: DeedRefused, ShopClosed, TillUnavailable: nothing was paid back.
    """
    payment.refresh_from_db()  # another of the staff may have paid back since the page was opened
    left = payment.captured_amount - payment.refunded_amount
    if payment.standing not in REFUNDABLE or left <= 0:
        raise DeedRefused("There is nothing of this payment that could be refunded.")
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise DeedRefused(f"Of this payment {left} {payment.currency} can be refunded, no more.")
    place = till_of(payment)
    detail: dict[str, object] = {"amount": str(amount), "reason": reason}
    record_audit(action="payment_refund_asked", account=by, target=payment.token, detail=detail, now=now)
    take_notices(provider=place.name, told=place.refund(payment, amount, now), now=now)
    payment.refresh_from_db()
    return payment


def accept_payment(*, payment: Payment, reason: str, by: Account, now: datetime) -> Payment:
    """Take what came for the whole price. Raises: DeedRefused: it is not held."""
    if payment.standing != Payment.Standing.HELD:
        raise DeedRefused("Only a payment that is held can be accepted.")
    notice = Notice(Kind.ACCEPTED, payment.token, now)
    with transaction.atomic():
        record_audit(
            action="payment_accepted", account=by, target=payment.token, detail={"reason": reason}, now=now
        )
        take_notices(
            provider="staff", told=[Told(f"{payment.token}:accepted", notice, token=payment.token)], now=now
        )
    payment.refresh_from_db()
    return payment


def make_codes(
    *, count: int, days: int | None, note: str, ends_at: datetime | None, by: Account, now: datetime
) -> list[GiftCode]:
    """Make gift codes. Raises: ValueError: none, or more than MAX_CODES."""
    if not 1 <= count <= MAX_CODES:
        raise ValueError(f"from 1 to {MAX_CODES} codes at once")
    rows = []
    for _ in range(count):
        uid = uuid4()
        digest = digest_of(code_for(uid, settings.SECRET_KEY))
        rows.append(
            GiftCode(
                uid=uid, digest=digest, days=days, note=note, ends_at=ends_at, made_by=by, created_at=now
            )
        )
    with transaction.atomic():
        GiftCode.objects.bulk_create(rows)
        detail: dict[str, object] = {"count": count, "days": days, "note": note}
        record_audit(action="gift_codes_made", account=by, target=str(rows[0].uid), detail=detail, now=now)
    return rows


def shown_code(code: GiftCode) -> str | None:
    """Return a code as it is printed; None if the deployment's secret is another than when it was made."""
    shown = code_for(code.uid, settings.SECRET_KEY)
    return shown if digest_of(shown) == code.digest else None


def redeem_code(*, account: Account, typed: str, now: datetime) -> GiftCode:
    """Redeem a gift code. The same account again gets the same answer.

    Raises: CodeRefused
    """
    code = read_code(typed)
    if code is None:
        raise CodeRefused("not_a_code", "A code has sixteen letters and digits, as in 7K2M-9QXA-4DTR-HW3B.")
    digest = digest_of(code)
    with transaction.atomic():
        # The payment before the code, as settle locks them.
        payment = Payment.objects.select_for_update().filter(gift_code__digest=digest).first()
        row = GiftCode.objects.select_for_update(of=("self",)).filter(digest=digest).first()
        if row is None:
            raise CodeRefused(
                "unknown_code", "There is no such code. Compare it once more, letter by letter."
            )
        if row.redeemed_by_id == account.pk:
            return row
        _check_redeemable(row, payment, now)
        row.redeemed_by, row.redeemed_at = account, now
        row.save(update_fields=["redeemed_by", "redeemed_at"])
        record_audit(action="gift_code_redeemed", account=account, target=str(row.uid), now=now)
        book(account_id=account.pk, now=now)
    return row


def _check_redeemable(code: GiftCode, payment: Payment | None, now: datetime) -> None:
    if code.redeemed_by_id is not None:
        raise CodeRefused("used_code", "This code was used already. Each one can be used once.")
    if code.voided_at is not None or (payment is not None and payment.standing != Payment.Standing.PAID):
        raise CodeRefused("void_code", "This code is not valid any more. Ask who gave it to you.")
    if code.ends_at is not None and code.ends_at <= now:
        raise CodeRefused("late_code", f"This code could be used until {code.ends_at:%-d %B %Y}.")


def void_code(*, code: GiftCode, reason: str, by: Account, now: datetime) -> GiftCode:
    """Make a code that nobody has redeemed worthless. Raises: DeedRefused"""
    with transaction.atomic():
        row = GiftCode.objects.select_for_update(of=("self",)).get(pk=code.pk)
        if row.redeemed_by_id is not None:
            raise DeedRefused("It was redeemed already: take the entitlement back instead.")
        if row.voided_at is None:
            row.voided_at = now
            row.save(update_fields=["voided_at"])
            detail: dict[str, object] = {"reason": reason}
            record_audit(action="gift_code_voided", account=by, target=str(row.uid), detail=detail, now=now)
    return row
