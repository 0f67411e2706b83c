"""Exchanges on real rows: trades and letters, each refusal by its name, all of it or nothing."""

from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from django.conf import settings
from django.db import connection

from characters import tasks
from characters.collecting import begin_restore, finish_restore
from characters.exchanges import IncomingExchange
from characters.invariants import INVARIANTS, check_invariants
from characters.letters import discard_letters, read_mailbox, return_letters
from characters.models import (
    Fall,
    Gain,
    Letter,
    Line,
    TradeStop,
    Valuable,
    ValuableEvent,
    Version,
    WorldBudget,
)
from characters.refusals import Refused
from characters.reports import receive_report
from characters.services import create_character
from characters.trade_stops import CannotStop, resume_trade, stop_trade
from tests.integration.characters.trading import (
    COIN,
    ROPE,
    a_letter,
    a_taking,
    a_trade,
    carry,
    equip,
    mailbox,
)
from worlds.models import World
from worlds.signing import signing_keys
from worlds.uplink import messages
from worlds.uplink.messages import Goods, LeaseRef
from worlds.uplink.receipt import check_receipt
from zonecluster.protocol.character import Item, Place, encode_state

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _every_invariant_holds(request):
    """After each test, what the invariants say of characters, letters and valuables."""
    yield
    if "db" in request.fixturenames or "transactional_db" in request.fixturenames:
        with connection.cursor() as cursor:
            assert check_invariants(cursor, INVARIANTS) == []


def everything():
    """All rows that an exchange may touch, to see that nothing changed."""
    return (
        sorted(Line.objects.values_list("id", "version", "exchange", "epoch", "holder")),
        Version.objects.count(),
        sorted(Valuable.objects.values_list("id", "line", "letter"), key=str),
        sorted(
            Letter.objects.values_list("id", "taken_at", "recipient", "returned_at", "discarded_at"), key=str
        ),
        ValuableEvent.objects.count(),
        Fall.objects.count(),
    )


def refused(playing, request, now) -> messages.Exchanged:
    """It is refused, and nothing was written."""
    before = everything()
    answer = carry(playing, request, now)
    assert answer.refusal is not None and answer.results == []
    assert everything() == before
    return answer


# ---------------------------------------------------------------- trades


def test_a_trade_is_one_commit_of_both(two, now):
    rowan, sorrel = two
    request = a_trade(rowan, sorrel)
    answer = carry(rowan, request, now)
    assert answer.refusal is None
    lines = [Line.objects.get(id=each.lease.line) for each in two]
    assert [line.exchange for line in lines] == [request.id, request.id]
    assert [line.version for line in lines] == [saved.version for saved in answer.results] == [3, 3]
    assert [bytes(line.state) for line in lines] == [bytes(write.state) for write in request.writes]
    versions = Version.objects.filter(exchange=request.id)
    assert {(row.kind, row.at, row.world_id) for row in versions} == {("trade", now, rowan.operator.world.pk)}
    keys = signing_keys(settings.CONFIG.signing_keys_dir)
    receipts = [check_receipt(saved.receipt, keys.key_of) for saved in answer.results]
    assert [receipt.op_id for receipt in receipts] == [write.op_id for write in request.writes]
    assert {(receipt.exchange, receipt.letter) for receipt in receipts} == {(request.id, None)}
    assert Valuable.objects.get(thing=COIN.id, world=None).line_id == sorrel.lease.line
    event = ValuableEvent.objects.get(kind="moved")
    assert (event.valuable.thing, event.op_id) == (COIN.id, request.writes[1].op_id)


def test_a_trade_asked_for_again_gets_the_first_answer_whatever_came_since(two, now):
    rowan, sorrel = two
    request = a_trade(rowan, sorrel)
    first = carry(rowan, request, now)
    sorrel.took(first.results[1], sorrel.having(COIN, Item("rope", 1), money=20))
    equip(sorrel, sorrel.having(COIN, Item("rope", 1), money=21), now)
    before = everything()
    again = carry(rowan, request, now + timedelta(minutes=5))
    assert [(saved.version, saved.chain) for saved in again.results] == [
        (saved.version, saved.chain) for saved in first.results
    ]
    assert everything() == before


def test_parts_of_one_trade_are_not_parts_of_another(two, now):
    rowan, sorrel = two
    request = a_trade(rowan, sorrel)
    carry(rowan, request, now)
    other = IncomingExchange(uuid4(), request.writes)
    assert refused(rowan, other, now).refusal.code == "op_id_reused"
    half = IncomingExchange(request.id, [request.writes[0], sorrel.write(sorrel.having(money=1))])
    answer = refused(rowan, half, now)
    assert answer.refusal.code in ("stale", "op_id_reused")


