"""Who came in, how, and who did not: lines of the log, for those who look into an attack.

Deeds are in the audit record (accounts.deeds); these are too many for it, and strangers can cause them. A
line names an account by its uid and a caller by the network, never an address that somebody typed.
"""

from typing import Any

import structlog
from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.signals import user_logged_in
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import Account
from accounts.throttles import network_of

log = structlog.get_logger(__name__)


def network(request: HttpRequest | None) -> str:
    """Return from which network a request came."""
    if request is None or not request.META.get("REMOTE_ADDR"):
        return "nowhere"
    try:
        return network_of(get_adapter().get_client_ip(request))
    except PermissionDenied:  # allauth's word for: behind a proxy that does not say
        return "nowhere"


def way(request: HttpRequest | None) -> str:
    """Return by which door a request came."""
    if request is None:
        return "code"
    return "rest" if request.path.startswith("/api/") else "page"


@receiver(user_logged_in, dispatch_uid="accounts.access_log.in")
def _came_in(sender: Any, request: HttpRequest, user: Account, **kwargs: Any) -> None:
    by = [str(record.get("method")) for record in get_authentication_records(request, user)]
    log.info("logged_in", account=str(user.uid), way=way(request), by=by, network=network(request))


@receiver(user_login_failed, dispatch_uid="accounts.access_log.failed")
def _failed(sender: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
    log.info("log_in_failed", way=way(request), cause="wrong_credentials", network=network(request))


@receiver(authentication_failed, dispatch_uid="accounts.access_log.factor")
def _wrong_factor(
    sender: Any, request: HttpRequest, user: Account, reauthentication: bool = False, **kwargs: Any
) -> None:
    log.info(
        "log_in_failed",
        account=str(user.uid),
        way=way(request),
        cause="wrong_code_again" if reauthentication else "wrong_code",
        network=network(request),
    )


@receiver(user_logged_out, dispatch_uid="accounts.access_log.out")
def _went(sender: Any, request: HttpRequest | None, user: Account | None, **kwargs: Any) -> None:
    if user is not None:
        log.info("logged_out", account=str(user.uid), way=way(request), network=network(request))
