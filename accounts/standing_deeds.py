"""Deeds of staff on an account: banning it, closing it, signing it out. Each leaves its audit row."""

from datetime import datetime

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from accounts.sessions import end_sessions

log = structlog.get_logger(__name__)


def ban_account(*, account: Account, until: datetime, reason: str, by: Account | None, now: datetime) -> None:
    """Give an account no ticket to any world before an instant; another ban takes the place of the last."""
    _set(account, "banned_until", until, "account_banned", reason, by, now)


def lift_ban(*, account: Account, reason: str, by: Account | None, now: datetime) -> bool:
    """Let a banned account play again. Returns: whether that changed anything."""
    return _set(account, "banned_until", None, "account_ban_lifted", reason, by, now)


def close_account(*, account: Account, reason: str, by: Account | None, now: datetime) -> bool:
    """Let nobody log in to an account, and sign it out everywhere. Returns: whether it was open."""
    with transaction.atomic():
        is_new = _set(account, "is_active", False, "account_closed", reason, by, now)
        if is_new:
            end_sessions(account=account, by=by, now=now)
    return is_new


def reopen_account(*, account: Account, reason: str, by: Account | None, now: datetime) -> bool:
    """Let people log in to a closed account again. Returns: whether it was closed."""
    return _set(account, "is_active", True, "account_reopened", reason, by, now)


def sign_out_everywhere(*, account: Account, reason: str, by: Account | None, now: datetime) -> None:
    """End every session of an account, because of what the reason says."""
    with transaction.atomic():
        record_audit(
            action="signed_out_by_staff",
            account=by,
            target=str(account.uid),
            detail={"reason": reason},
            now=now,
        )
        end_sessions(account=account, by=by, now=now)


def _set(
    account: Account,
    field: str,
    value: datetime | bool | None,
    action: str,
    reason: str,
    by: Account | None,
    now: datetime,
) -> bool:
    """Set one field of an account, with before and after. Returns: whether it was another."""
    with transaction.atomic():
        row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        before = getattr(row, field)
        if before == value:
            return False
        Account.objects.filter(pk=account.pk).update(**{field: value})
        record_audit(
            action=action,
            account=by,
            target=str(account.uid),
            detail={"reason": reason},
            before={field: _plain(before)},
            after={field: _plain(value)},
            now=now,
        )
    setattr(account, field, value)
    log.info(action, account=str(account.uid))
    return True


def _plain(value: datetime | bool | None) -> object:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
