"""Two at one instant, in a real PostgreSQL: each pair is made to meet in the middle, and one has to wait.

The first of two comes to the point where it decides, and stays there until the other one either waits for
its lock, or is at the same point: then nothing kept it out, and the test fails by what both have decided.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from threading import Event, Lock, Thread
from typing import Any

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import adapter
from accounts.models import Account, AuditRecord, Entitlement, Payment, PaymentNotice
from accounts.rules import Edition
from accounts.selectors import edition_of
from accounts.shop import booking, buying
from accounts.shop.booking import Told, take_notices
from accounts.shop.buying import CodeRefused, make_codes, open_payment, redeem_code, shown_code, void_code
from accounts.shop.standing import Kind, Notice
from accounts.shop.till import prices
from tests.integration.accounts.conftest import register

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30  # seconds; other tests have the machine, too
GLANCE = 0.01  # seconds between two looks at who waits
# Backends of this test's database that wait for a lock. Not pg_stat_activity: that is one picture for all of
# a transaction.
WAITING = """
SELECT count(*) FROM pg_locks AS waiting WHERE NOT granted AND pid IN (
    SELECT pid FROM pg_locks
    WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
"""


class Meeting:
    """Where two threads meet: whoever is first stays until the other one waits for a lock, or comes, too."""

    def __init__(self) -> None:
        self._lock, self._here = Lock(), 0
        self.first_is_there, self._both_are_here = Event(), Event()

    def come(self) -> None:
        with self._lock:
            self._here += 1
            is_second = self._here > 1
        if is_second:
            self._both_are_here.set()
            return
        self.first_is_there.set()
        for _ in range(int(PATIENCE / GLANCE)):
            if self._both_are_here.wait(GLANCE) or _somebody_waits():
                return
        raise AssertionError("the second one neither came nor waited")

    def over(self) -> None:
        """Let the other one go on: one is done, and met nobody."""
        self.first_is_there.set()
        self._both_are_here.set()

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the meeting before it."""

        def met(*args: Any, **kwargs: Any) -> Any:
            self.come()
            return function(*args, **kwargs)

        return met

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the meeting after it."""

        def met(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            self.come()
            return result

        return met


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


def both(meeting: Meeting, first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """Run two deeds in two threads, the second once the first is at the meeting.

    Returns: what each returned or raised.
    """
    found: list[Any] = [None, None]

    def run(number: int, deed: Callable[[], Any]) -> None:
        try:
            found[number] = deed()
        except Exception as error:  # noqa: BLE001  (told by the return value: a thread's own would be lost)
            found[number] = error
        finally:
            connection.close()
            meeting.over()

    one, two = Thread(target=run, args=(0, first)), Thread(target=run, args=(1, second))
    one.start()
    assert meeting.first_is_there.wait(PATIENCE)
    two.start()
    for thread in (one, two):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return found


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def meeting() -> Meeting:
    return Meeting()


def buy(account: Account | None, now: datetime, **form: str) -> Payment:
    values = {"email": "carol@example.org", "recipient": "buyer", **form}
    payment = open_payment(product=prices().products[0], buyer=account, now=now, **values)
    Payment.objects.filter(pk=payment.pk).update(intent="pi_1")
    return payment


def told(payment: Payment, kind: Kind, notice_id: str, now: datetime, status: str = "", intent: str = "pi_1"):
    subject = "pi_1" if kind is Kind.PAID else notice_id
    notice = Notice(kind, subject, now, status, payment.total, payment.currency)
    return Told(notice_id, notice, payment.token, intent)


def take(now: datetime, *each: Told) -> Callable[[], int]:
    return lambda: take_notices(provider="stripe", told=each, now=now)


@pytest.mark.parametrize("ids", [("evt_1", "evt_1"), ("evt_1", "evt_2")], ids=["one event", "two events"])
def test_two_webhooks_of_one_payment_book_it_once(bob, now, meeting, monkeypatch, ids):
    payment = buy(bob, now)
    monkeypatch.setattr(booking, "outcome_of", meeting.before(booking.outcome_of))
    answers = both(meeting, *(take(now, told(payment, Kind.PAID, each, now)) for each in ids))
    assert sorted(answers) == [len(set(ids)) - 1, 1]
    assert Entitlement.objects.count() == 1
    assert AuditRecord.objects.filter(action="payment_paid").count() == 1
    assert [letter.to for letter in mail.outbox if payment.number in letter.subject] == [
        ["carol@example.org"]
    ]
    assert edition_of(bob, now) is Edition.PREMIUM


@pytest.mark.parametrize("intent", ["pi_1", ""], ids=["by the charge", "by our token alone"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_refund_and_dispute_count_both(bob, now, meeting, monkeypatch, order, intent):
    payment = buy(bob, now)
    take(now, told(payment, Kind.PAID, "evt_1", now))()
    deeds = [
        take(now, told(payment, Kind.REFUND, "re_1", now, "succeeded", intent)),
        take(now, told(payment, Kind.DISPUTE, "du_1", now, "lost", intent)),
    ]
    monkeypatch.setattr(booking, "outcome_of", meeting.before(booking.outcome_of))
    assert both(meeting, *(deeds[number] for number in order)) == [1, 1]
    payment.refresh_from_db()
    assert (payment.standing, payment.refunded_amount) == ("charged_back", Decimal("5.00"))
    assert PaymentNotice.objects.count() == 3
    assert edition_of(bob, timezone.now()) is Edition.FREE
    assert Entitlement.objects.filter(is_grant=False).count() == 1


def test_a_code_that_two_redeem_is_ones(bob, staff, now, meeting, monkeypatch):
    alice = register("alice@example.org")
    (code,) = make_codes(count=1, days=30, note="", ends_at=None, by=staff, now=now)
    typed = shown_code(code)
    monkeypatch.setattr(buying, "_check_redeemable", meeting.before(buying._check_redeemable))
    first, second = both(
        meeting,
        lambda: redeem_code(account=alice, typed=typed, now=now),
        lambda: redeem_code(account=bob, typed=typed, now=now),
    )
    assert first.redeemed_by == alice
    assert isinstance(second, CodeRefused) and second.code == "used_code"
    assert list(Entitlement.objects.values_list("account", flat=True)) == [alice.pk]


def test_a_code_that_is_voided_while_it_is_redeemed_is_redeemed(bob, staff, now, meeting, monkeypatch):
    (code,) = make_codes(count=1, days=30, note="", ends_at=None, by=staff, now=now)
    typed = shown_code(code)
    monkeypatch.setattr(buying, "_check_redeemable", meeting.before(buying._check_redeemable))
    _, voided = both(
        meeting,
        lambda: redeem_code(account=bob, typed=typed, now=now),
        lambda: void_code(code=code, reason="lost", by=staff, now=now),
    )
    assert isinstance(voided, buying.DeedRefused)
    code.refresh_from_db()
    assert (code.redeemed_by, code.voided_at) == (bob, None)


def test_a_bought_code_that_is_refunded_while_it_is_redeemed_gives_nothing(bob, now, meeting, monkeypatch):
    payment = buy(None, now, recipient="code")
    take(now, told(payment, Kind.PAID, "evt_1", now))()
    typed = shown_code(payment.gift_code)
    monkeypatch.setattr(buying, "_check_redeemable", meeting.before(buying._check_redeemable))
    redeemed, new = both(
        meeting,
        lambda: redeem_code(account=bob, typed=typed, now=now),
        take(now, told(payment, Kind.REFUND, "re_1", now, "succeeded")),
    )
    assert redeemed.redeemed_by == bob and new == 1
    assert edition_of(bob, timezone.now()) is Edition.FREE, "he had it, and it was taken back"


@pytest.mark.parametrize("is_paid_first", [True, False])
def test_what_is_paid_while_its_address_is_confirmed_is_given(bob, now, meeting, monkeypatch, is_paid_first):
    payment = buy(None, now, recipient="email", recipient_email=bob.email)
    address = EmailAddress.objects.get(user=bob)
    path = f"/account/e-mail/confirm/{EmailConfirmationHMAC.create(address).key}/"

    def confirm() -> int:
        return Client().post(path).status_code

    pay = take(now, told(payment, Kind.PAID, "evt_1", now))
    name = "_hand_over" if is_paid_first else "give_waiting"
    place = booking if is_paid_first else adapter
    monkeypatch.setattr(place, name, meeting.after(getattr(place, name)))
    answers = both(meeting, pay, confirm) if is_paid_first else both(meeting, confirm, pay)
    assert set(answers) == {1, 302}
    payment.refresh_from_db()
    assert payment.account == bob
    assert edition_of(bob, timezone.now()) is Edition.PREMIUM