def test_of_two_writes_one_being_stale_neither_is_written(two, now):
    rowan, sorrel = two
    request = a_trade(rowan, sorrel)
    equip(sorrel, sorrel.having(money=51), now)
    answer = refused(rowan, request, now)
    assert (answer.refusal.code, answer.line) == ("stale", sorrel.lease.line)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"epoch": 1}, "stale"),
        ({"version": 1}, "stale"),
        ({"prev_chain": bytes(32)}, "bad_chain"),
        ({"line": UUID(int=1)}, "stale"),
        ({"state": msgspec.Raw(b'{"money":-1}')}, "invalid_state"),
        ({"state": msgspec.Raw(b'{"quests":{"q":"' + b"x" * 70_000 + b'"}}')}, "invalid_state"),
    ],
)
def test_a_bad_write_spoils_the_trade(two, now, changes, code):
    rowan, sorrel = two
    request = a_trade(rowan, sorrel)
    bad = msgspec.structs.replace(request.writes[1], **changes)
    answer = refused(rowan, IncomingExchange(request.id, [request.writes[0], bad]), now)
    assert (answer.refusal.code, answer.line) == (code, bad.line)


def test_what_is_made_or_lost_or_changed_besides_is_not_conserved(two, now):
    rowan, sorrel = two
    good = rowan.having(Item("rope", 2), money=130)
    gets = sorrel.having(COIN, Item("rope", 1), money=20)
    bad = {
        "a coin more": (msgspec.structs.replace(good, money=131), gets),
        "a coin less": (msgspec.structs.replace(good, money=129), gets),
        "a rope more": (rowan.having(Item("rope", 3), money=130), gets),
        "another thing": (good, sorrel.having(COIN, Item("gold rope", 1), money=20)),
        "the gem at both": (rowan.having(COIN, Item("rope", 2), money=130), gets),
        "the gem at none": (good, sorrel.having(Item("rope", 1), money=20)),
        "another gem": (good, sorrel.having(Item("gem", 1, UUID(int=8)), Item("rope", 1), money=20)),
        "the gem without its id": (good, sorrel.having(Item("gem", 1), Item("rope", 1), money=20)),
        "another kind by that id": (
            good,
            sorrel.having(Item("axe", 1, COIN.id), Item("rope", 1), money=20),
        ),
        "a level": (msgspec.structs.replace(good, attributes={"level": 60}), gets),
        "a skill": (good, msgspec.structs.replace(gets, skills={"swords": 9})),
        "a quest": (good, msgspec.structs.replace(gets, quests={"rats": "done"})),
        "a place": (good, msgspec.structs.replace(gets, places={"aurora": Place("keep", (0.0, 0.0, 0.0))})),
    }
    for what, (one, other) in bad.items():
        request = IncomingExchange(uuid4(), [rowan.write(one), sorrel.write(other)])
        assert refused(rowan, request, now).refusal.code == "not_conserved", what


def test_an_id_is_of_one_exchange(two, play, aurora, make_account, now):
    rowan, sorrel = two
    trade = a_trade(rowan, sorrel)
    answer = carry(rowan, trade, now)
    rowan.took(answer.results[0], rowan.having(Item("rope", 2), money=130))
    sorrel.took(answer.results[1], sorrel.having(COIN, Item("rope", 1), money=20))
    pay, get = rowan.having(Item("rope", 2), money=129), sorrel.having(COIN, Item("rope", 1), money=21)
    again = IncomingExchange(trade.id, [rowan.write(pay), sorrel.write(get)])
    assert refused(rowan, again, now).refusal.code == "op_id_reused"
    for letter in (a_letter(rowan), a_letter(rowan, money=10)):
        of_trade = msgspec.structs.replace(letter, id=trade.id)
        assert refused(rowan, of_trade, now).refusal.code == "op_id_reused"
    posting = a_letter(rowan, Item("rope", 2))
    rowan.took(carry(rowan, posting, now).results[0], rowan.having(money=130))
    taking = msgspec.structs.replace(a_taking(sorrel, posting.post.id, Item("rope", 2)), id=posting.id)
    answer = refused(sorrel, taking, now)
    assert (answer.refusal.code, answer.line) == ("op_id_reused", None)
    tansy = make_account("carol")
    third = play(aurora, tansy, create_character(account=tansy, name="Tansy", by=tansy, now=now))
    equip(third, third.having(money=5), now)
    pay, get = third.having(money=4), rowan.having(money=131)
    others = IncomingExchange(trade.id, [third.write(pay), rowan.write(get)])
    assert refused(third, others, now).refusal.code == "op_id_reused"


def test_a_foreign_world_cannot_trade_what_it_does_not_hold(two, borealis, now):
    rowan, sorrel = two
    rowan.operator = borealis
    assert refused(rowan, a_trade(rowan, sorrel), now).refusal.code == "stale"


