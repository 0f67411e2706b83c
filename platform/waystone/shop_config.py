"""How the shop of a deployment takes money, from its settings. Standard library only, as waystone.config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PRICES = Path(__file__).resolve().parents[2] / "accounts" / "shop" / "prices.toml"
TILLS = ("stripe", "dummy", "closed")


@dataclass(frozen=True)
class ShopConfig:
    """`till`: stripe, dummy (pretends: for trying it out), or closed (nothing is sold; codes work)."""

    till: str
    stripe_key: str = field(repr=False)
    stripe_webhook_secret: str = field(repr=False)
    stripe_url: str  # of its API; empty: Stripe's own
    seller: str  # who sells, for receipts; lines are parted by |
    prices_file: Path


def read_shop_config(values: Mapping[str, str], public_url: str) -> ShopConfig:
    """Read the settings of the shop.

    Without a choice it is Stripe where its key is set, else the dummy where only this machine reaches the
    site: on a public site the dummy would give Premium away, so there it must be asked for.

    Raises: ValueError: a value that cannot be used, named.
    """
    key = values.get("WAYSTONE_STRIPE_KEY", "")
    secret = values.get("WAYSTONE_STRIPE_WEBHOOK_SECRET", "")
    is_local = urlsplit(public_url).hostname in ("127.0.0.1", "localhost", "::1")
    till = values.get("WAYSTONE_SHOP", "") or ("stripe" if key else "dummy" if is_local else "closed")
    if till not in TILLS:
        raise ValueError(f"WAYSTONE_SHOP={till!r}: use stripe, dummy or closed, or leave it out")
    if till == "stripe" and not key:
        raise ValueError("WAYSTONE_STRIPE_KEY: needed with Stripe: its secret key, sk_… or rk_…")
    if till == "stripe" and not secret:
        raise ValueError(
            "WAYSTONE_STRIPE_WEBHOOK_SECRET: needed with Stripe, or no payment would ever be booked: the "
            "signing secret, whsec_…, of the webhook endpoint /premium/webhooks/stripe/"
        )
    return ShopConfig(
        till=till,
        stripe_key=key,
        stripe_webhook_secret=secret,
        stripe_url=values.get("WAYSTONE_STRIPE_URL", "").rstrip("/"),
        seller=values.get("WAYSTONE_SHOP_SELLER", ""),
        prices_file=Path(values.get("WAYSTONE_SHOP_PRICES", "") or PRICES),
    )


def payment_variants(shop: ShopConfig) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return django-payments' PAYMENT_VARIANTS: the provider that is in use, and no other."""
    if shop.till == "stripe":
        access = {
            "api_key": shop.stripe_key,
            "endpoint_secret": shop.stripe_webhook_secret,
            "address": shop.stripe_url,
        }
        return {"stripe": ("accounts.shop.stripe_till.StripeProvider", access)}
    return {"dummy": ("payments.dummy.DummyProvider", {})} if shop.till == "dummy" else {}
