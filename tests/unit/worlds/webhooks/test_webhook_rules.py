"""Addresses, pauses and signatures of webhooks."""

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from worlds.webhooks.rules import EVENT_OF_DEED, EVENTS, PAUSES, next_attempt, url_fault
from worlds.webhooks.signing import derived_secret, shown, signed_headers

ROOT = Path(__file__).resolve().parents[4]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOOK = UUID(int=7)


@pytest.mark.parametrize(
    "url",
    [
        "", "bot.example.org", "ftp://bot.example.org/", "https://", "https:///path", "http://bot.example.org/",
        "https://alice:secret@bot.example.org/", "https://bot.example.org/#part", "https://bot.example.org:0/",
        "https://bot.example.org:99999/", "https://bot.example.org/a b", "https://bot.example.org/\r\nX: y",
        "https://bot.example.örg/", "https://[::1/", "https://bot.example.org/" + "x" * 300,
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_are_refused_with_a_sentence(url):
    fault = url_fault(url, may_be_plain=False)
    assert fault is not None and fault.endswith(".")


def test_good_addresses_and_plain_ones_on_a_local_deployment():
    assert url_fault("https://bot.example.org:8443/waystone?guild=3", may_be_plain=False) is None
    assert url_fault("http://127.0.0.1:9000/", may_be_plain=True) is None


def test_attempts_come_ever_later_and_end_after_a_day_and_a_half():
    assert list(PAUSES) == sorted(PAUSES)
    assert [next_attempt(number, NOW) for number in (1, 2)] == [
        NOW + timedelta(seconds=10),
        NOW + timedelta(seconds=60),
    ]
    assert next_attempt(len(PAUSES), NOW) == NOW + PAUSES[-1]
    assert next_attempt(len(PAUSES) + 1, NOW) is None
    assert timedelta(hours=36) < sum(PAUSES, timedelta()) < timedelta(hours=48)


def test_every_deed_leads_to_an_event_that_can_be_chosen():
    assert set(EVENT_OF_DEED.values()) <= set(EVENTS)


def test_a_receiver_checks_a_signature_by_the_standard():
    secret = shown(derived_secret("deployment", HOOK, 1))
    headers = signed_headers([derived_secret("deployment", HOOK, 1)], UUID(int=9), 1764000000, b'{"a":1}')
    key = b64decode(secret.removeprefix("whsec_"))
    wanted = hmac.digest(key, f"{UUID(int=9)}.1764000000.".encode() + b'{"a":1}', "sha256")
    assert headers["webhook-signature"] == "v1," + b64encode(wanted).decode()
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (str(UUID(int=9)), "1764000000")


def test_secrets_differ_by_deployment_webhook_and_number():
    secrets = {
        derived_secret(key, hook, number)
        for key in ("one", "two") for hook in (HOOK, UUID(int=8)) for number in (1, 2)
    }  # fmt: skip
    assert len(secrets) == 8
    assert all(len(secret) == 32 for secret in secrets)


def test_while_both_secrets_are_good_both_sign():
    new, old = derived_secret("d", HOOK, 2), derived_secret("d", HOOK, 1)
    both = signed_headers([new, old], HOOK, 1, b"x")["webhook-signature"].split(" ")
    only_old = signed_headers([old], HOOK, 1, b"x")["webhook-signature"]
    assert len(both) == 2 and both[1] == only_old and both[0] != only_old


# Names that are put together where they are written: the deed → what stands in the source.
PUT_TOGETHER = {
    "player_banned": "player_{'banned' if",
    "player_muted": "else 'muted'}",
    "ban_lifted": "{row.kind}_lifted",
    "mute_lifted": "{row.kind}_lifted",
}


def test_every_deed_is_one_that_somebody_writes():
    sources = "".join(
        path.read_text() for app in ("worlds", "characters") for path in (ROOT / app).rglob("*.py")
    )
    table = (ROOT / "worlds/webhooks/rules.py").read_text()
    for deed in EVENT_OF_DEED:
        name = "ordered_{kind.value}" if deed.startswith("ordered_") else PUT_TOGETHER.get(deed, f'"{deed}"')
        assert sources.count(name) > table.count(name), deed
