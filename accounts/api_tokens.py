"""Tokens for programs: made, looked up, revoked. Each change leaves its audit row.

A key has 256 random bits, so its plain SHA-256 is kept: nobody finds it by trying, and a lookup is one
indexed row.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import structlog
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account, ApiToken
from accounts.scopes import LIFETIMES, MAX_TOKENS, SEEN_EVERY, Scope, read_scopes
from accounts.services import record_audit

log = structlog.get_logger(__name__)

PREFIX = "wst_"  # so that people and scanners of leaked secrets know what it is
_HINT = 10  # characters of the key that are kept to be shown, the prefix with them


class TokenRefused(ValueError):
    """A token cannot be made so. `errors`: field name → sentences; "" for none of them."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(" ".join(text for texts in errors.values() for text in texts))
        self.errors = errors


@dataclass(frozen=True)
class MadeToken:
    """A new token, and its key, which can be had only now."""

    token: ApiToken
    key: str


def tokens_of(account: Account, now: datetime) -> QuerySet[ApiToken]:
    """Return the tokens in force, newest first."""
    return ApiToken.objects.filter(account=account, revoked_at=None, expires_at__gt=now)


def make_token(
    *, account: Account, name: str, scopes: Iterable[str], days: int, by: Account, now: datetime
) -> MadeToken:
    """Make a token for an account.

    Raises: TokenRefused
    """
    name = " ".join(name.split())
    wanted = _checked(name, list(scopes), days)
    key = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        # Two at once must count each other; and who was signed out meanwhile makes no key to come back by.
        row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if row.get_session_auth_hash() != account.get_session_auth_hash():
            raise TokenRefused({"": ["You were signed out everywhere meanwhile. Log in again."]})
        if tokens_of(account, now).count() >= MAX_TOKENS:
            raise TokenRefused({"": [f"You have {MAX_TOKENS} tokens already. Revoke one you do not need."]})
        token = ApiToken.objects.create(
            account=account,
            name=name,
            hint=key[:_HINT],
            digest=digest_of(key),
            scopes=wanted,
            made_at=now,
            expires_at=now + timedelta(days=days),
        )
        detail: dict[str, object] = {"hint": token.hint, "scopes": list(wanted), "days": days}
        record_audit(action="api_token_made", account=by, target=str(account.uid), detail=detail, now=now)
    log.info("api_token_made", account=str(account.uid), scopes=wanted)
    return MadeToken(token, key)


def _checked(name: str, scopes: list[str], days: int) -> list[Scope]:
    errors: dict[str, list[str]] = {}
    if not 1 <= len(name) <= 60 or not name.isprintable():
        errors["name"] = ["Say in 1 to 60 characters which program it is for."]
    wanted: list[Scope] = []
    try:
        wanted = read_scopes(scopes)
    except ValueError as error:
        errors["scopes"] = [str(error)]
    if not wanted and "scopes" not in errors:
        errors["scopes"] = ["Choose at least one thing that it may do."]
    if days not in LIFETIMES:
        errors["days"] = [f"Choose {', '.join(map(str, LIFETIMES))} days."]
    if errors:
        raise TokenRefused(errors)
    return wanted


def revoke_token(*, account: Account, token: int, by: Account, now: datetime) -> bool:
    """Revoke a token, from its next request on. Returns: whether the account has such a token in force."""
    with transaction.atomic():
        row = tokens_of(account, now).select_for_update().filter(pk=token).first()
        if row is None:
            return False
        row.revoked_at = now
        row.save(update_fields=["revoked_at"])
        detail: dict[str, object] = {"hint": row.hint}
        record_audit(action="api_token_revoked", account=by, target=str(account.uid), detail=detail, now=now)
    return True


def revoke_all_tokens(*, account: Account, by: Account | None, now: datetime) -> int:
    """Revoke all tokens of an account: sign-out everywhere, a new password, leaving. Returns: how many."""
    with transaction.atomic():
        count = tokens_of(account, now).update(revoked_at=now)
        if count:
            detail: dict[str, object] = {"tokens": count}
            target = str(account.uid)
            record_audit(action="api_tokens_revoked", account=by, target=target, detail=detail, now=now)
    return count


def token_of(key: str, now: datetime) -> ApiToken | None:
    """Return the token in force that a key opens, with its account; None: there is none."""
    token = ApiToken.objects.select_related("account").filter(digest=digest_of(key)).first()
    if token is None or token.revoked_at is not None or token.expires_at <= now:
        return None
    if token.last_used_at is None or now - token.last_used_at >= SEEN_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def digest_of(key: str) -> str:
    """Return what is kept of a key."""
    return sha256(key.encode("utf-8", "replace")).hexdigest()
