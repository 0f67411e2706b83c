"""The till for trying it out: the buyer says what a bank would have said. Nothing is paid."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from payments import FraudStatus, PaymentStatus, RedirectNeeded

from accounts.models import Payment
from accounts.shop.booking import Told
from accounts.shop.pages import page_of
from accounts.shop.standing import Kind, Notice
from accounts.shop.till import Till, TillUnavailable

# What can be tried, as the page offers it: before anything was paid, and after.
BEFORE = {
    "paid": "Pay",
    "less": "Pay half of it",
    "refused": "Let the bank refuse",
}
AFTER = {
    "refund": "Refund it",
    "dispute": "Let the bank dispute it",
    "won": "Dispute won",
    "lost": "Dispute lost",
}


class DummyTill(Till):
    name = "dummy"
    can_pretend = True

    def begin(self, payment: Payment) -> str:
        payment.get_form()  # the provider notes that its form is shown
        return page_of(payment, "try_payment")

    def refund(self, payment: Payment, amount: Decimal, now: datetime) -> list[Told]:
        subject = f"{payment.token}:refund:{payment.refunded_amount}"
        return [_told(payment, now, Kind.REFUND, subject, "succeeded", amount)]

    def look_up(self, payment: Payment, now: datetime) -> list[Told]:
        return []

    def play(self, payment: Payment, outcome: str, now: datetime) -> list[Told]:
        """Do what the buyer chose, of BEFORE or AFTER.

        Raises: TillUnavailable: it is none of them, or does not fit how the payment stands.
        """
        open_ones = (Payment.Standing.OPEN, Payment.Standing.PENDING, Payment.Standing.FAILED)
        if outcome not in (BEFORE if payment.standing in open_ones else AFTER):
            raise TillUnavailable("That does not fit how the payment stands now.")
        dispute = f"{payment.token}:dispute:{payment.notices.filter(kind=Kind.DISPUTE, status='won').count()}"
        match outcome:
            case "paid" | "less" | "refused":
                is_paid = self._fill_in(payment, outcome)
                part = Decimal(2 if outcome == "less" else 1)
                amount = (payment.total / part).quantize(Decimal("0.01"))
                kind = Kind.PAID if is_paid else Kind.FAILED
                return [_told(payment, now, kind, payment.token, "", amount if is_paid else Decimal(0))]
            case "refund":
                return self.refund(payment, payment.captured_amount - payment.refunded_amount, now)
            case "dispute":
                return [_told(payment, now, Kind.DISPUTE, dispute, "needs_response")]
        if payment.standing != Payment.Standing.DISPUTED:
            raise TillUnavailable("There is no open dispute.")
        return [_told(payment, now, Kind.DISPUTE, dispute, outcome)]

    def _fill_in(self, payment: Payment, outcome: str) -> bool:
        """Fill in django-payments' own form. Returns: whether it says that money came."""
        status = PaymentStatus.REJECTED if outcome == "refused" else PaymentStatus.CONFIRMED
        data: dict[str, Any] = {
            "status": status,
            "fraud_status": FraudStatus.UNKNOWN,
            "gateway_response": "3ds-disabled",
        }
        try:
            payment.get_form(data)
        except RedirectNeeded:
            return payment.status == PaymentStatus.CONFIRMED
        raise TillUnavailable("The dummy provider did not take its own form.")


def _told(
    payment: Payment, now: datetime, kind: Kind, subject: str, status: str, amount: Decimal = Decimal(0)
) -> Told:
    notice = Notice(kind, subject, now, status, amount, payment.currency)
    return Told(f"{subject}:{kind}:{status}", notice, token=payment.token)
