"""How often REST may be asked: DRF's throttles, told in the headers RateLimit and RateLimit-Policy.

One allowance for each caller: an API token, an account, or else a network address. Windows of a minute,
counted in the cache (Redis); that of public lists in each process's own memory, since asking Redis would
cost more than the answer. Source of the headers: IETF draft-ietf-httpapi-ratelimit-headers-10.

Not here: the limits on registering and logging in, which are allauth's, and those on tickets
(worlds/tickets.py).
"""

import time
from dataclasses import dataclass
from typing import Any

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import Account, ApiToken
from accounts.throttles import network_of

WINDOW_S = 60
own_memory = LocMemCache("accounts.allowances", {"OPTIONS": {"MAX_ENTRIES": 20_000}})


@dataclass(frozen=True)
class Allowance:
    """What is left to a caller in this window."""

    policy: str
    most: int
    left: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that tell it."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.most};w={WINDOW_S}',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.reset_s}',
        }


def spend(store: BaseCache, policy: str, caller: str, most: int, clock: float) -> tuple[Allowance, bool]:
    """Count one request of a caller. Returns: what is left then, and whether the request is within it."""
    window, passed = divmod(clock, WINDOW_S)
    key = f"allowance:{policy}:{caller}:{int(window)}"
    store.add(key, 0, WINDOW_S)
    try:
        used = store.incr(key)
    except ValueError:  # the entry went between both calls: a new window
        used = 1
    reset_s = max(1, round(WINDOW_S - passed))
    return Allowance(policy, most, max(0, most - used), reset_s), used <= most


class AllowanceThrottle(BaseThrottle):
    """The throttle of all endpoints."""

    policy = "default"
    store: BaseCache = cache

    def allow_request(self, request: Request, view: object) -> bool:
        """Count the request, and keep what is left for the answer's headers."""
        most = settings.API_ALLOWANCES[self.policy]
        allowance, is_allowed = spend(self.store, self.policy, self.caller_of(request), most, time.time())
        request._request.allowance = allowance  # type: ignore[attr-defined]
        self._wait_s = allowance.reset_s
        return is_allowed

    def wait(self) -> float:
        """Return when to come back, seconds."""
        return self._wait_s

    def caller_of(self, request: Request) -> str:
        """Return whose allowance this is: of a token, an account, or an address."""
        if isinstance(request.auth, ApiToken):
            return f"token-{request.auth.pk}"
        if isinstance(request.user, Account):
            return f"account-{request.user.pk}"
        return network_of(get_adapter().get_client_ip(request._request))


def spend_public(request: HttpRequest) -> bool:
    """Count a request for what everybody may read, outside of any view. Returns: whether it is allowed.

    One that is not is left to the view, which refuses it.
    """
    most = settings.API_ALLOWANCES[PublicThrottle.policy]
    caller = network_of(get_adapter().get_client_ip(request))
    allowance, is_allowed = spend(own_memory, PublicThrottle.policy, caller, most, time.time())
    request.allowance = allowance  # type: ignore[attr-defined]
    return is_allowed


class PublicThrottle(AllowanceThrottle):
    """The throttle of what everybody may read: by address, and without asking who it is."""

    policy = "public"
    store = own_memory

    def caller_of(self, request: Request) -> str:
        return network_of(get_adapter().get_client_ip(request._request))


def rest_headers(get_response: Any) -> Any:
    """Make the middleware that tells each answer of REST what is left of the allowance."""

    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        allowance: Allowance | None = getattr(request, "allowance", None)
        if allowance is not None:
            for name, value in allowance.headers.items():
                response.headers[name] = value
        return response

    return middleware
