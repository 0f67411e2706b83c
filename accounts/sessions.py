"""Where an account is logged in, and ending that: one session, all the others, or every one."""

from dataclasses import dataclass
from datetime import datetime

import structlog
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.api_tokens import revoke_all_tokens
from accounts.devices import device_words, is_phone
from accounts.models import Account
from accounts.services import record_audit

log = structlog.get_logger(__name__)


class NoSuchSession(Exception):
    """The account has no such session; it has ended, or is another's."""


@dataclass(frozen=True)
class Device:
    """A session as its owner sees it."""

    pk: int
    words: str
    is_phone: bool
    address: str
    since: datetime
    is_this: bool


def devices_of(account: Account, session_key: str | None) -> list[Device]:
    """Return where the account is logged in, this session first, then the newest."""
    rows = list(UserSession.objects.filter(user=account))
    alive = _alive(account, [row.session_key for row in rows])
    found = [
        Device(
            row.pk,
            device_words(row.user_agent),
            is_phone(row.user_agent),
            row.ip,
            row.created_at,
            row.session_key == session_key,
        )
        for row in rows
        if row.session_key in alive
    ]
    return sorted(found, key=lambda device: (not device.is_this, -device.since.timestamp()))


def _alive(account: Account, keys: list[str]) -> set[str]:
    """Return which sessions still count: not run out, nor of an earlier password or epoch. One query."""
    wanted = account.get_session_auth_hash()
    stored = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return {row.session_key for row in stored if row.get_decoded().get(HASH_SESSION_KEY) == wanted}


def end_session(*, account: Account, session_id: int, now: datetime) -> None:
    """End one session of the account.

    Raises: NoSuchSession
    """
    with transaction.atomic():
        row = UserSession.objects.filter(user=account, pk=session_id).first()
        if row is None:
            raise NoSuchSession
        row.end()
        record_audit(action="session_ended", account=account, target=str(account.uid), now=now)


def end_sessions(
    *, account: Account, now: datetime, keep: SessionBase | None = None, by: Account | None = None
) -> None:
    """End all sessions of the account, of browsers and programs, whether or not they are in the list.

    Its API tokens end as well, unless one session is kept.

    Args: keep: the one that goes on, if one does. by: who ordered it, if not the account itself.
    """
    with transaction.atomic():
        Account.objects.filter(pk=account.pk).update(session_epoch=F("session_epoch") + 1)
        account.refresh_from_db(fields=["session_epoch"])
        key = keep.session_key if keep is not None else None
        for row in UserSession.objects.filter(user=account).exclude(session_key=key or ""):
            row.end()
        if keep is None:
            revoke_all_tokens(account=account, by=by or account, now=now)
        else:
            keep[HASH_SESSION_KEY] = account.get_session_auth_hash()
        detail: dict[str, object] = {"kept_one": keep is not None}
        record_audit(
            action="sessions_ended", account=by or account, target=str(account.uid), detail=detail, now=now
        )
    log.info("sessions_ended", account=str(account.uid), kept_one=keep is not None)
