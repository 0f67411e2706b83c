"""Who takes money at a deployment: nobody gives Premium away by having forgotten a setting."""

import pytest

from waystone.shop_config import payment_variants, read_shop_config

PUBLIC, LOCAL = "https://play.example.org", "http://127.0.0.1:8000"
KEYS = {"WAYSTONE_STRIPE_KEY": "sk_test_1", "WAYSTONE_STRIPE_WEBHOOK_SECRET": "whsec_1"}


@pytest.mark.parametrize(
    ("values", "address", "till"),
    [
        ({}, LOCAL, "dummy"),
        ({}, "http://localhost:8000", "dummy"),
        ({}, "http://[::1]:8000", "dummy"),
        ({}, PUBLIC, "closed"),
        ({}, "http://127.0.0.1.example.org", "closed"),
        ({"WAYSTONE_SHOP": "dummy"}, PUBLIC, "dummy"),
        ({"WAYSTONE_SHOP": "closed", **KEYS}, PUBLIC, "closed"),
        (KEYS, PUBLIC, "stripe"),
        (KEYS, LOCAL, "stripe"),
    ],
)
def test_which_till_there_is(values, address, till):
    shop = read_shop_config(values, address)
    assert shop.till == till
    assert set(payment_variants(shop)) == ({till} - {"closed"})
    assert "sk_test_1" not in repr(shop) and "whsec_1" not in repr(shop)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"WAYSTONE_SHOP": "paypal"}, "stripe, dummy or closed"),
        ({"WAYSTONE_SHOP": "stripe"}, "WAYSTONE_STRIPE_KEY"),
        ({"WAYSTONE_STRIPE_KEY": "sk_test_1"}, "WEBHOOK_SECRET"),
    ],
)
def test_what_is_missing_is_named(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_shop_config(values, PUBLIC)
