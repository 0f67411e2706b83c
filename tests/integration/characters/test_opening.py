"""Over the edition's slots: characters are locked and unchanged, and the player chooses which are open."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditRecord, Entitlement
from characters.models import Character, Line, Version
from characters.opening import BadChoice, ChosenLately, choose_open
from characters.refusals import Refused
from characters.selectors import characters_of
from characters.services import CharacterInPlay, NoSuchCharacter, create_character
from worlds.uplink import messages

pytestmark = pytest.mark.django_db
NAMES = ("Aster", "Bryony", "Sorrel", "Tansy", "Yarrow")
PAGE, REST = "/characters/open/", "/api/v1/characters/open/"


@pytest.fixture
def premium(make_account):
    return make_account("carol", premium=True)


@pytest.fixture
def five(premium, now):
    """Five characters of an account that was Premium, and is Free again."""
    made = [
        create_character(account=premium, name=name, by=premium, now=now - timedelta(hours=9 - number))
        for number, name in enumerate(NAMES)
    ]
    Entitlement.objects.create(
        account=premium, edition="premium", is_grant=False, source="staff", reference="test", starts_at=now
    )
    return made


def logged_in(account):
    client = Client()
    client.force_login(account)
    return client


def open_names(account, now):
    return {row.name for row in characters_of(account, now).characters if not row.is_locked}


def everything(five):
    """Return every line and version of these characters, byte for byte."""
    lines = Line.objects.filter(character__in=five).order_by("id")
    versions = Version.objects.filter(line__in=lines).order_by("line", "version")
    return (
        [(line.id, line.version, bytes(line.chain), bytes(line.state)) for line in lines],
        [(row.op_id, bytes(row.chain), bytes(row.state_hash), bytes(row.state)) for row in versions],
    )


def test_the_oldest_are_open_until_the_player_chooses(premium, five, now):
    assert open_names(premium, now) == {"Aster", "Bryony", "Sorrel"}
    before = everything(five)
    choose_open(account=premium, characters={five[4].id, five[1].id}, by=premium, now=now)
    assert open_names(premium, now) == {"Yarrow", "Bryony", "Aster"}, "what is left over goes to the oldest"
    assert everything(five) == before
    record = AuditRecord.objects.get(action="characters_chosen")
    assert record.after == {"open": sorted([str(five[4].id), str(five[1].id)])}


def test_the_choice_decides_who_may_enter_and_upgrading_opens_all(premium, five, aurora, now):
    choose_open(account=premium, characters={each.id for each in five[2:]}, by=premium, now=now)
    admission = aurora.admit(premium, now)
    with pytest.raises(Refused) as refused:
        aurora.acquire(five[0], admission, now)
    assert refused.value.refusal.code == "character_locked"
    assert aurora.acquire(five[4], admission, now).name == "Yarrow"
    before = everything(five)
    Entitlement.objects.create(
        account=premium, edition="premium", source="gift", reference="again", starts_at=now
    )
    assert open_names(premium, now) == set(NAMES)
    assert aurora.acquire(five[0], admission, now).name == "Aster"
    assert everything(five) == before
    Entitlement.objects.filter(reference="again").delete()
    assert open_names(premium, now) == set(NAMES[2:]), "the choice outlasts the edition"


def test_bad_choices_are_refused_and_change_nothing(premium, five, hero, now):
    for wanted, error in (
        ([each.id for each in five[:4]], BadChoice),
        ([], BadChoice),
        ([uuid4()], NoSuchCharacter),
        ([hero.id], NoSuchCharacter),
    ):
        with pytest.raises(error):
            choose_open(account=premium, characters=wanted, by=premium, now=now)
    with pytest.raises(BadChoice, match="nothing to choose"):
        choose_open(account=hero.account, characters=[hero.id], by=hero.account, now=now)
    assert not Character.objects.filter(kept_open_at__isnull=False).exists()
    assert not AuditRecord.objects.filter(action="characters_chosen").exists()


def test_a_choice_holds_for_a_day_and_the_same_one_again_is_none(premium, five, now):
    first, second = {five[3].id}, {five[4].id}
    choose_open(account=premium, characters=first, by=premium, now=now)
    choose_open(account=premium, characters=first, by=premium, now=now + timedelta(hours=1))
    with pytest.raises(ChosenLately, match="from"):
        choose_open(account=premium, characters=second, by=premium, now=now + timedelta(hours=23))
    choose_open(account=premium, characters=second, by=premium, now=now + timedelta(hours=24))
    assert AuditRecord.objects.filter(action="characters_chosen").count() == 2


def test_a_character_in_a_world_is_not_locked(premium, five, aurora, now):
    aurora.acquire(five[0], aurora.admit(premium, now), now)
    with pytest.raises(CharacterInPlay, match="Aster is in a world"):
        choose_open(account=premium, characters={each.id for each in five[2:]}, by=premium, now=now)
    choose_open(account=premium, characters={five[0].id, five[4].id}, by=premium, now=now)


def test_the_page_says_what_is_locked_and_takes_a_choice(premium, five):
    client = logged_in(premium)
    page = client.get("/characters/").content.decode()
    assert "You have 5 characters; the Free edition has places for 3." in page and "places taken" not in page
    assert "keeps 3 characters open" in page and PAGE in page and page.count("Locked") == 2
    page = client.get(PAGE).content.decode()
    assert page.count("checked") == 3
    too_many = client.post(PAGE, {"open": [str(each.id) for each in five]})
    assert too_many.status_code == 400
    text = too_many.content.decode()
    assert "You have ticked 5" in text and text.count("checked") == 5, "nothing ticked is lost"
    assert client.post(PAGE, {"open": ["no id"]}).status_code == 400
    done = client.post(PAGE, {"open": [str(each.id) for each in five[2:]]}, follow=True)
    assert "Your choice is kept" in done.content.decode()
    again = client.get(PAGE).content.decode()
    assert "less than a day ago" in again and "<button" not in again.split("Keep open")[1].split("</form>")[0]


def test_who_has_room_for_all_has_nothing_to_choose(hero):
    client = logged_in(hero.account)
    assert "All your characters are open" in client.get(PAGE).content.decode()
    assert client.post(PAGE, {"open": [str(hero.id)]}).status_code == 400
    assert PAGE not in client.get("/characters/").content.decode()


def test_rest_takes_a_choice_and_says_what_is_wrong(premium, five):
    client = logged_in(premium)

    def put(*ids):
        return client.put(REST, {"characters": list(ids)}, content_type="application/json")

    assert put(*[str(each.id) for each in five]).status_code == 400
    assert put("no id").status_code == 400
    assert put(str(uuid4())).status_code == 404
    answer = put(str(five[4].id))
    assert answer.status_code == 200
    assert [row["name"] for row in answer.json()["characters"] if not row["is_locked"]] == [
        "Aster", "Bryony", "Yarrow",
    ]  # fmt: skip
    late = put(str(five[3].id))
    assert (late.status_code, late.json()["code"]) == (409, "chosen_lately")


def test_strangers_and_others_choose_nothing(premium, five, mallory):
    assert Client().get(PAGE).status_code == 302 and Client().post(PAGE).status_code == 302
    assert Client().put(REST).status_code in (401, 403)
    client = logged_in(mallory)
    assert client.post(PAGE, {"open": [str(five[0].id)]}).status_code == 400
    answer = client.put(REST, {"characters": [str(five[0].id)]}, content_type="application/json")
    assert answer.status_code == 404
    assert not Character.objects.filter(kept_open_at__isnull=False).exists()


# ---------------------------------------------------------------- told to worlds


def news(operator, *waiting):
    report = messages.Report("ws://127.0.0.1:9/", operator.world.last_report_at, [], waiting=list(waiting))
    response = operator.post("report", report)
    assert response.status_code == 200, response.content
    return msgspec_decode(response.content).accounts


def msgspec_decode(body):
    return messages.decoders[messages.Reported].decode(body)


def pseudonym(account, operator):
    return account.pseudonyms.get(world=operator.world).value


def test_whoever_waits_in_a_world_is_told_of(premium, five, aurora, borealis, now):
    aurora.admit(premium, now)
    me = pseudonym(premium, aurora)
    assert news(aurora) == []
    (told,) = news(aurora, me)
    assert (told.account, told.edition, told.locked) == (me, "free", sorted(each.id for each in five[3:]))
    assert told.limits == messages.Limits(15, may_enter_premium_zones=False, queue_place=1)
    Entitlement.objects.create(
        account=premium, edition="premium", source="gift", reference="g", starts_at=now
    )
    (told,) = news(aurora, me)
    assert (told.edition, told.locked) == ("premium", [])
    assert told.limits == messages.Limits(None, may_enter_premium_zones=True, queue_place=0)


def test_a_world_asks_about_nobody_who_did_not_come_to_it(premium, alice, aurora, borealis, now):
    borealis.admit(premium, now)
    assert news(aurora, pseudonym(premium, borealis), uuid4()) == []
    aurora.admit(alice, now)
    mine = pseudonym(alice, aurora)
    assert len(news(aurora, mine)) == 1
    borealis.admit(alice, now)  # the admission to the other world has ended
    assert news(aurora, mine) == []


def test_the_answer_asks_the_database_the_same_for_one_and_for_many(make_account, aurora, now):
    def queries(people):
        names = [pseudonym(each, aurora) for each in people]
        with CaptureQueriesContext(connection) as asked:
            assert len(news(aurora, *names)) == len(people)
        return len(asked)

    people = [make_account(f"bob{number}") for number in range(6)]
    for each in people:
        aurora.admit(each, now)
    assert queries(people[:1]) == queries(people)


def test_a_report_that_names_too_many_is_refused(aurora, now):
    report = messages.Report("ws://127.0.0.1:9/", now, [], waiting=[uuid4() for _ in range(501)])
    assert aurora.post("report", report).status_code == 400


def test_who_waits_is_not_kept_on_the_worlds_row(alice, aurora, now):
    aurora.admit(alice, now)
    news(aurora, pseudonym(alice, aurora))
    aurora.world.refresh_from_db()
    assert "waiting" not in aurora.world.report