def test_a_suspended_world_trades_nothing(two, now):
    rowan, sorrel = two
    World.objects.filter(slug="aurora").update(suspended_at=now)
    assert refused(rowan, a_trade(rowan, sorrel), now).refusal.code == "world_suspended"


def test_main_and_a_fork_do_not_trade(play, two, wilds, alice, bob, friend, now):
    """A world whose tier was raised may hold both: the fork from before, and main."""
    rowan, _ = two
    on_fork = play(wilds, bob, friend)
    World.objects.filter(slug="wilds").update(tier="official")
    wilds.world.refresh_from_db()
    rowan.operator.world.refresh_from_db()
    assert on_fork.lease.line_kind == "fork"
    third = create_character(account=alice, name="Tansy", by=alice, now=now)
    on_main = play(wilds, alice, third)
    assert on_main.lease.line_kind == "main"
    request = IncomingExchange(uuid4(), [on_main.write(on_main.having()), on_fork.write(on_fork.state)])
    assert refused(on_main, request, now).refusal.code == "other_line"


def test_forks_of_one_world_trade_among_themselves(play, wilds, alice, bob, hero, friend, now):
    rowan, sorrel = play(wilds, alice, hero), play(wilds, bob, friend)
    equip(rowan, rowan.having(COIN, ROPE, money=100), now)
    equip(sorrel, sorrel.having(money=50), now)
    mains = sorted(Line.objects.filter(world=None).values_list("id", "version"))
    assert carry(rowan, a_trade(rowan, sorrel), now).refusal is None
    assert Valuable.objects.get(thing=COIN.id, world=wilds.world).line_id == sorrel.lease.line
    assert sorted(Line.objects.filter(world=None).values_list("id", "version")) == mains


def test_on_forks_too_nobody_trades_what_another_fork_has(play, two, wilds, alice, bob, hero, friend, now):
    """Rowan's fork is from before the gem went to Sorrel on main, whose fork has it now."""
    rowan, sorrel = two
    fork = play(wilds, alice, hero)
    request = a_trade(rowan, sorrel)
    answer = carry(rowan, request, now)
    sorrel.took(answer.results[1], sorrel.having(COIN, Item("rope", 1), money=20))
    new_fork = play(wilds, bob, friend)
    assert Valuable.objects.get(thing=COIN.id, world=wilds.world).line_id == new_fork.lease.line
    has = new_fork.state.bags["inventory"]
    writes = [
        fork.write(fork.having(ROPE, Item("rope", 1), money=100)),
        new_fork.write(new_fork.having(COIN, money=20)),
    ]
    assert refused(fork, IncomingExchange(uuid4(), writes), now).refusal.code == "not_conserved"
    third = play(wilds, alice, create_character(account=alice, name="Tansy", by=alice, now=now))
    writes = [fork.write(fork.having(ROPE, money=100)), third.write(third.having(COIN))]
    answer = refused(fork, IncomingExchange(uuid4(), writes), now)
    assert answer.refusal.code == "foreign_valuable" and COIN in has


def test_a_head_that_cannot_be_read_is_refused_by_name(two, now):
    rowan, sorrel = two
    Line.objects.filter(id=sorrel.lease.line).update(state=b'{"schema":0}')
    answer = refused(rowan, a_trade(rowan, sorrel), now)
    assert (answer.refusal.code, answer.line) == ("invalid_state", sorrel.lease.line)
    Line.objects.filter(id=sorrel.lease.line).update(state=encode_state(sorrel.state))


def test_if_the_world_is_limited_both_writes_fall(two, now):
    rowan, sorrel = two
    World.objects.filter(slug="aurora").update(limited_at=now)
    rowan.operator.world.refresh_from_db()
    request = a_trade(rowan, sorrel)
    answer = carry(rowan, request, now)
    assert [saved.forked.reason for saved in answer.results] == ["limited", "limited"]
    forks = Line.objects.filter(world__slug="aurora")
    assert {fork.exchange for fork in forks} == {request.id}
    assert all(line.exchange is None for line in Line.objects.filter(world=None))
    owner = Valuable.objects.get(thing=COIN.id, world__slug="aurora").line
    assert owner.character_id == sorrel.character
    assert Valuable.objects.get(thing=COIN.id, world=None).line_id == rowan.lease.line
    again = carry(rowan, request, now)
    assert [saved.forked for saved in again.results] == [saved.forked for saved in answer.results]


