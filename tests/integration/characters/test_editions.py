"""Free → Premium → refund → Premium, by real purchases: every byte of every character is as it was."""

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Payment
from accounts.rules import Edition
from accounts.selectors import edition_of
from characters.selectors import characters_of
from characters.services import create_character

TABLES = ("characters_character", "characters_line", "characters_version", "characters_valuable")


def bytes_of_all() -> dict[str, list[tuple]]:
    """Return every row of every table of characters, as PostgreSQL writes it."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT row::text FROM {table} AS row ORDER BY 1")
            found[table] = cursor.fetchall()
    return found


def locked_names(account) -> set[str]:
    found = characters_of(account, timezone.now())
    return {row.name for row in found.characters if row.is_locked}


@pytest.mark.django_db
def test_a_purchase_and_its_refund_leave_every_character_byte_equal(alice, aurora, hero, now):
    aurora.save(aurora.acquire(hero, aurora.admit(alice, now), now), now)
    client = Client()
    client.force_login(alice)

    def pay() -> Payment:
        form = {"product": "year", "recipient": "buyer", "recipient_email": ""}
        client.post(client.post("/premium/checkout/", form).headers["Location"], {"outcome": "paid"})
        return Payment.objects.latest("created")

    first = pay()
    for number in range(5):
        create_character(account=alice, name=f"Wanderer {'abcde'[number]}", by=alice, now=timezone.now())
    before = bytes_of_all()
    assert all(before[table] for table in TABLES[:3])
    assert locked_names(alice) == set()

    client.post(f"/premium/payments/{first.token}/try/", {"outcome": "refund"})
    assert edition_of(alice, timezone.now()) is Edition.FREE
    assert len(locked_names(alice)) == 3, "six characters, three places: locked, not deleted"
    assert bytes_of_all() == before

    second = pay()
    assert edition_of(alice, timezone.now()) is Edition.PREMIUM
    assert locked_names(alice) == set()
    assert bytes_of_all() == before

    for outcome in ("dispute", "won"):
        client.post(f"/premium/payments/{second.token}/try/", {"outcome": outcome})
    assert edition_of(alice, timezone.now()) is Edition.PREMIUM
    assert bytes_of_all() == before
