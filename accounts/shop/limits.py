"""How often the shop may be used. allauth's counter, with limits of our own."""

import structlog
from allauth.core.internal import ratelimit
from django.http import HttpRequest

from accounts.models import Account

log = structlog.get_logger(__name__)

# One network, and one account. Nobody needs more.
LIMITS = {
    "shop_checkout": ("10/m/ip,60/h/ip", ""),
    "shop_code": ("20/m/ip", "30/h/user"),
}


def within_limit(request: HttpRequest, action: str, account: Account | None = None) -> bool:
    """Count one call. Returns: whether it is within the limits."""
    by_network, by_account = LIMITS[action]
    rates = f"{by_network},{by_account}" if account is not None and by_account else by_network
    usage = ratelimit.consume(request, app="shop", action=action, user=account, config={action: rates})
    if not usage:
        log.warning("rate_limited", action=action)
    return bool(usage)
