"""The second factor of a log-in by REST: a code of an app, or a recovery code, sent with the password."""

import structlog
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest
from rest_framework.exceptions import APIException, Throttled

from accounts.authentication import CHALLENGE
from accounts.mfa_forms import CodeForm
from accounts.models import Account

log = structlog.get_logger(__name__)

FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
WAIT = 300  # seconds: the window of allauth's limit on wrong codes of one account
TOO_MANY = "too_many_login_attempts"


class CodeNeeded(APIException):
    """The password is right; this account asks for a code as well."""

    status_code = 401
    auth_header = CHALLENGE
    default_code = "code_needed"
    default_detail = (
        "This account has a second step: send `code` as well, from the app or one of the recovery codes. "
        "By a passkey one logs in on the website only."
    )


class WrongCode(CodeNeeded):
    """The code is not right, or was used before."""

    default_code = "wrong_code"
    default_detail = (
        "That code is not right, or was used before. An app shows the next one within half a minute."
    )


def checked_factor(account: Account, code: str) -> Authenticator | None:
    """Return by what the code proves who calls; None: this account has no second factor.

    Raises: CodeNeeded: it has, and no code came. WrongCode. Throttled: too many wrong ones.
    """
    if not is_mfa_enabled(account, FACTORS):
        return None
    if not code:
        raise CodeNeeded
    form = CodeForm({"code": code}, user=account)
    if form.is_valid():
        return form.authenticator
    log.info("log_in_refused", cause="wrong_code", account=str(account.uid))
    if any(error.code == TOO_MANY for error in form.errors.as_data().get("code", [])):
        raise Throttled(wait=WAIT, detail="Too many wrong codes. Wait five minutes.")
    raise WrongCode


def note_authentication(request: HttpRequest, account: Account, factor: Authenticator | None) -> None:
    """Write into the request's session how the person proved who they are, as the pages do."""
    record_authentication(request, account, "password")
    if factor is not None:
        post_authentication(request, factor)