def test_whose_lease_fell_takes_nobody_off_main(play, aurora, alice, bob, hero, friend, now):
    """Sorrel's lease fell while the world was limited; then the limit was lifted; Rowan has main."""
    sorrel = play(aurora, bob, friend)
    World.objects.filter(slug="aurora").update(limited_at=now)
    aurora.world.refresh_from_db()
    equip(sorrel, sorrel.having(money=50), now)
    World.objects.filter(slug="aurora").update(limited_at=None)
    aurora.world.refresh_from_db()
    rowan = play(aurora, alice, hero)
    assert rowan.lease.line_kind == "main"
    equip(rowan, rowan.having(COIN, ROPE, money=100), now)
    assert refused(rowan, a_trade(rowan, sorrel), now).refusal.code == "other_line"
    assert not Line.objects.filter(character=rowan.character, world=aurora.world).exists()


@pytest.fixture
def poor(play, make_operator, alice, bob, hero, friend, now):
    """The two in a verified world that may give a character no more than 40 coins and a gem an hour."""
    lantern = make_operator("lantern", tier="verified")
    rowan, sorrel = play(lantern, alice, hero), play(lantern, bob, friend)
    equip(rowan, rowan.having(COIN, ROPE, money=100), now)
    equip(sorrel, sorrel.having(money=50), now)
    Gain.objects.all().delete()
    WorldBudget.objects.create(world=lantern.world, money_hour=40, valuables_hour=1)
    return rowan, sorrel


def test_a_trade_counts_what_each_side_gains(poor, now):
    rowan, sorrel = poor
    first = carry(rowan, a_trade(rowan, sorrel), now)
    assert [saved.forked for saved in first.results] == [None, None]
    gains = {row.line_id: (row.money, row.valuables, row.items) for row in Gain.objects.all()}
    assert gains == {rowan.lease.line: (30, 0, 0), sorrel.lease.line: (0, 1, 1)}


def for_coins(rowan, sorrel, coins):
    """Sorrel gives Rowan coins for nothing."""
    get = rowan.having(COIN, ROPE, money=100 + coins)
    return IncomingExchange(uuid4(), [rowan.write(get), sorrel.write(sorrel.having(money=50 - coins))])


def test_if_one_side_is_over_the_budget_the_trade_is_refused_and_both_stay_on_main(poor, now):
    rowan, sorrel = poor
    answer = refused(rowan, for_coins(rowan, sorrel, 41), now)
    assert (answer.refusal.code, answer.line) == ("over_budget", rowan.lease.line)
    assert not Gain.objects.exists() and not Fall.objects.exists()
    assert not Line.objects.filter(world__slug="lantern").exists()
    request = for_coins(rowan, sorrel, 40)
    assert carry(rowan, request, now).refusal is None
    assert Gain.objects.get().money == 40
    assert carry(rowan, request, now).refusal is None, "a repeat is over no budget"


def test_what_is_refused_for_another_reason_is_not_weighed(poor, now, caplog):
    rowan, sorrel = poor
    request = for_coins(rowan, sorrel, 41)
    late = msgspec.structs.replace(request.writes[1], version=1)
    answer = refused(rowan, IncomingExchange(request.id, [request.writes[0], late]), now)
    assert answer.refusal.code == "stale"
    assert "over_budget" not in caplog.text


def test_a_limited_verified_world_makes_both_fall_whatever_they_gain(poor, now):
    rowan, sorrel = poor
    World.objects.filter(slug="lantern").update(limited_at=now)
    rowan.operator.world.refresh_from_db()
    answer = carry(rowan, for_coins(rowan, sorrel, 41), now)
    assert [saved.forked.reason for saved in answer.results] == ["limited", "limited"]
    assert not Gain.objects.exists()


def test_what_lay_in_a_letter_counts_against_no_budget(poor, now):
    rowan, sorrel = poor
    carry(rowan, a_letter(rowan, COIN, money=90), now)
    answer = carry(sorrel, a_taking(sorrel, Letter.objects.get().id, COIN, money=90), now)
    assert answer.results[0].forked is None
    assert not Gain.objects.exists()


# ---------------------------------------------------------------- shapes


