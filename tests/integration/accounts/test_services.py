"""The ledger's bookings, their audit rows, and what is read from them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import tasks
from accounts.models import Account, AuditRecord, Entitlement
from accounts.rules import Edition
from accounts.selectors import edition_of, edition_of_many, editions_of, limits_of
from accounts.services import (
    NoSuchGrant,
    ReferenceReused,
    RegistrationRefused,
    grant_entitlement,
    register_account,
    revoke_entitlement,
)
from tests.integration.accounts.conftest import PASSWORD, register

pytestmark = pytest.mark.django_db


def grant(account: Account, reference: str, **changes: object) -> Entitlement:
    values = {"edition": Edition.PREMIUM, "source": "purchase", "by": None, "now": timezone.now(), **changes}
    return grant_entitlement(account=account, reference=reference, **values)


def revoke(account: Account, reference: str) -> Entitlement:
    return revoke_entitlement(
        account=account, edition=Edition.PREMIUM, reference=reference, by=None, now=timezone.now()
    )


def test_free_premium_refund_premium(bob):
    editions = [edition_of(bob, timezone.now())]
    for step in (lambda: grant(bob, "p-1"), lambda: revoke(bob, "p-1"), lambda: grant(bob, "p-2")):
        step()
        editions.append(edition_of(bob, timezone.now()))
    assert editions == [Edition.FREE, Edition.PREMIUM, Edition.FREE, Edition.PREMIUM]
    assert limits_of(bob, timezone.now()).character_slots == 24


def test_booking_twice_is_booking_once_with_one_audit_row(bob, staff):
    assert grant(bob, "p-1", by=staff).pk == grant(bob, "p-1", by=staff).pk
    assert revoke(bob, "p-1").pk == revoke(bob, "p-1").pk
    actions = AuditRecord.objects.filter(target=str(bob.uid), action__startswith="entitlement")
    assert sorted(actions.values_list("action", "account__email")) == [
        ("entitlement_granted", staff.email),
        ("entitlement_revoked", None),
    ]


def test_a_reference_that_was_taken_back_stays_taken_back(bob):
    grant(bob, "p-1")
    revoke(bob, "p-1")
    grant(bob, "p-1")
    assert edition_of(bob, timezone.now()) is Edition.FREE


def test_a_reference_with_other_content_is_an_error(bob):
    grant(bob, "p-1")
    with pytest.raises(ReferenceReused):
        grant(bob, "p-1", source="gift")
    with pytest.raises(ReferenceReused):
        grant(bob, "p-1", ends_at=timezone.now() + timedelta(days=1))
    assert Entitlement.objects.count() == 1


def test_the_same_reference_of_two_people_is_two_bookings(bob, staff):
    grant(bob, "code-7")
    assert edition_of(staff, timezone.now()) is Edition.FREE
    grant(staff, "code-7")
    assert edition_of(staff, timezone.now()) is Edition.PREMIUM


def test_what_was_never_granted_cannot_be_taken_back(bob):
    with pytest.raises(NoSuchGrant, match="p-9"):
        revoke(bob, "p-9")
    assert not Entitlement.objects.exists()


def test_editions_of_many_people_cost_one_query(bob, staff, django_assert_num_queries):
    grant(bob, "p-1")
    with django_assert_num_queries(1):
        assert editions_of([bob, staff], timezone.now()) == {bob.pk: Edition.PREMIUM, staff.pk: Edition.FREE}
    many = [register(f"{number}@example.org") for number in range(3)]
    with django_assert_num_queries(1):
        assert len(edition_of_many([one.pk for one in (bob, staff, *many)], timezone.now())) == 5


@pytest.mark.parametrize("email", ["bob@example.org", "BOB@EXAMPLE.ORG", " bob@example.org "])
def test_an_address_is_one_account_however_it_is_written(bob, email):
    assert register_account(email=email, password=PASSWORD, now=timezone.now()) is None
    assert Account.objects.count() == 1


def test_the_database_itself_refuses_a_second_account_by_case(bob):
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(email="Bob@example.org")


def test_a_refused_registration_says_everything_at_once():
    with pytest.raises(RegistrationRefused) as refused:
        register_account(email="nobody", password="short", now=timezone.now())
    assert refused.value.errors.keys() == {"email", "password"}


def test_expired_sessions_are_cleared_and_live_ones_kept(bob):
    now = timezone.now()
    for days in (-1, 1):
        key = uuid4().hex
        Session.objects.create(session_key=key, session_data="", expire_date=now + timedelta(days=days))
        UserSession.objects.create(user=bob, ip="127.0.0.1", session_key=key, user_agent="test")
    tasks.clear_expired_sessions()
    tasks.clear_expired_sessions()
    assert Session.objects.count() == 1
    assert UserSession.objects.count() == 1


def test_what_is_due_by_itself_is_scheduled():
    scheduled = {entry["task"] for entry in tasks.BEAT_SCHEDULE.values()}
    assert {tasks.clear_expired_sessions.name, tasks.finish_leaving.name} <= scheduled
