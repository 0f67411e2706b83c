"""What counts as a gain, and when a budget is used up."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from characters.budgets import (
    DEFAULTS,
    XP_OF_A_LEVEL,
    Gain,
    Limits,
    added,
    first_hour_of_day,
    gain_of,
    hour_of,
    over,
)
from zonecluster.protocol.character import CharacterState, Item

LIMITS = Limits(hour=Gain(100, 100, 1, 10), day=Gain(300, 300, 2, 20))


def state(*, xp=0, level=1, money=0, **bags):
    return CharacterState(attributes={"xp": xp, "level": level}, money=money, bags=bags)


def test_each_kind_of_gain_is_counted():
    crown = Item("crown", 1, UUID(int=1))
    before = state(xp=5, money=10, inventory=[Item("bread", 2)])
    after = state(xp=7, level=2, money=15, inventory=[Item("bread", 4), crown], bank=[Item("rope", 3)])
    assert gain_of(before, after) == Gain(xp=2 + XP_OF_A_LEVEL, money=5, valuables=1, items=5)
    assert not gain_of(after, before)  # losses are no gains


def test_moving_between_bags_is_no_gain():
    things = [Item("bread", 2), Item("crown", 1, UUID(int=1))]
    assert not gain_of(state(inventory=things), state(bank=list(reversed(things))))
    split = [Item("bread", 1), things[1]]
    assert not gain_of(state(inventory=things), state(inventory=split, bank=[Item("bread", 1)]))


def test_another_thing_of_the_same_kind_is_a_gain():
    before, after = (state(inventory=[Item("crown", 1, UUID(int=n))]) for n in (1, 2))
    assert gain_of(before, after) == Gain(valuables=1)


def test_a_document_without_attributes_counts_as_new():
    assert gain_of(CharacterState(), state(xp=0, level=1)) == Gain()
    assert gain_of(CharacterState(attributes={"xp": -50}), state(xp=10)) == Gain(xp=60)


def test_what_was_taken_away_before_makes_no_room():
    """A world that lowers and raises has gained what it raised."""
    rich, poor = state(money=100), state(money=0)
    spent = added([gain_of(poor, rich), gain_of(rich, poor), gain_of(poor, rich)])
    assert spent == Gain(money=200)


def test_a_budget_is_over_by_one():
    for field in fields(Gain):
        for name in ("hour", "day"):
            most = getattr(getattr(LIMITS, name), field.name)
            spent = replace(Gain(), **{field.name: most - 1})
            one, two = (replace(Gain(), **{field.name: n}) for n in (1, 2))
            hour, day = (spent, Gain()) if name == "hour" else (Gain(), spent)
            limits = replace(LIMITS, hour=Gain(9**9, 9**9, 9**9, 9**9)) if name == "day" else LIMITS
            assert over(hour, day, one, limits) == ""
            assert over(hour, day, two, limits) == f"{field.name} per {name}"


def test_who_gains_nothing_is_never_over():
    much = Gain(10**9, 10**9, 10**9, 10**9)
    assert over(much, much, Gain(), LIMITS) == ""
    assert over(much, Gain(), Gain(money=1), replace(LIMITS, hour=Gain())) == "money per hour"


def test_hours_and_days():
    at = datetime(2026, 3, 1, 0, 59, 59, tzinfo=UTC)
    assert hour_of(at) == datetime(2026, 3, 1, 0, tzinfo=UTC)
    assert first_hour_of_day(at) == datetime(2026, 2, 28, 1, tzinfo=UTC)
    assert hour_of(at + timedelta(seconds=1)) - first_hour_of_day(at) == timedelta(hours=24)


def test_gains_add_up():
    rng = Random(1)
    rows = [Gain(*(rng.randrange(100) for _ in range(4))) for _ in range(30)]
    assert added(rows) == Gain(*(sum(column) for column in zip(*map(vars_of, rows), strict=True)))
    assert added([]) == Gain()


def vars_of(gain):
    return (gain.xp, gain.money, gain.valuables, gain.items)


def test_a_day_has_room_for_more_than_an_hour():
    for field in fields(Gain):
        assert 0 < getattr(DEFAULTS.hour, field.name) < getattr(DEFAULTS.day, field.name)