def test_what_is_no_exchange_at_all_is_a_bad_request(two, now):
    rowan, sorrel = two
    good = a_trade(rowan, sorrel)
    one, other = good.writes
    letter = messages.Letter(uuid4(), rowan.ref, "Sorrel", "Hello")
    gift = msgspec.structs.replace(letter, goods=Goods(money=1))
    shapes = [
        IncomingExchange(uuid4(), []),
        IncomingExchange(uuid4(), [one]),
        IncomingExchange(uuid4(), [one, one]),
        IncomingExchange(uuid4(), [one, msgspec.structs.replace(other, kind="item")]),
        IncomingExchange(uuid4(), [one, msgspec.structs.replace(other, op_id=one.op_id)]),
        IncomingExchange(uuid4(), [one, other], post=letter),
        IncomingExchange(uuid4(), [one], post=letter),
        IncomingExchange(uuid4(), [], post=gift),
        IncomingExchange(uuid4(), [one], post=gift),
        IncomingExchange(uuid4(), [sorrel.write(sorrel.state, kind="mail")], post=gift),
        IncomingExchange(uuid4(), [], take=messages.Taking(uuid4(), rowan.ref)),
        IncomingExchange(uuid4(), [], post=letter, take=messages.Taking(uuid4(), rowan.ref)),
        IncomingExchange(uuid4(), [], post=msgspec.structs.replace(letter, subject="a\x1b[2J")),
        IncomingExchange(uuid4(), [], post=msgspec.structs.replace(letter, text="\x00")),
        IncomingExchange(uuid4(), [], post=msgspec.structs.replace(letter, subject="  ")),
    ]
    before = everything()
    for number, shape in enumerate(shapes):
        with pytest.raises(Refused) as caught:
            carry(rowan, shape, now)
        assert caught.value.refusal.code == "bad_request", number
    assert everything() == before


# ---------------------------------------------------------------- letters


def test_goods_go_by_letter_once(two, now):
    rowan, sorrel = two
    posting = a_letter(rowan, COIN, money=10)
    answer = carry(rowan, posting, now)
    assert answer.refusal is None
    letter = Letter.objects.get()
    assert (letter.money, letter.exchange, letter.posted_at) == (10, posting.id, now)
    assert Valuable.objects.get(thing=COIN.id, world=None).letter_id == letter.id
    carry(rowan, posting, now)  # again
    assert Letter.objects.count() == 1
    (received,) = mailbox(sorrel, now).letters
    assert (received.sender, received.world, received.is_new) == ("Rowan", "Aurora", True)
    assert received.goods == Goods([COIN], 10)
    assert mailbox(sorrel, now).letters[0].is_new is False

    taking = a_taking(sorrel, letter.id, COIN, money=10)
    first = carry(sorrel, taking, now)
    assert first.refusal is None
    assert carry(sorrel, taking, now).results[0].version == first.results[0].version
    assert Valuable.objects.get(thing=COIN.id, world=None).line_id == sorrel.lease.line
    letter.refresh_from_db()
    assert (letter.taken_at, letter.taken_exchange, letter.money) == (now, taking.id, 10)
    assert mailbox(sorrel, now).letters[0].goods == Goods()
    sorrel.took(first.results[0], sorrel.having(COIN, money=60))
    assert refused(sorrel, a_taking(sorrel, letter.id, money=10), now).refusal.code == "unknown_letter"


def test_a_letter_without_goods_changes_no_line(two, now):
    rowan, sorrel = two
    request = a_letter(rowan)
    before = [sorted(Line.objects.values_list("id", "version", "exchange")), Version.objects.count()]
    assert carry(rowan, request, now) == messages.Exchanged()
    assert carry(rowan, request, now) == messages.Exchanged()
    other = msgspec.structs.replace(request, post=msgspec.structs.replace(request.post, text="Or not."))
    assert carry(rowan, other, now).refusal.code == "op_id_reused"
    assert [sorted(Line.objects.values_list("id", "version", "exchange")), Version.objects.count()] == before
    assert [letter.text for letter in mailbox(sorrel, now).letters] == ["As promised."]


def test_a_letter_is_posted_and_taken_under_a_lease(two, borealis, now):
    rowan, sorrel = two
    stale = LeaseRef(rowan.lease.line, rowan.lease.epoch - 1)
    letter = a_letter(rowan)
    late = msgspec.structs.replace(letter, post=msgspec.structs.replace(letter.post, sender=stale))
    assert refused(rowan, late, now).refusal.code == "stale"
    with pytest.raises(Refused, match="stale"):
        read_mailbox(world=borealis.world, request=messages.Mailbox(sorrel.ref), now=now)


def test_a_letter_goes_from_world_to_world_on_main(play, two, borealis, bob, friend, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan, ROPE, money=5), now)
    letter = Letter.objects.get()
    line = Line.objects.get(id=sorrel.lease.line)
    Line.objects.filter(id=line.id).update(holder=None, lease_until=None)
    there = play(borealis, bob, friend)
    assert carry(there, a_taking(there, letter.id, ROPE, money=5), now).refusal is None


def test_letters_among_forks_do_not_come_to_main(play, two, wilds, bob, alice, hero, friend, now):
    _, sorrel = two
    Line.objects.filter(holder__isnull=False, character=hero).update(holder=None, lease_until=None)
    fork = play(wilds, alice, hero)
    assert carry(fork, a_letter(fork, ROPE), now).refusal is None
    letter = Letter.objects.get()
    assert letter.world == wilds.world
    assert mailbox(sorrel, now).letters == []
    answer = refused(sorrel, a_taking(sorrel, letter.id, ROPE), now)
    assert answer.refusal.code == "other_line"


