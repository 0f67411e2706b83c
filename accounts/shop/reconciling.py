"""Reconciliation: asks the provider about payments whose notices may never have come, and books them.

A webhook can be lost for good: the site was away for three days, the endpoint was set up wrongly. Each hour
the open ones are looked up, once a day those of the last months; whatever is found goes the usual way in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from allauth.account.models import EmailAddress
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Account, GiftCode, Payment, PaymentNotice
from accounts.shop.booking import Told, book, give_waiting, settle, take_notices
from accounts.shop.standing import Kind, Notice
from accounts.shop.till import ShopClosed, TillUnavailable
from accounts.shop.tills import till_of

log = structlog.get_logger(__name__)

SETTLED_SOON = timedelta(minutes=10)  # a webhook is usually there in seconds
FORGOTTEN = timedelta(days=2)  # nobody comes back to a checkout: Stripe's lasts an hour here
LOOKED_BACK = timedelta(days=130)  # cards can be disputed for some 120 days
MOST = 500  # payments in one run: a call of the provider each; the rest is next
DAILY_HOUR = 3  # UTC


@dataclass(frozen=True)
class Reconciled:
    """What a run found. `found`: notices that had never come; `given`: payments that found their account."""

    looked_up: int
    found: int
    given: int
    booked: int
    unreachable: int


def reconcile(now: datetime | None = None) -> Reconciled:
    """Look up what is due, and have all ledgers say what their payments do. Again, it changes nothing."""
    now = now or timezone.now()
    looked_up = found = unreachable = 0
    for payment in due(now):
        try:
            told = till_of(payment).look_up(payment, now)
        except ShopClosed:
            continue
        except TillUnavailable:
            unreachable += 1
            if unreachable >= 3:  # it is away: the next run asks again
                break
            continue
        looked_up += 1
        if payment.standing == Payment.Standing.OPEN and not told and payment.created < now - FORGOTTEN:
            told = [
                Told(f"{payment.token}:forgotten", Notice(Kind.FAILED, payment.token, now), payment.token)
            ]
        found += take_notices(provider=payment.variant, told=told, now=now)
    settled = _adopt(now)
    result = Reconciled(looked_up, found, _give(now), _book_all(now) + settled, unreachable)
    log_level = log.warning if result.found or result.unreachable else log.info
    log_level("payments_reconciled", **result.__dict__)
    return result


def due(now: datetime) -> list[Payment]:
    """Return payments to be looked up, those that wait first."""
    open_ones = Q(standing__in=("open", "pending"), created__lt=now - SETTLED_SOON)
    wanted = open_ones
    if now.hour == DAILY_HOUR:
        wanted = open_ones | Q(created__gte=now - LOOKED_BACK)
    return list(Payment.objects.filter(wanted).order_by("-standing", "modified")[:MOST])


def _adopt(now: datetime) -> int:
    """Settle payments that a notice has waited for. Returns: how many."""
    intents = PaymentNotice.objects.filter(payment=None).exclude(intent="").values("intent")
    payments = Payment.objects.filter(intent__in=intents).values_list("pk", flat=True)
    return sum(settle(payment_id=pk, now=now) is not None for pk in payments)


def _give(now: datetime) -> int:
    """Give confirmed addresses what waits for them. Returns: how many payments were given."""
    waiting = Payment.objects.filter(account=None, recipient="email", standing="paid")
    addresses = EmailAddress.objects.filter(verified=True, email__in=waiting.values("recipient_email"))
    owners = Account.objects.filter(pk__in=addresses.values("user")).distinct()
    return sum(give_waiting(account=account, now=now) for account in owners)


def _book_all(now: datetime) -> int:
    """Book what ledgers lack. Returns: how many rows were added."""
    bought = Payment.objects.exclude(account=None).values("account")
    redeemed = GiftCode.objects.exclude(redeemed_by=None).values("redeemed_by")
    changed = Account.objects.filter(Q(pk__in=bought) | Q(pk__in=redeemed)).annotate(owner=F("pk"))
    return sum(book(account_id=pk, now=now) for pk in changed.values_list("owner", flat=True).iterator())
