"""Requests that meet: of two exchanges, a save and an exchange, two takings, a taking and the return."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from django.db import connection, transaction

from characters.exchanges import IncomingExchange
from characters.invariants import INVARIANTS, check_invariants
from characters.letters import return_letters
from characters.models import Character, Letter, Line, Version
from characters.saves import save_batch
from characters.services import create_character
from tests.integration.characters.trading import ROPE, a_letter, a_taking, a_trade, carry, equip
from zonecluster.protocol.character import decode_state

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 4


def at_once(*calls):
    """Run calls at once, each on its own connection; return their results."""

    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def codes(answers):
    return sorted(answer.refusal.code if answer.refusal else "ok" for answer in answers)


def all_holds():
    with transaction.atomic(), connection.cursor() as cursor:
        assert check_invariants(cursor, INVARIANTS) == []


def money_in_all():
    states = [decode_state(bytes(line.state)) for line in Line.objects.filter(world=None)]
    waiting = Letter.objects.filter(taken_at=None)
    return sum(state.money for state in states) + sum(letter.money for letter in waiting)


def test_of_two_exchanges_of_the_same_lines_one_is_written(two, now):
    rowan, sorrel = two
    for number in range(ROUNDS):
        pay = rowan.having(*rowan.state.bags["inventory"], money=rowan.state.money - 1)
        get = sorrel.having(*sorrel.state.bags["inventory"], money=sorrel.state.money + 1)
        requests = []
        for backwards in (False, True):
            writes = [rowan.write(pay), sorrel.write(get)]
            requests.append(IncomingExchange(uuid4(), writes[::-1] if backwards else writes))
        answers = at_once(*[lambda request=request: carry(rowan, request, now) for request in requests])
        assert codes(answers) == ["ok", "stale"], number
        won = next(number for number, answer in enumerate(answers) if answer.refusal is None)
        results = answers[won].results[:: -1 if won else 1]
        rowan.took(results[0], pay)
        sorrel.took(results[1], get)
    assert money_in_all() == 150
    all_holds()


def test_the_same_exchange_at_once_is_written_once_and_answered_alike(two, now):
    rowan, sorrel = two
    request = a_trade(rowan, sorrel)
    answers = at_once(*[lambda: carry(rowan, request, now)] * 4)
    assert codes(answers) == ["ok"] * 4
    assert len({tuple(saved.chain for saved in answer.results) for answer in answers}) == 1
    assert Version.objects.filter(exchange=request.id).count() == 2
    all_holds()


def test_of_an_exchange_and_a_save_one_is_written(two, now):
    rowan, sorrel = two
    for number in range(2 * ROUNDS):
        pay = rowan.having(*rowan.state.bags["inventory"], money=rowan.state.money - 1)
        get = sorrel.having(*sorrel.state.bags["inventory"], money=sorrel.state.money + 1)
        trade = IncomingExchange(uuid4(), [rowan.write(pay), sorrel.write(get)])
        kept = msgspec.structs.replace(sorrel.state, skills={"mining": number})
        save = sorrel.write(kept, kind="periodic")
        calls = [
            lambda trade=trade: carry(rowan, trade, now),
            lambda save=save: save_batch(world=rowan.operator.world, saves=[save], now=now)[0],
        ]
        traded, saved = at_once(*calls)
        assert codes([traded, saved]) == ["ok", "stale"], number
        if traded.refusal is None:
            rowan.took(traded.results[0], pay)
            sorrel.took(traded.results[1], get)
        else:
            sorrel.took(saved, kept)
    assert money_in_all() == 150
    all_holds()


def test_strangers_letters_do_not_lock_whom_they_are_for(two, now):
    """Whatever holds Sorrel's character: Rowan's letters arrive. So a letter does not hold it either."""
    rowan, sorrel = two
    request = a_letter(rowan, ROPE)

    def post():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")  # instead of waiting for good
            return carry(rowan, request, now)

    with transaction.atomic():
        Character.objects.select_for_update(no_key=True).get(id=sorrel.character)
        (answer,) = at_once(post)
    assert answer.refusal is None
    assert Letter.objects.get().recipient_id == sorrel.character
    all_holds()


def test_of_two_exchanges_with_one_id_at_once_one_is_written(two, play, aurora, make_account, now):
    rowan, sorrel = two
    players = [rowan, sorrel]
    for name in ("Tansy", "Bryony"):
        account = make_account(name.lower())
        character = create_character(account=account, name=name, by=account, now=now)
        players.append(equip(play(aurora, account, character), rowan.having(money=50), now))
    shared = uuid4()
    requests = []
    for one, other in (players[:2], players[2:]):
        pay = one.having(*one.state.bags["inventory"], money=one.state.money - 1)
        get = other.having(*other.state.bags["inventory"], money=other.state.money + 1)
        requests.append(IncomingExchange(shared, [one.write(pay), other.write(get)]))
    answers = at_once(*[lambda request=request: carry(rowan, request, now) for request in requests])
    assert codes(answers) == ["ok", "op_id_reused"]
    all_holds()


def test_trades_in_a_ring_wait_for_each_other_and_all_end(two, play, aurora, make_account, now):
    """Each of three trades with the next one, at once: no line is locked by two that wait for each other."""
    carol = make_account("carol")
    third = create_character(account=carol, name="Tansy", by=carol, now=now)
    players = [*two, play(aurora, carol, third)]
    for each in players:
        equip(each, each.having(*each.state.bags.get("inventory", []), money=50), now)
    requests = []
    for one, other in zip(players, players[1:] + players[:1], strict=True):
        pay = one.having(*one.state.bags["inventory"], money=49)
        get = other.having(*other.state.bags["inventory"], money=51)
        requests.append(IncomingExchange(uuid4(), [one.write(pay), other.write(get)]))
    answers = at_once(*[lambda request=request: carry(players[0], request, now) for request in requests])
    assert codes(answers) == ["ok", "stale", "stale"]
    assert money_in_all() == 150
    all_holds()


def test_of_two_takings_of_one_letter_one_gets_it(two, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan, ROPE, money=5), now)
    letter = Letter.objects.get().id
    takings = [a_taking(sorrel, letter, ROPE, money=5) for _ in range(3)]
    answers = at_once(*[lambda taking=taking: carry(sorrel, taking, now) for taking in takings])
    assert codes(answers) == ["ok", "stale", "stale"]
    assert money_in_all() == 150
    all_holds()


def test_a_letter_is_taken_or_goes_back(two, now):
    rowan, sorrel = two
    carry(rowan, a_letter(rowan, ROPE, money=5), now)
    late = now + timedelta(days=31)
    taking = a_taking(sorrel, Letter.objects.get().id, ROPE, money=5)
    taken, *returned = at_once(
        lambda: carry(sorrel, taking, late),
        lambda: return_letters(now=late),
        lambda: return_letters(now=late),
    )
    letter = Letter.objects.get()
    if taken.refusal is None:
        assert (letter.recipient_id, letter.returned_at, returned) == (sorrel.character, None, [0, 0])
    else:
        assert taken.refusal.code == "unknown_letter"
        assert (letter.recipient_id, letter.taken_at, sorted(returned)) == (rowan.character, None, [0, 1])
    assert money_in_all() == 150
    all_holds()


def test_the_same_words_at_once_are_one_letter(two, now):
    rowan, _ = two
    request = a_letter(rowan)
    answers = at_once(*[lambda: carry(rowan, request, now)] * 4)
    assert codes(answers) == ["ok"] * 4
    assert Letter.objects.count() == 1
