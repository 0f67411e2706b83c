"""From what was told of a payment to the ledger: the shell around standing and terms.

Everything is done under a lock on the payment, then on the account, and computed anew from all rows each
time: told twice, late or out of order, it comes to the same. Nothing on a character is touched.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import connection, transaction
from payments import PaymentStatus

from accounts.models import Account, Entitlement, GiftCode, Payment, PaymentNotice
from accounts.rules import Edition
from accounts.services import grant_entitlement, record_audit, revoke_entitlement
from accounts.shop.codes import code_for, digest_of
from accounts.shop.letters import tell_of_payment
from accounts.shop.standing import Kind, Notice, Outcome, Price, Standing, outcome_of
from accounts.shop.terms import Claim, Grant, Round, deeds

log = structlog.get_logger(__name__)

PAYMENT, CODE = "payment:", "code:"  # how references of claims begin
BOUGHT = (Entitlement.Source.PURCHASE, Entitlement.Source.GIFT)

STATUSES = {  # django-payments' words for ours
    Standing.OPEN: PaymentStatus.WAITING,
    Standing.PENDING: PaymentStatus.WAITING,
    Standing.FAILED: PaymentStatus.REJECTED,
    Standing.HELD: PaymentStatus.PREAUTH,
    Standing.PAID: PaymentStatus.CONFIRMED,
    Standing.REFUNDED: PaymentStatus.REFUNDED,
    Standing.DISPUTED: PaymentStatus.REFUNDED,
    Standing.CHARGED_BACK: PaymentStatus.REFUNDED,
}


@dataclass(frozen=True)
class Told:
    """A notice, its id at the provider, and whose it is: by our token, by the provider's id, or both."""

    notice_id: str
    notice: Notice
    token: str = ""
    intent: str = ""


def take_notices(*, provider: str, told: Iterable[Told], now: datetime) -> int:
    """Keep what a provider tells, and settle the payments that it is about.

    A refund may be told of before the payment that it belongs to: it is kept, and found when that one comes.

    Returns: how many notices were new.
    """
    new = 0
    for each in told:
        with transaction.atomic():
            _lock_intent(each.intent)
            payment = _payment_of(each)
            row, is_new = PaymentNotice.objects.get_or_create(
                provider=provider, notice_id=each.notice_id, defaults=_row_values(each, payment, now)
            )
            new += is_new
            if payment is None:
                log.warning("payment_notice_waits", provider=provider, notice=each.notice_id)
                continue
            if row.payment_id is None:
                PaymentNotice.objects.filter(pk=row.pk, payment=None).update(payment=payment)
            settle(payment_id=payment.pk, intent=each.intent, now=now)
    return new


def _lock_intent(intent: str) -> None:
    """Let two notices of one charge come one after the other: one may name the payment for the other."""
    if intent:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('payment ' || %s, 0))", [intent])


