"""Names, slugs and addresses of worlds; when one is online."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worlds.rules import RESERVED_SLUGS, gateway_fault, is_online, name_fault, name_key, slug_fault

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age_s", "online"), [(0, True), (14.9, True), (15, True), (15.1, False), (86400, False)]
)
def test_online_for_15_seconds_after_a_report(age_s, online):
    assert is_online(NOW - timedelta(seconds=age_s), NOW) is online


def test_never_seen_is_not_online():
    assert not is_online(None, NOW)


@pytest.mark.parametrize("slug", ["abc", "a1-b2", "haven", "a" * 40])
def test_good_slugs(slug):
    assert slug_fault(slug) == ""


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "ab",
        "a" * 41,
        "Haven",
        "1abc",
        "-abc",
        "abc-",
        "a--b",
        "a_b",
        "a b",
        "häven",
        "abc\n",
        "../etc",
        *sorted(RESERVED_SLUGS),
    ],
)
def test_bad_slugs(slug):
    assert slug_fault(slug)


@pytest.mark.parametrize(
    "name", ["Haven", "Alice's Haven", "Gaïa 2", "山の村", "ひらがなカタカナ漢字", "Мшистый"]
)
def test_good_names(name):
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "  ",
        " Haven",
        "Haven ",
        "Ha  ven",
        "x" * 61,
        "Ha\nven",
        "Ha\u202even",
        "Hаven",
        "!!!",
        "Ha\x00n",
    ],
)
def test_bad_names(name):
    assert name_fault(name)


@pytest.mark.parametrize(
    ("name", "twin"),
    [("Haven", "HAVEN"), ("Haven", "H-a-v-e-n"), ("Moon", "M00n"), ("Idle", "ldle"), ("Modern", "Modem"),
     ("Café", "Cafe"), ("Wave", "VVave"), ("Haven", "Ｈａｖｅｎ"), ("Straße", "Strasse")],
)  # fmt: skip
def test_names_that_look_alike_share_a_key(name, twin):
    assert name_key(name) == name_key(twin) != ""


@given(st.text(max_size=80))
def test_any_text_has_an_answer(text):
    assert isinstance(slug_fault(text), str) and isinstance(name_fault(text), str)
    assert isinstance(gateway_fault(text), str) and len(name_key(text)) <= 200
    if not name_fault(text):
        assert name_key(text)


@pytest.mark.parametrize(
    "url",
    ["ws://127.0.0.1:8001/world-link/", "wss://play.example.org/world-link/", "wss://[2001:db8::1]:8001/"],
)
def test_good_gateways(url):
    assert gateway_fault(url) == ""


@pytest.mark.parametrize(
    "url",
    ["", "play.example.org", "https://play.example.org/", "javascript:alert(1)", "wss://", "wss:///x", "wss://a:99999/",
     "wss://a:0/", "wss://user@a/", "wss://:word@a/", "wss://a/?q=1", "wss://a/#f", "wss://a b/", "wss://a/\n",
     "wss://[::1", f"wss://{'a' * 200}/"],
)  # fmt: skip
def test_bad_gateways(url):
    assert gateway_fault(url)
