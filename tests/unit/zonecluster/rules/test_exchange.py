"""Goods out of one document and into another: what two had, two have, and no bag grows over its limit."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.zonecluster.rules.test_inventory import (
    CROWN,
    IDS,
    KINDS,
    SLUGS,
    all_of,
    documents,
    is_within,
    of,
    refused,
)
from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules.exchange import MOST_STACKS, Goods, goods_of, with_goods, without, without_and_with
from zonecluster.rules.items import BANK, INVENTORY, MAX_COUNT, MAX_MONEY, NotPossible

BREAD = Goods((Item("bread", 5),))


# ---------------------------------------------------------------- what each does


def test_goods_leave_one_and_reach_the_other():
    alice = of(Item("bread", 7), Item("crown", 1, CROWN), money=10)
    goods = Goods((Item("bread", 5), Item("crown", 1, CROWN)), 4)
    left = without(alice, goods)
    assert left.bags[INVENTORY] == [Item("bread", 2)] and left.money == 6
    bob = with_goods(of(Item("bread", 18)), goods, KINDS)
    assert bob.bags[INVENTORY] == [Item("bread", 20), Item("bread", 3), Item("crown", 1, CROWN)]
    assert bob.money == 4


def test_what_is_given_makes_room():
    full = of(*[Item("lamp")] * 24)
    refused("bag_full", with_goods, full, BREAD, KINDS)
    after = without_and_with(full, Goods((Item("lamp"),)), BREAD, KINDS)
    assert after.bags[INVENTORY][-1] == Item("bread", 5) and len(after.bags[INVENTORY]) == 24


@pytest.mark.parametrize(
    ("state", "goods", "why"),
    [
        (of(Item("bread", 4)), BREAD, "not_there"),
        (CharacterState(bags={BANK: [Item("bread", 9)]}), BREAD, "not_there"),  # the bank stays out of it
        (of(Item("crown", 1, UUID(int=8))), Goods((Item("crown", 1, CROWN),)), "not_there"),
        (of(Item("crown", 1, CROWN)), Goods((Item("crown", 1, CROWN),) * 2), "not_there"),
        (of(money=3), Goods(money=4), "not_enough_money"),
        (of(money=3), Goods(money=-1), "bad_amount"),
    ],
)
def test_what_is_not_there_is_not_given(state, goods, why):
    refused(why, without, state, goods)


@pytest.mark.parametrize(
    ("state", "goods", "why"),
    [
        (of(), Goods((Item("ghost", 1),)), "unknown_kind"),
        (of(), Goods((Item("crown", 1),)), "needs_id"),
        (of(), Goods((Item("lamp", 1, CROWN),)), "needs_id"),
        (of(Item("crown", 1, CROWN)), Goods((Item("crown", 1, CROWN),)), "id_taken"),
        (of(money=MAX_MONEY), Goods(money=1), "too_much_money"),
    ],
)
def test_what_cannot_be_there_is_not_got(state, goods, why):
    refused(why, with_goods, state, goods, KINDS)


def test_an_offer_is_put_in_order():
    offered = [("bread", 2, None), ("crown", 1, CROWN), ("bread", 3, None)]
    assert goods_of(offered, 7, KINDS) == Goods((Item("bread", 5), Item("crown", 1, CROWN)), 7)
    assert goods_of([], 0, KINDS).is_nothing and not BREAD.is_nothing


@pytest.mark.parametrize(
    ("items", "money", "why"),
    [
        ([("ghost", 1, None)], 0, "unknown_kind"),
        ([("bread", 0, None)], 0, "bad_count"),
        ([("bread", MAX_COUNT, None), ("bread", 1, None)], 0, "bad_count"),
        ([("crown", 1, None)], 0, "needs_id"),
        ([("bread", 1, CROWN)], 0, "needs_id"),
        ([("crown", 2, CROWN)], 0, "bad_count"),
        ([("crown", 1, CROWN), ("crown", 1, CROWN)], 0, "bad_count"),
        ([("crown", 1, UUID(int=n)) for n in range(MOST_STACKS + 1)], 0, "too_much"),
        ([], -1, "bad_amount"),
        ([], MAX_MONEY + 1, "bad_amount"),
    ],
)
def test_an_offer_that_cannot_be_is_refused(items, money, why):
    refused(why, goods_of, items, money, KINDS)


# ---------------------------------------------------------------- what always holds

GOODS = st.builds(
    Goods,
    st.lists(
        st.builds(Item, SLUGS, st.sampled_from([1, 2, 5, 20, 33]), st.sampled_from([None, None, *IDS])),
        max_size=4,
    ).map(tuple),
    st.sampled_from([0, 0, 1, 60, MAX_MONEY]),
)


@given(documents(), documents(), GOODS, GOODS)
def test_two_have_together_what_they_had(alice, bob, hers, his):
    try:
        after = without_and_with(alice, hers, his, KINDS), without_and_with(bob, his, hers, KINDS)
    except NotPossible as refusal:
        assert refusal.why and str(refusal)
        return
    assert all_of(after[0]) + all_of(after[1]) == all_of(alice) + all_of(bob)
    assert after[0].money + after[1].money == alice.money + bob.money
    assert is_within(alice, after[0]) and is_within(bob, after[1])
    others = [
        {name: bag for name, bag in state.bags.items() if name != INVENTORY} for state in (*after, alice, bob)
    ]
    assert others[:2] == others[2:]


@given(documents(), GOODS)
def test_what_was_taken_out_goes_in_again(state, goods):
    try:
        less = without(state, goods)
        again = with_goods(less, goods, KINDS)
    except NotPossible:
        return
    assert all_of(again) == all_of(state) and again.money == state.money