def test_what_lies_in_a_letter_does_not_fall_to_a_fork(two, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan, ROPE), now)
    World.objects.filter(slug="aurora").update(limited_at=now)
    rowan.operator.world.refresh_from_db()
    answer = refused(sorrel, a_taking(sorrel, Letter.objects.get().id, ROPE), now)
    assert answer.refusal.code == "other_line"


def test_only_the_recipient_takes(play, two, aurora, mallory, now):
    rowan, _ = two
    carry(rowan, a_letter(rowan, ROPE), now)
    thief = create_character(account=mallory, name="Yarrow", by=mallory, now=now)
    thief = play(aurora, mallory, thief)
    letter = Letter.objects.get().id
    assert refused(thief, a_taking(thief, letter, ROPE), now).refusal.code == "unknown_letter"
    assert refused(thief, a_taking(thief, uuid4(), ROPE), now).refusal.code == "unknown_letter"


def test_of_a_letter_all_is_taken_and_no_more(two, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan, ROPE, money=5), now)
    letter = Letter.objects.get().id
    for taking in (
        a_taking(sorrel, letter, ROPE),
        a_taking(sorrel, letter, ROPE, money=6),
        a_taking(sorrel, letter, Item("rope", 4), money=5),
    ):
        assert refused(sorrel, taking, now).refusal.code == "not_conserved"


def test_what_is_posted_is_gone_from_the_sender(two, now):
    rowan, _ = two
    good = a_letter(rowan, COIN, money=10)
    greedy = msgspec.structs.replace(good, writes=[rowan.write(rowan.state, kind="mail")])
    assert refused(rowan, greedy, now).refusal.code == "not_conserved"


@pytest.mark.parametrize("name", ["Nobody", "Rowan", "rowan", "Gone", "", " "])
def test_a_letter_needs_somebody_else_to_go_to(two, mallory, now, name):
    gone = create_character(account=mallory, name="Gone", by=mallory, now=now)
    gone.deleted_at = now
    gone.save(update_fields=["deleted_at"])
    rowan, _ = two
    assert refused(rowan, a_letter(rowan, COIN, to=name), now).refusal.code == "unknown_recipient"


def test_a_name_that_looks_alike_is_the_same_recipient(two, now):
    rowan, _ = two
    assert carry(rowan, a_letter(rowan, to="sоrreI"), now).refusal is None  # a Cyrillic о, a capital i
    assert Letter.objects.get().recipient.name == "Sorrel"


def test_a_mailbox_holds_fifty_letters_with_goods(two, friend, aurora, now):
    rowan, sorrel = two
    Letter.objects.bulk_create(
        Letter(
            id=uuid4(), sender=friend, recipient=friend, posted_by=aurora.world, subject=str(number), money=1,
            posted_at=now, digest=bytes(32),
        )
        for number in range(50)
    )  # fmt: skip
    assert refused(rowan, a_letter(rowan, ROPE), now).refusal.code == "mailbox_full"
    assert carry(rowan, a_letter(rowan), now).refusal is None
    shown = mailbox(sorrel, now)
    assert (len(shown.letters), shown.more) == (51, 0)
    Letter.objects.all().delete()  # these coins came from nowhere


def test_a_mailbox_holds_ten_letters_of_one_sender(two, play, aurora, make_account, now):
    rowan, sorrel = two
    letters = [a_letter(rowan) for _ in range(9)]
    for request in letters:
        assert carry(rowan, request, now).refusal is None
    posting = a_letter(rowan, ROPE)
    rowan.took(carry(rowan, posting, now).results[0], rowan.having(COIN, money=100))
    for request in (a_letter(rowan), a_letter(rowan, COIN)):
        assert refused(rowan, request, now).refusal.code == "mailbox_full"
    carol = make_account("carol")
    tansy = play(aurora, carol, create_character(account=carol, name="Tansy", by=carol, now=now))
    assert carry(tansy, a_letter(tansy), now).refusal is None, "there is room for others"
    assert carry(rowan, a_letter(rowan, to="Tansy"), now).refusal is None, "and elsewhere"
    carry(sorrel, a_taking(sorrel, posting.post.id, ROPE), now)
    assert carry(rowan, a_letter(rowan), now).refusal is None, "one was emptied"
    assert refused(rowan, a_letter(rowan), now).refusal.code == "mailbox_full"
    mailbox(sorrel, now, discard=[letters[0].post.id])
    assert carry(rowan, a_letter(rowan), now).refusal is None, "one was thrown away"


