"""Writes about accounts: registration, the entitlement ledger, the audit record, expired sessions.

Each changes its rows and writes its audit row in one transaction; letters go out after the commit.
"""

from datetime import datetime
from functools import partial
from importlib import import_module

import structlog
from allauth.account.models import EmailAddress, get_emailconfirmation_model
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.letters import may_write_to, public_url, send_letter
from accounts.models import Account, AuditRecord, Entitlement
from accounts.rules import Edition

log = structlog.get_logger(__name__)

MAX_SESSIONS = 20  # of one account: a person's devices, with room
MAX_EMAIL = 254  # Django's EmailField; RFC 5321 allows no longer path


class RegistrationRefused(Exception):
    """The e-mail address or the password cannot be used.

    `errors`: field name → what is wrong with it, as sentences for the person who typed it.
    """

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(text for texts in errors.values() for text in texts))
        self.errors = errors


class ReferenceReused(Exception):
    """The ledger has this reference already, with other content."""


class NoSuchGrant(Exception):
    """There is no grant with this reference to take back."""


def record_audit(
    *,
    action: str,
    now: datetime,
    account: Account | None = None,
    target: str = "",
    world_slug: str = "",
    detail: dict[str, object] | None = None,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> AuditRecord:
    """Write who (an account, or a world by its slug) did what to what, inside the deed's transaction.

    The row can never be changed or deleted: name people by their account's uid, never by address or name.

    Args: before, after: the fields that the deed changed, under the same names.
    """
    return AuditRecord.objects.create(
        at=now,
        account=account,
        world_slug=world_slug,
        action=action,
        target=target,
        detail=detail or {},
        before=before,
        after=after,
    )


def register_account(*, email: str, password: str, now: datetime) -> Account | None:
    """Register a person and write to them.

    Returns: the account; None if the address has one already. Callers answer strangers the same in both:
    only the owner of the address learns the difference, by letter. Both cost one hash, so time tells nothing.
    Raises: RegistrationRefused: the address or the password cannot be used.
    """
    email = email.strip().lower()
    check_registration(email=email, password=password)
    hashed = make_password(password)
    with transaction.atomic():
        account = _insert_account(email, hashed, now)
        if account is not None:
            address = EmailAddress.objects.create(user=account, email=email, primary=True, verified=False)
            record_audit(action="account_registered", account=account, target=str(account.uid), now=now)
            transaction.on_commit(partial(_send_confirmation, address))
        else:
            transaction.on_commit(partial(_send_already_registered, email))
    log.info("registration", outcome="new" if account else "address_taken")
    return account


def check_registration(*, email: str, password: str) -> None:
    """Check what a stranger typed, before anything is looked up.

    Raises: RegistrationRefused
    """
    errors: dict[str, list[str]] = {}
    try:
        validate_email(email)
    except ValidationError:
        errors["email"] = ["This is not a complete e-mail address. It looks like name@example.org."]
    if len(email) > MAX_EMAIL:
        errors["email"] = ["This e-mail address is too long."]
    try:
        validate_password(password, Account(email=email))
    except ValidationError as error:
        errors["password"] = error.messages
    if errors:
        raise RegistrationRefused(errors)


def _insert_account(email: str, hashed_password: str, now: datetime) -> Account | None:
    try:
        with transaction.atomic():
            return Account.objects.create(email=email, password=hashed_password, date_joined=now)
    except IntegrityError:  # the unique constraint decides, also between two requests at once
        return None


def _send_confirmation(address: EmailAddress) -> None:
    if may_write_to(address.email):
        get_emailconfirmation_model().create(address).send(request=None, signup=True)


def _send_already_registered(email: str) -> None:
    if may_write_to(email):
        send_letter(
            template="account/email/account_already_exists",
            to=email,
            context={
                "login_url": public_url("account_login"),
                "password_reset_url": public_url("account_reset_password"),
            },
        )


def grant_entitlement(
    *,
    account: Account,
    edition: Edition,
    source: str,
    reference: str,
    by: Account | None,
    now: datetime,
    ends_at: datetime | None = None,
    starts_at: datetime | None = None,
) -> Entitlement:
    """Book a grant from now on, or from `starts_at` on. Booked again under its reference, it is the same row.

    A reference that was taken back stays taken back; a new grant needs a new reference.

    Raises: ReferenceReused: the reference was booked before with another source or end.
    """
    with transaction.atomic():
        entry, is_new = Entitlement.objects.get_or_create(
            account=account,
            edition=edition,
            is_grant=True,
            reference=reference,
            defaults={
                "source": source,
                "starts_at": starts_at or now,
                "ends_at": ends_at,
                "created_by": by,
            },
        )
        if not is_new and (entry.source, entry.ends_at) != (source, ends_at):
            raise ReferenceReused(
                f"{reference!r} is booked for this account with source {entry.source} and end {entry.ends_at}"
            )
        if is_new:
            _audit_entry("entitlement_granted", entry, by, now)
    return entry


def revoke_entitlement(
    *, account: Account, edition: Edition, reference: str, by: Account | None, now: datetime
) -> Entitlement:
    """Book that a grant is taken back (refund, chargeback, decision of staff). Idempotent by reference.

    Raises: NoSuchGrant: nothing was granted under this reference.
    """
    with transaction.atomic():
        grant = Entitlement.objects.filter(
            account=account, edition=edition, is_grant=True, reference=reference
        ).first()
        if grant is None:
            raise NoSuchGrant(f"no {edition} was granted to this account under {reference!r}")
        entry, is_new = Entitlement.objects.get_or_create(
            account=account,
            edition=edition,
            is_grant=False,
            reference=reference,
            defaults={"source": grant.source, "starts_at": now, "created_by": by},
        )
        if is_new:
            _audit_entry("entitlement_revoked", entry, by, now)
    return entry


def _audit_entry(action: str, entry: Entitlement, by: Account | None, now: datetime) -> None:
    detail: dict[str, object] = {
        "edition": str(entry.edition),
        "source": str(entry.source),
        "reference": entry.reference,
    }
    record_audit(action=action, account=by, target=str(entry.account.uid), detail=detail, now=now)


def end_oldest_sessions(*, account: Account) -> None:
    """End the oldest sessions over MAX_SESSIONS: each log-in looks at all of them, so there is a bound."""
    for session in UserSession.objects.filter(user=account).order_by("-created_at", "-pk")[MAX_SESSIONS:]:
        session.end()


def clear_expired_sessions() -> int:
    """Delete sessions that have run out, and the lists of devices that name them.

    Returns: how many entries of device lists went.
    """
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    gone, _ = UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    log.info("sessions_cleared", devices=gone)
    return gone