def lock_address(email: str) -> None:
    """Let what is paid for an address and who confirms it come one after the other, until the commit.

    Else each would look for the other before the other is there, and what was bought would wait.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('address ' || lower(%s), 0))", [email])


def _payment_of(told: Told) -> Payment | None:
    if told.token:
        return Payment.objects.filter(token=told.token).first()
    return Payment.objects.filter(intent=told.intent).first() if told.intent else None


def _row_values(told: Told, payment: Payment | None, now: datetime) -> dict[str, object]:
    notice = told.notice
    return {
        "payment": payment,
        "kind": notice.kind.value,
        "subject": notice.subject,
        "intent": told.intent,
        "status": notice.status,
        "amount": notice.amount,
        "currency": notice.currency,
        "happened_at": notice.happened_at,
        "received_at": now,
    }


def settle(*, payment_id: int, now: datetime, intent: str = "", by: Account | None = None) -> Payment:
    """Compute how a payment stands, and have the ledger say so. Done again, it changes nothing."""
    with transaction.atomic():
        waits = Payment.objects.filter(pk=payment_id, account=None, recipient=Payment.Recipient.EMAIL)
        if (email := waits.values_list("recipient_email", flat=True).first()) is not None:
            lock_address(email)
        payment = Payment.objects.select_for_update(of=("self",)).get(pk=payment_id)
        if intent and not payment.intent:
            payment.intent = intent
            payment.save(update_fields=["intent", "modified"])
        if payment.intent:
            PaymentNotice.objects.filter(intent=payment.intent, payment=None).update(payment=payment)
        outcome = outcome_of(_notices(payment), Price(payment.total, payment.currency))
        before = payment.standing
        _write(payment, outcome)
        if before != outcome.standing:
            record_audit(
                action=f"payment_{outcome.standing}",
                account=by,
                target=payment.token,
                detail={"before": before, "paid": str(outcome.paid), "refunded": str(outcome.refunded)},
                now=now,
            )
            log.info("payment", payment=payment.token, before=before, standing=str(outcome.standing))
            transaction.on_commit(partial(tell_of_payment, payment.pk, before))
        _hand_over(payment, outcome, now)
    return payment


def _notices(payment: Payment) -> list[Notice]:
    return [
        Notice(
            kind=Kind(row.kind),
            subject=row.subject,
            happened_at=row.happened_at,
            status=row.status,
            amount=row.amount,
            currency=row.currency,
        )
        for row in payment.notices.all()
    ]


def _write(payment: Payment, outcome: Outcome) -> None:
    payment.standing = Payment.Standing(outcome.standing.value)
    payment.status = STATUSES[outcome.standing]
    payment.captured_amount = outcome.paid
    payment.refunded_amount = outcome.refunded
    payment.concern = outcome.concern
    payment.paid_at = outcome.paid_at
    payment.save(
        update_fields=[
            *("standing", "status", "captured_amount", "refunded_amount"),
            *("concern", "paid_at", "modified"),
        ]
    )


def _hand_over(payment: Payment, outcome: Outcome, now: datetime) -> None:
    """Find who gets what was bought, and book it."""
    if payment.recipient == Payment.Recipient.CODE:
        if outcome.grants:
            make_code_of(payment, now)
        code = GiftCode.objects.filter(payment=payment).first()
        if code is not None and code.redeemed_by_id is not None:
            book(account_id=code.redeemed_by_id, now=now)
        return
    if payment.account_id is None and outcome.grants:
        owner = EmailAddress.objects.filter(email__iexact=payment.recipient_email, verified=True).first()
        if owner is not None:
            payment.account_id = owner.user_id
            payment.save(update_fields=["account", "modified"])
    if payment.account_id is not None:
        book(account_id=payment.account_id, now=now)


def make_code_of(payment: Payment, now: datetime) -> None:
    """Make the gift code that a payment bought, once."""
    uid = UUID(payment.token)
    GiftCode.objects.get_or_create(
        payment=payment,
        defaults={
            "uid": uid,
            "digest": digest_of(code_for(uid, settings.SECRET_KEY)),
            "days": payment.days,
            "note": f"bought, {payment.number}",
            "created_at": now,
        },
    )


def give_waiting(*, account: Account, now: datetime) -> int:
    """Give an account what was bought for its confirmed e-mail addresses.

    Returns: how many payments it got.
    """
    addresses = EmailAddress.objects.filter(user=account, verified=True).values_list("email", flat=True)
    lower = [address.lower() for address in addresses]
    found = Payment.objects.filter(
        account=None, recipient=Payment.Recipient.EMAIL, recipient_email__in=lower, standing="paid"
    )
    payment_ids = list(found.values_list("pk", flat=True))
    for payment_id in payment_ids:
        settle(payment_id=payment_id, now=now)
    return len(payment_ids)


def book(*, account_id: int, now: datetime) -> int:
    """Have the ledger of an account say what its payments and codes do.

    Returns: how many rows were added.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",), no_key=True).get(pk=account_id)
        rounds, others = rounds_of(account, now)
        todo = deeds(claims_of(account), rounds, others, now)
        for deed in todo:
            reference = deed.round.reference
            entry = reference if deed.round.number == 1 else f"{reference}#{deed.round.number}"
            if isinstance(deed, Grant):
                is_gift = reference.startswith(CODE)
                grant_entitlement(
                    account=account,
                    edition=Edition.PREMIUM,
                    source=Entitlement.Source.GIFT if is_gift else Entitlement.Source.PURCHASE,
                    reference=entry,
                    starts_at=deed.round.starts_at,
                    ends_at=deed.round.ends_at,
                    by=None,
                    now=now,
                )
            else:
                revoke_entitlement(
                    account=account, edition=Edition.PREMIUM, reference=entry, by=None, now=now
                )
    return len(todo)


def claims_of(account: Account) -> list[Claim]:
    """Return what an account bought, was given, or redeemed, good or not."""
    claims = [
        Claim(
            reference=f"{PAYMENT}{payment.token}",
            days=payment.days,
            is_good=payment.standing == Payment.Standing.PAID,
            since=payment.paid_at or payment.created,
        )
        for payment in Payment.objects.filter(account=account)
    ]
    for code in GiftCode.objects.filter(redeemed_by=account).select_related("payment"):
        is_good = code.payment is None or code.payment.standing == Payment.Standing.PAID
        claims.append(Claim(f"{CODE}{code.uid}", code.days, is_good, code.redeemed_at or code.created_at))
    return claims


def rounds_of(account: Account, now: datetime) -> tuple[list[Round], list[Round]]:
    """Return the ledger's rounds of claims, and what else is in force now."""
    entries = list(account.entitlements.filter(edition=Edition.PREMIUM))
    taken = {entry.reference: entry for entry in entries if not entry.is_grant}
    rounds, others = [], []
    for entry in entries:
        if not entry.is_grant:
            continue
        reference, _, number = entry.reference.partition("#")
        back = taken.get(entry.reference)
        if entry.source in BOUGHT and reference.startswith((PAYMENT, CODE)):
            rounds.append(
                Round(
                    reference=reference,
                    number=int(number or 1),
                    starts_at=entry.starts_at,
                    ends_at=entry.ends_at,
                    revoked_at=None if back is None else back.starts_at,
                    is_final=back is not None and back.created_by_id is not None,
                )
            )
        elif back is None and entry.starts_at <= now and (entry.ends_at is None or entry.ends_at > now):
            others.append(Round(entry.reference, 1, entry.starts_at, entry.ends_at))
    return rounds, others
