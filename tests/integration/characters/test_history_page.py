"""The page of a character's history: for its owner, in words, paged; no query breaks it."""

import re
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from django.utils import timezone

from characters.models import Line, Version
from characters.selectors import why_this_line
from characters.services import delete_character
from worlds.services import limit_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def played(aurora, alice, hero, now):
    """Thirty saves in Aurora; two more on its fork."""
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    for money in range(1, 33):
        if money == 31:
            limit_world(world=aurora.world, reason="test", by=None, now=now)
        saved = aurora.save(lease, now + timedelta(seconds=money), money=money)
        lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
    return hero


def address(hero):
    return f"/characters/{hero.id}/history/"


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_owner_reads_what_happened(client, alice, played):
    client.force_login(alice)
    page = client.get(address(played))
    text = text_of(page)
    assert "Version 31" in text and "Version 12" in text and "Version 11" not in text
    assert "money 29 → 30" in text and "Saved in Aurora" in text and "Newest" in text
    older = re.search(r'rel="next" href="([^"]+)"', page.content.decode())[1].replace("&amp;", "&")
    text = text_of(client.get(address(played) + older))
    assert "Version 1 " in text and "Made" in text and "Older" not in text


def test_a_path_of_its_own_is_shown_with_its_reason(client, alice, played):
    client.force_login(alice)
    assert "Path in Aurora" in text_of(client.get(address(played)))
    text = text_of(client.get(address(played) + "?line=aurora"))
    assert "The platform's staff has limited Aurora" in text.replace("&#x27;", "'")
    assert "money 31 → 32" in text and "because the world is limited" in text


def test_each_line_says_in_plain_words_what_it_is(hero, played):
    main = Line.objects.get(character=hero, world=None)
    assert "counts in every world" in why_this_line(main)
    fork = Line.objects.select_related("world").get(character=hero, world__slug="aurora")
    now = timezone.now()
    cases = [
        ({"tier": "open", "limited_at": None}, {}, "run by its own people"),
        ({"tier": "verified", "limited_at": now}, {}, "has limited Aurora"),
        ({"tier": "verified", "limited_at": None}, {"undecided_since": now}, "More was gained in Aurora"),
        ({"tier": "verified"}, {"undecided_since": None}, "until you log out there"),
        ({"tier": "official"}, {"holder": None}, "plays your main path again"),
    ]
    for of_world, of_line, words in cases:
        for row, changes in ((fork.world, of_world), (fork, of_line)):
            for name, value in changes.items():
                setattr(row, name, value)
        assert words in why_this_line(fork)


def test_letters_and_trades_are_told(client, alice, played):
    main = Line.objects.get(character=played, world=None)
    for kind, words in (("trade", "A trade"), ("mail", "A letter")):
        Version.objects.filter(line=main, version=main.version).update(kind=kind)
        client.force_login(alice)
        assert words in text_of(client.get(address(played)))


def test_the_list_leads_to_it(client, alice, hero):
    client.force_login(alice)
    assert address(hero) in client.get("/characters/").content.decode()


@pytest.mark.parametrize(
    "query", ["?line=nowhere", "?before=x", "?before=-1", "?before=" + "9" * 40, "?before=²"]
)
def test_nonsense_is_not_found(client, alice, hero, query):
    client.force_login(alice)
    assert client.get(address(hero) + query).status_code == 404


def test_before_the_first_version_there_is_nothing(client, alice, hero):
    client.force_login(alice)
    assert "Nothing older" in text_of(client.get(address(hero) + "?before=1"))


def test_it_is_nobody_elses(client, alice, mallory, hero, now):
    assert client.get(address(hero)).status_code == 302
    client.force_login(mallory)
    assert client.get(address(hero)).status_code == 404
    client.force_login(alice)
    assert client.get(f"/characters/{uuid4()}/history/").status_code == 404
    assert client.post(address(hero)).status_code == 405
    delete_character(account=alice, character_id=hero.id, by=alice, now=now)
    assert client.get(address(hero)).status_code == 404


def test_the_page_is_light_and_has_no_script_of_its_own(client, alice, played, django_assert_max_num_queries):
    client.force_login(alice)
    with django_assert_max_num_queries(12):
        html = client.get(address(played)).content
    assert len(html) < 60_000
    assert not re.search(rb"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)