def test_what_came_back_is_not_counted_against_who_did_not_take_it(two, friend, hero, aurora, now):
    _, sorrel = two
    Letter.objects.bulk_create(
        Letter(
            id=uuid4(), sender=friend, recipient=hero, posted_by=aurora.world, subject=str(number),
            posted_at=now, returned_at=now, digest=bytes(32),
        )
        for number in range(10)
    )  # fmt: skip
    assert carry(sorrel, a_letter(sorrel, to="Rowan"), now).refusal is None


def test_emptied_letters_leave_room_for_words(two, friend, hero, aurora, now):
    rowan, _ = two
    Letter.objects.bulk_create(
        Letter(
            id=uuid4(), sender=hero, recipient=friend, posted_by=aurora.world, subject=str(number),
            posted_at=now, taken_at=now, digest=bytes(32),
        )
        for number in range(200)
    )  # fmt: skip
    assert carry(rowan, a_letter(rowan), now).refusal is None
    Letter.objects.filter(taken_at=now).delete()  # nobody took anything


def test_goods_are_shown_however_many_words_came_since(two, friend, hero, aurora, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan, ROPE), now)
    Letter.objects.bulk_create(
        Letter(
            id=uuid4(), sender=hero, recipient=friend, posted_by=aurora.world, subject=str(number),
            posted_at=now + timedelta(seconds=1 + number), digest=bytes(32),
        )
        for number in range(60)
    )  # fmt: skip
    shown = mailbox(sorrel, now)
    assert (len(shown.letters), shown.more) == (51, 10)
    assert shown.letters[-1].goods == Goods([ROPE])


def test_a_mailbox_holds_two_hundred_letters_without_goods(two, friend, aurora, now):
    rowan, _ = two
    Letter.objects.bulk_create(
        Letter(
            id=uuid4(), sender=friend, recipient=friend, posted_by=aurora.world, subject=str(number),
            posted_at=now, digest=bytes(32),
        )
        for number in range(200)
    )  # fmt: skip
    assert refused(rowan, a_letter(rowan), now).refusal.code == "mailbox_full"
    assert carry(rowan, a_letter(rowan, ROPE), now).refusal is None


def test_only_empty_letters_of_ones_own_are_thrown_away(two, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan), now)
    plain = Letter.objects.get().id
    carry(rowan, a_letter(rowan, ROPE), now)
    full = Letter.objects.exclude(id=plain).get().id
    assert mailbox(rowan, now, discard=[plain, full]).letters == []
    assert {letter.id for letter in mailbox(sorrel, now, discard=[full, uuid4()]).letters} == {plain, full}
    assert [letter.id for letter in mailbox(sorrel, now, discard=[plain, full]).letters] == [full]


def test_a_letter_posted_again_by_another_write_is_another_letter(two, now):
    rowan, _ = two
    request = a_letter(rowan, money=10)
    answer = carry(rowan, request, now)
    assert carry(rowan, request, now).results == answer.results
    rowan.took(answer.results[0], rowan.having(COIN, ROPE, money=90))
    write = rowan.write(rowan.having(COIN, ROPE, money=80), kind="mail")
    again = IncomingExchange(request.id, [write], post=request.post)
    assert refused(rowan, again, now).refusal.code == "op_id_reused"


def test_a_world_hears_of_new_letters_with_its_next_report(two, now):
    rowan, sorrel = two
    report = messages.Report("ws://127.0.0.1:1/", now, [])
    carry(rowan, a_letter(rowan), now)
    told = receive_report(world=rowan.operator.world, report=report, now=now)
    assert told.letters == [sorrel.character]
    mailbox(sorrel, now)
    assert receive_report(world=rowan.operator.world, report=report, now=now).letters == []


# ---------------------------------------------------------------- time


def test_goods_that_nobody_takes_go_back_once(two, now):
    rowan, sorrel = two
    answer = carry(rowan, a_letter(rowan, COIN, money=10), now)
    rowan.took(answer.results[0], rowan.having(ROPE, money=90))
    carry(rowan, a_letter(rowan), now)
    assert return_letters(now=now + timedelta(days=29)) == 0
    late = now + timedelta(days=31)
    assert return_letters(now=late) == 1
    assert return_letters(now=late + timedelta(days=60)) == 0
    (back,) = mailbox(rowan, late).letters
    assert (back.sender, back.is_returned, back.is_new) == ("Sorrel", True, True)
    letter = Letter.objects.get(returned_at__isnull=False)
    answer = refused(sorrel, a_taking(sorrel, letter.id, COIN, money=10), late)
    assert answer.refusal.code == "unknown_letter"
    assert carry(rowan, a_taking(rowan, letter.id, COIN, money=10), late).refusal is None
    assert Valuable.objects.get(thing=COIN.id, world=None).line_id == rowan.lease.line


