"""The ledger of the rounds: told as done is done, told as not done is not, the rest wholly or not at all."""

from collections import Counter

import pytest

from tests.killing.ledger import LETTERS, Deal, DoesNotAddUp, Ledger, Outcome

ALICE, BOB = "Alice", "Bob"


def a_ledger(*deals):
    ledger = Ledger({ALICE: Counter(coins=10), BOB: Counter(moss=3), LETTERS: Counter()})
    for deal in deals:
        ledger.note(deal)
    return ledger


def a_trade(outcome, *, coins=4, moss=1, number=1):
    changes = {ALICE: {"coins": -coins, "moss": moss}, BOB: {"coins": coins, "moss": -moss}}
    return Deal("a trade", changes, outcome, round=number)


def everybody(alice, bob, letters=()):
    return {ALICE: Counter(alice), BOB: Counter(bob), LETTERS: Counter(letters)}


BEFORE = everybody({"coins": 10}, {"moss": 3})
AFTER = everybody({"coins": 6, "moss": 1}, {"coins": 4, "moss": 2})
HALF = everybody({"coins": 10}, {"coins": 4, "moss": 2})


@pytest.mark.parametrize(
    ("outcome", "actual", "adds_up"),
    [
        (Outcome.DONE, AFTER, True),
        (Outcome.DONE, BEFORE, False),
        (Outcome.DONE, HALF, False),
        (Outcome.NOT_DONE, BEFORE, True),
        (Outcome.NOT_DONE, AFTER, False),
        (Outcome.UNKNOWN, BEFORE, True),
        (Outcome.UNKNOWN, AFTER, True),
        (Outcome.UNKNOWN, HALF, False),
    ],
)
def test_a_trade_is_as_its_players_were_told(outcome, actual, adds_up):
    ledger = a_ledger(a_trade(outcome))
    if not adds_up:
        with pytest.raises(DoesNotAddUp, match="Alice|Bob"):
            ledger.settle(actual, 1)
        return
    counts = ledger.settle(actual, 1)
    assert counts[outcome.value] == 1
    assert counts["done after all"] == (outcome is Outcome.UNKNOWN and actual == AFTER)
    assert ledger.known == actual


def test_some_of_several_unanswered_deals_happened():
    post = Deal("a letter", {BOB: {"moss": -2}, LETTERS: {"moss": 2}}, round=1)
    ledger = a_ledger(a_trade(Outcome.UNKNOWN), post, a_trade(Outcome.UNKNOWN, coins=3))
    actual = everybody({"coins": 7, "moss": 1}, {"coins": 3}, {"moss": 2})
    assert ledger.settle(actual, 1)["done after all"] == 2


def test_nothing_comes_out_of_nothing_and_nothing_vanishes():
    for actual in (everybody({"coins": 11}, {"moss": 3}), everybody({"coins": 10}, {"moss": 2})):
        with pytest.raises(DoesNotAddUp):
            a_ledger().settle(actual, 1)


def test_what_was_on_its_way_may_arrive_one_round_later_but_not_twice():
    ledger = a_ledger(a_trade(Outcome.UNKNOWN))
    ledger.settle(BEFORE, 1)
    assert ledger.settle(AFTER, 2)["done after all"] == 1
    twice = everybody({"coins": 2, "moss": 2}, {"coins": 8, "moss": 1})
    with pytest.raises(DoesNotAddUp):
        ledger.settle(twice, 3)


def test_after_one_round_more_it_is_over():
    ledger = a_ledger(a_trade(Outcome.UNKNOWN))
    ledger.settle(BEFORE, 1)
    ledger.settle(BEFORE, 2)
    with pytest.raises(DoesNotAddUp):
        ledger.settle(AFTER, 3)


@pytest.mark.parametrize("is_lost", [False, True])
def test_dozens_of_unanswered_deals_are_sorted_out(is_lost):
    """As after a stop of minutes: every other one happened; or they did, and a coin is missing."""
    people = [f"person {number}" for number in range(8)]
    ledger = Ledger({name: Counter(coins=1000) for name in people} | {LETTERS: Counter()})
    actual = {name: Counter(goods) for name, goods in ledger.known.items()}
    for number in range(60):
        one, other = people[number % 8], (people[(number * 5 + 1) % 8] if number % 3 else LETTERS)
        changes = {one: {"coins": -number - 1}, other: {"coins": number + 1}}
        ledger.note(Deal(f"deal {number}", changes, round=1))
        for owner, change in changes.items() if number % 2 else ():
            actual[owner].update(change)
    if is_lost:
        actual["person 3"]["moss"] -= 1
        with pytest.raises(DoesNotAddUp, match="person 3 has -1 moss"):
            ledger.settle(actual, 1)
    else:
        assert ledger.settle(actual, 1)["done after all"] > 0
