"""Addresses of payments' pages. What was bought without an account is opened by a key in the address.

The token alone opens nothing: staff, the audit record and the provider have it, and a page that shows a
gift code is money. The key is in the buyer's browser and letters, and kept nowhere.
"""

from django.conf import settings
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import Payment

SALT = "accounts.shop.pages"
LENGTH = 32  # hex digits: 128 bits


def page_of(payment: Payment, name: str = "payment") -> str:
    """Return the path of a payment's page, or of another step of it, for its buyer."""
    path = reverse(name, kwargs={"token": payment.token})
    return path if payment.buyer_id is not None else f"{path}?key={_key(payment, settings.SECRET_KEY)}"


def public_page_of(payment: Payment) -> str:
    """Return the public address of a payment's page, for letters and for the way back from the provider."""
    return settings.PUBLIC_URL + page_of(payment)


def opens(payment: Payment, key: str) -> bool:
    """Return whether a key is that of a payment, by this secret or an earlier one of the deployment."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(constant_time_compare(key, _key(payment, secret)) for secret in secrets)


def _key(payment: Payment, secret: str | bytes) -> str:
    return salted_hmac(SALT, payment.token, secret=secret, algorithm="sha256").hexdigest()[:LENGTH]