def test_letters_in_which_nothing_lies_are_thrown_away_after_ninety_days(two, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan), now)
    answer = carry(rowan, a_letter(rowan, ROPE), now)
    rowan.took(answer.results[0], rowan.having(COIN, money=100))
    emptied = Letter.objects.exclude(items=[]).get().id
    carry(sorrel, a_taking(sorrel, emptied, ROPE), now)
    carry(rowan, a_letter(rowan, COIN), now)
    full = Letter.objects.get(items__0__kind="gem").id
    assert discard_letters(now=now + timedelta(days=89)) == 0
    assert discard_letters(now=now + timedelta(days=91)) == 2
    assert set(Letter.objects.values_list("id", flat=True)) == {emptied, full}
    assert [letter.id for letter in mailbox(sorrel, now).letters] == [full]
    row = Letter.objects.get(id=emptied)
    assert (row.text, row.items[0]["kind"]) == ("", "rope")  # what went which way is still there


def test_what_a_player_has_thrown_away_loses_its_words_too(two, now):
    rowan, sorrel = two
    rowan.took(carry(rowan, a_letter(rowan, ROPE), now).results[0], rowan.having(COIN, money=100))
    letter = Letter.objects.get().id
    carry(sorrel, a_taking(sorrel, letter, ROPE), now)
    mailbox(sorrel, now, discard=[letter])
    assert discard_letters(now=now + timedelta(days=91)) == 1
    assert discard_letters(now=now + timedelta(days=92)) == 0
    row = Letter.objects.get()
    assert (row.text, row.discarded_at) == ("", now)


def test_nothing_goes_back_while_the_master_collects_who_has_taken_it(two, now):
    rowan, _ = two
    carry(rowan, a_letter(rowan), now)
    carry(rowan, a_letter(rowan, ROPE), now)
    Letter.objects.update(posted_at=now - timedelta(days=91))
    begin_restore(reason="test", now=now)
    before = everything()
    tasks.return_goods()
    tasks.discard_old_letters()
    assert everything() == before
    finish_restore(now=now)
    tasks.return_goods()
    tasks.discard_old_letters()
    assert Letter.objects.get().returned_at is not None
    Letter.objects.update(posted_at=now)  # as its version has it


# ---------------------------------------------------------------- trade stops


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_stop_of_everything(two, aurora, make_account, now, everywhere):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan), now)
    staff = make_account("carol", staff=True)
    where = None if everywhere else aurora.world
    stop = stop_trade(world=where, item_kind="", by=staff, reason="coins from nowhere", now=now)
    for request in (a_trade(rowan, sorrel), a_letter(rowan, COIN), a_letter(rowan)):
        assert refused(rowan, request, now).refusal.code == "trade_off"
    report = messages.Report("ws://127.0.0.1:1/", now, [])
    assert receive_report(world=aurora.world, report=report, now=now).is_trade_off
    assert len(mailbox(sorrel, now).letters) == 1
    with pytest.raises(CannotStop):
        stop_trade(world=where, item_kind="", by=staff, reason="again", now=now)
    resume_trade(stop=stop, by=staff, reason="found it", now=now)
    assert carry(rowan, a_trade(rowan, sorrel), now).refusal is None


def test_a_stop_of_one_kind_names_it_and_stops_no_other(two, aurora, borealis, now):
    rowan, sorrel = two
    TradeStop.objects.create(world=aurora.world, item_kind="gem", reason="doubled")
    TradeStop.objects.create(world=borealis.world, item_kind="rope", reason="elsewhere")
    answer = refused(rowan, a_trade(rowan, sorrel), now)
    assert answer.refusal.code == "trade_off" and "'gem'" in answer.refusal.detail
    assert refused(rowan, a_letter(rowan, COIN), now).refusal.code == "trade_off"
    report = messages.Report("ws://127.0.0.1:1/", now, [])
    told = receive_report(world=aurora.world, report=report, now=now)
    assert (told.is_trade_off, told.kinds_off) == (False, ["gem"])
    assert carry(rowan, a_letter(rowan, ROPE), now).refusal is None


def test_tasks_do_it_and_beat_knows_them(two, now):
    rowan, _ = two
    carry(rowan, a_letter(rowan), now)
    carry(rowan, a_letter(rowan, ROPE), now)
    Letter.objects.update(posted_at=now - timedelta(days=91))
    tasks.return_goods()
    tasks.discard_old_letters()
    (letter,) = Letter.objects.all()
    assert (letter.recipient_id, letter.returned_at is None) == (rowan.character, False)
    known = {entry["task"] for entry in tasks.BEAT_SCHEDULE.values()}
    assert {tasks.return_goods.name, tasks.discard_old_letters.name} <= known
    Letter.objects.update(posted_at=now)  # as its version has it
