"""A document that nobody can read costs its own row: lists, pages and histories of all others stand."""

from datetime import timedelta

import pytest
from django.urls import reverse

from characters import readings
from characters.models import Line, Version
from characters.provenance import history_page
from characters.selectors import characters_of, summaries_for_world
from characters.services import create_character
from worlds.models import World
from zonecluster.protocol.character import CharacterState, encode_state

pytestmark = pytest.mark.django_db
BROKEN = b'{"money": -1}'  # PostgreSQL keeps whatever bytes it is given


@pytest.fixture
def pair(alice, now):
    """Two characters of Alice: Rowan, and Tilda, who is a second younger."""
    return [
        create_character(account=alice, name=name, by=alice, now=now + timedelta(seconds=number))
        for number, name in enumerate(("Rowan", "Tilda"))
    ]


@pytest.fixture
def both(pair):
    """The same, but nobody can read the first one's document."""
    Line.objects.filter(character=pair[0]).update(state=BROKEN)
    return pair


@pytest.fixture
def aurora(make_operator):
    return make_operator("aurora").world


def test_the_welcome_list_has_both(both, alice, aurora: World, now):
    one, other = summaries_for_world(alice, aurora, now)
    assert (one.name, one.level, one.zone) == ("Rowan", 1, None)
    assert (other.name, other.level) == ("Tilda", 1)


def test_rules_that_raise_are_no_better_than_bytes_that_are_none(alice, pair, aurora, now, monkeypatch):
    cursed = encode_state(CharacterState(attributes={"level": 7, "cursed": 1}))
    sound = encode_state(CharacterState(attributes={"level": 5}))
    for character, state in zip(pair, (cursed, sound), strict=True):
        Line.objects.filter(character=character).update(state=state)

    def level_of(state):
        if "cursed" in state.attributes:
            raise ZeroDivisionError("nobody has foreseen that")
        return state.attributes["level"]

    monkeypatch.setattr(readings, "level_of", level_of)
    assert [one.level for one in summaries_for_world(alice, aurora, now)] == [1, 5]
    assert [row.main.is_readable for row in characters_of(alice, now).characters] == [False, True]


def test_pages_of_the_player_and_of_the_staff_stand(both, alice, client, make_account):
    client.force_login(alice)
    page = client.get("/characters/").content.decode()
    assert "cannot be shown just now" in page and "Tilda" in page and page.count("Level 1") == 1
    Version.objects.filter(line__character=both[0]).update(state=BROKEN)
    for character in both:
        assert client.get(reverse("character_history", args=[character.id])).status_code == 200
    staff = make_account("staff", staff=True)
    staff.is_superuser = True
    staff.save()
    client.force_login(staff)
    line = Line.objects.get(character=both[0])
    for row in (both[0], line, line.versions.get()):
        address = reverse(f"admin:characters_{row._meta.model_name}_change", args=[row.pk])
        assert client.get(address).status_code == 200, address
    assert "-1" in client.get(reverse("admin:characters_line_change", args=[line.pk])).content.decode()


def test_what_changed_is_said_where_both_can_be_read(alice, aurora, hero, make_operator, now):
    borealis = make_operator("borealis")
    lease = borealis.acquire(hero, borealis.admit(alice, now), now)
    assert borealis.save(lease, now, money=5).refusal is None
    Version.objects.filter(line__character=hero, version=1).update(state=BROKEN)
    assert readings.told_differences(None, CharacterState()) == (readings.UNREADABLE,)
    assert readings.told_differences(CharacterState(), CharacterState(money=2)) == ("money 0 → 2",)
    newest, first = history_page(Line.objects.get(character=hero)).rows
    assert newest.changes == (readings.UNREADABLE,) and first.changes == ()


def test_the_api_lists_both(both, alice, client):
    client.force_login(alice)
    rows = client.get("/api/v1/characters/").json()
    found = rows["characters"] if isinstance(rows, dict) else rows
    assert {row["name"] for row in found} == {"Rowan", "Tilda"}
