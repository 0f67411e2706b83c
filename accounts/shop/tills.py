"""Which till this deployment has."""

from django.conf import settings
from payments.core import provider_factory

from accounts.models import Payment
from accounts.shop.dummy_till import DummyTill
from accounts.shop.stripe_till import StripeProvider, StripeTill
from accounts.shop.till import ShopClosed, Till


def is_open() -> bool:
    """Return whether anything is sold here."""
    return settings.SHOP.till != "closed"


def till() -> Till:
    """Return the till. Raises: ShopClosed"""
    match settings.SHOP.till:
        case "stripe":
            return stripe_till()
        case "dummy":
            return DummyTill()
    raise ShopClosed("Nothing is sold here at the moment.")


def stripe_till() -> StripeTill:
    """Return Stripe's till. Raises: ShopClosed: this deployment does not use Stripe."""
    provider = provider_factory("stripe") if settings.SHOP.till == "stripe" else None
    if not isinstance(provider, StripeProvider):
        raise ShopClosed("Stripe is not used here.")
    return StripeTill(provider)


def till_of(payment: Payment) -> Till:
    """Return the till that a payment was made at. Raises: ShopClosed: it is not in use any more."""
    found = till()
    if found.name != payment.variant:
        raise ShopClosed(f"This was paid by {payment.variant}, which is not in use here now.")
    return found
