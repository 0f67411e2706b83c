"""Leaving: an account is deleted seven days after its person asked, and until then they can take it back.

What must stay (money that was booked, what was done to whom, histories that other characters' goods hang on)
stays, and names nobody: the account keeps its uid and loses everything that says whose it was.
"""

from datetime import datetime, timedelta
from functools import partial

import structlog
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.backends.base import SessionBase
from django.db import DatabaseError, transaction

from accounts.api_tokens import revoke_all_tokens
from accounts.letters import public_url, send_letter
from accounts.models import Account, ApiToken, Leaving
from accounts.personal_data import holdings, obstacles_of
from accounts.services import record_audit
from accounts.sessions import end_sessions

log = structlog.get_logger(__name__)

GRACE = timedelta(days=7)
NOWHERE = "left.invalid"  # RFC 2606: no letter can ever reach it


class CannotLeave(Exception):
    """Something has to be settled first; `reasons`: sentences for the person."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


def reasons_to_stay(account: Account) -> list[str]:
    """Return what has to be settled before the account can go, one sentence each."""
    own = ["You are staff. Have another administrator take your rights first."] if account.is_staff else []
    return own + obstacles_of(account)


def leaving_of(account: Account) -> Leaving | None:
    """Return the request that waits, if there is one."""
    return Leaving.objects.filter(account=account, done_at=None).first()


def ask_to_leave(*, account: Account, now: datetime, keep: SessionBase | None = None) -> Leaving:
    """Note that the account is to be deleted in seven days, end its other sessions, and write to its person.

    Its API tokens end as well. Asked again, the first request counts. Args: keep: the session that asks.
    Raises: CannotLeave
    """
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        reasons = reasons_to_stay(account)
        if reasons:
            raise CannotLeave(reasons)
        leaving, is_new = Leaving.objects.get_or_create(
            account=account, defaults={"asked_at": now, "due_at": now + GRACE}
        )
        if is_new:
            end_sessions(account=account, now=now, keep=keep)
            revoke_all_tokens(account=account, by=account, now=now)
            record_audit(action="leaving_asked", account=account, target=str(account.uid), now=now)
            context: dict[str, object] = {"due_at": leaving.due_at, "keep_url": public_url("account_leave")}
            transaction.on_commit(partial(_write, "account/email/leaving_asked", account.email, context))
    return leaving


def stay(*, account: Account, now: datetime) -> bool:
    """Take the request back. Returns: False if there was none (or it is too late)."""
    with transaction.atomic():
        taken_back, _ = Leaving.objects.filter(account=account, done_at=None).delete()
        if taken_back:
            record_audit(action="leaving_taken_back", account=account, target=str(account.uid), now=now)
            transaction.on_commit(partial(_write, "account/email/leaving_taken_back", account.email, {}))
    return bool(taken_back)


def finish_due(now: datetime) -> int:
    """Delete all accounts whose seven days are over. Returns: how many went."""
    due = Leaving.objects.filter(done_at=None, due_at__lte=now).order_by("due_at")
    return sum(_finished(leaving_id, now) for leaving_id in list(due.values_list("pk", flat=True)))


def _finished(leaving_id: int, now: datetime) -> bool:
    """Delete one account; one that the database will not let go keeps none of the others."""
    try:
        return finish(leaving_id=leaving_id, now=now)
    except DatabaseError:
        log.exception("leaving_failed", leaving=leaving_id)
        return False


def finish(*, leaving_id: int, now: datetime) -> bool:
    """Delete one account: done twice, or taken back meanwhile, nothing happens.

    Returns: whether it went. One that has got something to settle meanwhile waits, and is told in the log.
    """
    with transaction.atomic():
        found = Leaving.objects.select_for_update(of=("self",)).filter(
            pk=leaving_id, done_at=None, due_at__lte=now
        )
        leaving = found.select_related("account").first()
        if leaving is None:
            return False
        account = leaving.account
        reasons = reasons_to_stay(account)
        if reasons:
            log.warning("leaving_waits", account=str(account.uid), reasons=reasons)
            return False
        email = account.email
        for holding in holdings.values():
            holding.forget(account, now)
        _forget(account, now)
        leaving.done_at = now
        leaving.save(update_fields=["done_at"])
        record_audit(action="account_deleted", target=str(account.uid), now=now)
        transaction.on_commit(partial(_write, "account/email/leaving_done", email, {}))
    log.info("account_deleted", account=str(account.uid))
    return True


def _forget(account: Account, now: datetime) -> None:
    """Take out of the account whatever says whose it was, and every way in."""
    end_sessions(account=account, now=now)
    EmailAddress.objects.filter(user=account).delete()
    Authenticator.objects.filter(user=account).delete()
    ApiToken.objects.filter(account=account).delete()  # their names are their owner's words
    own_rows = LogEntry.objects.filter(content_type__app_label="accounts", content_type__model="account")
    own_rows.filter(object_id=str(account.pk)).update(
        object_repr=str(account.uid)
    )  # the admin's: the address
    account.groups.clear()
    account.email = f"{account.uid}@{NOWHERE}"
    account.is_active = False
    account.last_login = None
    account.set_unusable_password()
    account.save(update_fields=["email", "is_active", "last_login", "password"])


def _write(template: str, email: str, context: dict[str, object]) -> None:
    send_letter(template=template, to=email, context=context)
