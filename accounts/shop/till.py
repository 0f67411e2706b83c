"""The till: the one seam to who takes the money. Behind it django-payments' providers: Stripe, or the dummy.

Calls of the provider go over the network: never inside a transaction. What comes back are notices, as from a
webhook, so that booking has one way in.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from decimal import Decimal
from functools import cache

from django.conf import settings

from accounts.models import Payment
from accounts.shop.booking import Told
from accounts.shop.prices import Prices, read_prices


class TillUnavailable(Exception):
    """The provider cannot be reached, or refused. Nothing was charged or moved; the text is for staff."""


class ShopClosed(Exception):
    """Nothing is sold here at the moment."""


class Till(ABC):
    """What the shop asks of a provider."""

    name: str
    can_pretend = False  # whether nothing real is paid here

    @abstractmethod
    def begin(self, payment: Payment) -> str:
        """Return the address at which the buyer pays. Raises: TillUnavailable"""

    @abstractmethod
    def refund(self, payment: Payment, amount: Decimal, now: datetime) -> list[Told]:
        """Pay an amount back. Asked again with nothing changed, it is one refund. Raises: TillUnavailable"""

    @abstractmethod
    def look_up(self, payment: Payment, now: datetime) -> list[Told]:
        """Ask how a payment stands, for notices that never came. Raises: TillUnavailable"""


def prices() -> Prices:
    """Return the price list."""
    return _prices(str(settings.SHOP.prices_file))


@cache
def _prices(file: str) -> Prices:
    with open(file, encoding="utf-8") as opened:
        return read_prices(opened.read(), file)
