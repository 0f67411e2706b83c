"""What is taken out of a chest and what stays add up to what was in it."""

from collections import Counter
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.zonecluster.rules.test_inventory import KINDS, SLUGS, all_of, documents, of
from zonecluster.protocol.character import Item
from zonecluster.rules.items import MAX_MONEY
from zonecluster.rules.looting import looted


def test_everything_goes_into_an_empty_bag():
    haul = looted(of(), [Item("bread", 25), Item("crown", 2)], 7, KINDS, uuid4)
    assert (haul.left, haul.left_coins, haul.taken_coins, haul.state.money) == ([], 0, 7, 7)
    bread, rest, *crowns = haul.state.bags["inventory"]
    assert (bread, rest) == (Item("bread", 20), Item("bread", 5))
    assert [crown.kind for crown in crowns] == ["crown", "crown"]
    assert len({crown.id for crown in crowns} - {None}) == 2


def test_what_there_is_no_room_for_stays():
    full = of(*[Item("lamp")] * 23)
    haul = looted(full, [Item("crown", 3), Item("bread", 1)], 5, KINDS, uuid4)
    assert haul.left == [Item("crown", 2), Item("bread", 1)] and haul.taken_coins == 5
    rich = looted(of(money=MAX_MONEY), [Item("bread", 1)], 5, KINDS, uuid4)
    assert (rich.taken, rich.taken_coins, rich.left_coins) == ([Item("bread", 1)], 0, 5)


def test_a_kind_that_the_world_does_not_know_stays():
    assert looted(of(), [Item("ghost", 2)], 0, KINDS, uuid4).left == [Item("ghost", 2)]


@given(documents(), st.lists(st.builds(Item, SLUGS, st.integers(1, 60)), max_size=6), st.integers(0, 99))
def test_nothing_comes_about_or_is_lost(state, items, coins):
    haul = looted(state, items, coins, KINDS, uuid4)
    kinds: Counter[str] = Counter()
    for item in (*haul.taken, *haul.left):
        kinds[item.kind] += item.count
    wanted: Counter[str] = Counter()
    for item in items:
        wanted[item.kind] += item.count
    assert kinds == wanted and haul.taken_coins + haul.left_coins == coins
    got = all_of(haul.state) - all_of(state)
    assert sum(got.values()) == sum(item.count for item in haul.taken)
    assert haul.state.money - state.money == haul.taken_coins
