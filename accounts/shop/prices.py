"""The price list: read from TOML, and checked so that a slip of the pen is no sale for a cent. Pure."""

import re
import tomllib
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

# ISO 4217 currencies without a part of a unit, as Stripe lists them.
WHOLE = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
MAX_AMOUNT = Decimal("9999")  # more for a game is a slip of the pen
MAX_DAYS = 3660
CENT = Decimal("0.01")


class BadPrices(ValueError):
    """The price list cannot be used; the text says where and why."""


@dataclass(frozen=True)
class Product:
    """One thing for sale. `amount` in units of the currency; `days` of Premium, None: for good."""

    slug: str
    title: str
    days: int | None
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class Prices:
    products: tuple[Product, ...]
    currency: str
    tax_percent: Decimal  # included in amounts

    def product(self, slug: str) -> Product | None:
        """Return the product with this slug, None if nothing like it is for sale."""
        return next((product for product in self.products if product.slug == slug), None)

    def tax_in(self, amount: Decimal) -> Decimal:
        """Return how much of an amount is tax, to the cent."""
        net = amount / (1 + self.tax_percent / 100)
        return (amount - net).quantize(CENT, ROUND_HALF_UP)


def read_prices(text: str, source: str) -> Prices:
    """Parse a price list.

    Args: source: its name, for errors.
    Raises: BadPrices
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPrices(f"{source}: {error}") from error
    currency = data.get("currency")
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        raise BadPrices(f"{source}: currency: three capital letters, as EUR")
    tax = _decimal(data.get("tax_percent", 0), f"{source}: tax_percent")
    if not 0 <= tax <= 50:
        raise BadPrices(f"{source}: tax_percent: from 0 to 50")
    rows = data.get("product", [])
    if not isinstance(rows, list) or not rows:
        raise BadPrices(f"{source}: it needs at least one [[product]]")
    products = tuple(_product(row, currency, f"{source}: product {n}") for n, row in enumerate(rows, 1))
    if len({product.slug for product in products}) != len(products):
        raise BadPrices(f"{source}: two products have the same slug")
    return Prices(products, currency, tax)


def _product(row: object, currency: str, where: str) -> Product:
    if not isinstance(row, dict):
        raise BadPrices(f"{where}: write it as [[product]]")
    unknown = row.keys() - {"slug", "title", "days", "amount"}
    if unknown:
        raise BadPrices(f"{where}: unknown: {', '.join(sorted(unknown))}")
    slug, title, days = row.get("slug"), row.get("title"), row.get("days")
    if not isinstance(slug, str) or not re.fullmatch("[a-z0-9-]{1,40}", slug):
        raise BadPrices(f"{where}: slug: up to 40 small letters, digits and hyphens")
    if not isinstance(title, str) or not 0 < len(title.strip()) <= 80:
        raise BadPrices(f"{where}: title: 1 to 80 characters")
    if days is not None and (type(days) is not int or not 1 <= days <= MAX_DAYS):
        raise BadPrices(f"{where}: days: a whole number from 1 to {MAX_DAYS}, or left out")
    amount = _decimal(row.get("amount"), f"{where}: amount")
    step = Decimal(1) if currency in WHOLE else CENT
    if not step <= amount <= MAX_AMOUNT or amount % step:
        raise BadPrices(f"{where}: amount: from {step} to {MAX_AMOUNT} {currency} in steps of {step}")
    return Product(slug, title.strip(), days, amount.quantize(CENT), currency)


def _decimal(value: object, where: str) -> Decimal:
    """Return a number that was written as text, or a whole one: a float is not the amount that was typed."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise BadPrices(f'{where}: write it in quotes, as "5.00"')
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise BadPrices(f"{where}: {value!r} is no number") from error
    if not number.is_finite():
        raise BadPrices(f"{where}: {value!r} is no number")
    return number


def in_smallest_units(amount: Decimal, currency: str) -> int:
    """Return an amount as providers count: cents, or whole units where there are no cents."""
    return int(amount if currency.upper() in WHOLE else amount * 100)


def from_smallest_units(count: int, currency: str) -> Decimal:
    """Return what a provider's count is worth."""
    return (Decimal(count) if currency.upper() in WHOLE else Decimal(count) / 100).quantize(CENT)
