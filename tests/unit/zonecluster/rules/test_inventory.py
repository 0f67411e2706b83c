"""Bags and money: whatever is asked of whatever document, nothing is created, lost, doubled or below zero."""

from collections import Counter
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules import inventory
from zonecluster.rules.inventory import (
    added,
    equipped,
    merged,
    moved,
    paid,
    received,
    removed,
    split,
    unequipped,
)
from zonecluster.rules.items import (
    BANK,
    CAPACITY,
    INVENTORY,
    MAX_COUNT,
    MAX_MONEY,
    ItemKind,
    NotPossible,
    Ware,
)
from zonecluster.rules.trading import bought, sold

KINDS = {
    kind.slug: kind
    for kind in (
        ItemKind("bread", "loaf of bread", stack_size=20, value=2),
        ItemKind("lamp", "lamp", value=30, slot="off-hand"),
        ItemKind("cap", "cap", value=5, slot="head"),
        ItemKind("crown", "crown", value=900, is_valuable=True, slot="head"),
    )
}
WARES = (Ware("bread", 3, 1), Ware("lamp", 40, 15), Ware("crown", 0, 500), Ware("ghost", 1, 1))
CROWN = UUID(int=7)


def of(*items: Item, money: int = 0, **bags: list[Item]) -> CharacterState:
    return CharacterState(bags={**({INVENTORY: list(items)} if items else {}), **bags}, money=money)


def refused(why: str, work, *arguments) -> str:
    with pytest.raises(NotPossible) as caught:
        work(*arguments)
    assert caught.value.why == why
    return str(caught.value)


# ---------------------------------------------------------------- what each does


def test_what_is_added_goes_onto_stacks_first():
    state = of(Item("bread", 15), Item("lamp"))
    state = added(state, INVENTORY, Item("bread", 30), KINDS)
    assert state.bags[INVENTORY] == [Item("bread", 20), Item("lamp"), Item("bread", 20), Item("bread", 5)]


def test_a_full_bag_takes_nothing_of_it():
    state = of(*[Item("lamp")] * 23, Item("bread", 19))
    assert added(state, INVENTORY, Item("bread", 1), KINDS).bags[INVENTORY][-1] == Item("bread", 20)
    refused("bag_full", added, state, INVENTORY, Item("bread", 2), KINDS)


def test_things_are_taken_from_the_last_stacks():
    state = of(Item("bread", 20), Item("lamp"), Item("bread", 5))
    assert removed(state, INVENTORY, "bread", 7).bags[INVENTORY] == [Item("bread", 18), Item("lamp")]
    assert removed(of(Item("lamp")), INVENTORY, "lamp", 1).bags == {}
    assert (
        refused("not_there", removed, state, INVENTORY, "bread", 26)
        == "You have 25 of that in inventory, not 26."
    )
    refused("not_there", removed, state, INVENTORY, "cap", 1)


def test_a_valuable_is_named_by_its_id():
    state = of(Item("crown", 1, CROWN), Item("crown", 1, UUID(int=8)))
    assert removed(state, INVENTORY, "crown", 1, CROWN).bags[INVENTORY] == [Item("crown", 1, UUID(int=8))]
    refused("not_there", removed, state, INVENTORY, "crown", 1)
    refused("not_there", removed, state, INVENTORY, "crown", 2, CROWN)


def test_an_id_is_held_once():
    worn = of(**{"worn:head": [Item("crown", 1, CROWN)]})
    refused("id_taken", added, worn, INVENTORY, Item("crown", 1, CROWN), KINDS)
    refused("needs_id", added, of(), INVENTORY, Item("crown"), KINDS)
    refused("needs_id", added, of(), INVENTORY, Item("bread", 1, CROWN), KINDS)
    refused("too_much", added, of(), INVENTORY, Item("crown", 2, CROWN), KINDS)


def test_moving_between_bags():
    state = moved(of(Item("bread", 20)), INVENTORY, BANK, "bread", 8, KINDS)
    assert state.bags == {INVENTORY: [Item("bread", 12)], BANK: [Item("bread", 8)]}
    refused("unknown_bag", moved, state, INVENTORY, "pocket", "bread", 1, KINDS)
    refused("unknown_bag", moved, state, INVENTORY, "worn:head", "bread", 1, KINDS)
    refused("unknown_bag", moved, state, BANK, BANK, "bread", 1, KINDS)


def test_kinds_that_the_world_does_not_know_are_kept():
    state = of(Item("ghost", 50))
    assert moved(state, INVENTORY, BANK, "ghost", 20, KINDS).bags == {
        INVENTORY: [Item("ghost", 30)],
        BANK: [Item("ghost", 20)],
    }
    refused("unknown_kind", equipped, state, "ghost", KINDS)
    refused("unknown_kind", sold, state, WARES, "ghost", 1, KINDS)
    refused("unknown_kind", bought, of(money=9), WARES, "ghost", 1, KINDS)
    refused("unknown_kind", added, state, INVENTORY, Item("ghost"), KINDS)
    refused("unknown_kind", merged, of(Item("ghost"), Item("ghost")), INVENTORY, 0, 1, KINDS)


def test_split_and_merge():
    state = split(of(Item("bread", 20)), INVENTORY, 0, 5)
    assert state.bags[INVENTORY] == [Item("bread", 15), Item("bread", 5)]
    assert merged(state, INVENTORY, 1, 0, KINDS).bags[INVENTORY] == [Item("bread", 20)]
    partly = merged(of(Item("bread", 15), Item("bread", 9)), INVENTORY, 1, 0, KINDS)
    assert partly.bags[INVENTORY] == [Item("bread", 20), Item("bread", 4)]
    refused("not_there", split, state, INVENTORY, 1, 5)
    refused("not_there", split, state, INVENTORY, -1, 1)
    refused("not_alike", merged, of(Item("bread"), Item("lamp")), INVENTORY, 0, 1, KINDS)
    refused("not_alike", merged, state, INVENTORY, 1, 1, KINDS)
    refused("too_much", merged, of(Item("bread", 20), Item("bread", 4)), INVENTORY, 1, 0, KINDS)
    refused("bag_full", split, of(*[Item("bread", 2)] * 24), INVENTORY, 3, 1)


def test_what_was_worn_comes_back():
    state = equipped(of(Item("cap"), Item("crown", 1, CROWN)), "cap", KINDS)
    assert state.bags == {INVENTORY: [Item("crown", 1, CROWN)], "worn:head": [Item("cap")]}
    state = equipped(state, "crown", KINDS, CROWN)
    assert state.bags == {INVENTORY: [Item("cap")], "worn:head": [Item("crown", 1, CROWN)]}
    assert unequipped(state, "head", KINDS).bags == {INVENTORY: [Item("cap"), Item("crown", 1, CROWN)]}
    refused("not_there", unequipped, state, "feet", KINDS)
    refused("unknown_slot", unequipped, state, "tail", KINDS)
    refused("not_wearable", equipped, of(Item("bread")), "bread", KINDS)
    full = of(*[Item("lamp")] * 24, **{"worn:head": [Item("cap")]})
    refused("bag_full", unequipped, full, "head", KINDS)


def test_buying_and_selling():
    state = bought(of(money=100), WARES, "bread", 21, KINDS)
    assert state == of(Item("bread", 20), Item("bread", 1), money=37)
    assert sold(state, WARES, "bread", 21, KINDS) == of(money=58)
    refused("not_enough_money", bought, state, WARES, "bread", 13, KINDS)
    refused("not_for_sale", bought, state, WARES, "crown", 1, KINDS)
    refused("not_bought", sold, of(Item("cap")), WARES, "cap", 1, KINDS)
    refused("too_much", bought, of(money=MAX_MONEY), WARES, "bread", 1001, KINDS)
    assert sold(of(Item("crown", 1, CROWN)), WARES, "crown", 1, KINDS, CROWN) == of(money=500)


def test_valuables_are_bought_with_new_ids():
    wares = (Ware("crown", 10, 0),)
    assert bought(of(money=20), wares, "crown", 2, KINDS, [CROWN, UUID(int=8)]).money == 0
    refused("needs_id", bought, of(money=20), wares, "crown", 2, KINDS, [CROWN])
    refused("id_taken", bought, of(money=20), wares, "crown", 2, KINDS, [CROWN, CROWN])


@pytest.mark.parametrize("count", [0, -1, -MAX_COUNT, MAX_COUNT + 1, 2**70])
def test_counts_that_are_none(count):
    state = of(Item("bread", 20), money=50)
    refused("bad_count", removed, state, INVENTORY, "bread", count)
    refused("bad_count", moved, state, INVENTORY, BANK, "bread", count, KINDS)
    refused("bad_count", split, state, INVENTORY, 0, count)
    refused("bad_count", bought, state, WARES, "bread", count, KINDS)
    refused("bad_count", sold, state, WARES, "bread", count, KINDS)
    refused("bad_count", added, state, INVENTORY, Item("bread", count), KINDS)


def test_amounts_that_are_none():
    for coins in (-1, MAX_MONEY + 1):
        refused("bad_amount", paid, of(money=5), coins)
        refused("bad_amount", received, of(money=5), coins)
    refused("too_much_money", received, of(money=MAX_MONEY), 1)
    refused("not_enough_money", paid, of(money=5), 6)


# ---------------------------------------------------------------- whatever is asked of whatever document

BAGS = [INVENTORY, BANK, "worn:head", "worn:off-hand", "pocket"]
SLUGS = st.sampled_from([*KINDS, "ghost"])
COUNTS = st.sampled_from([-3, 0, 1, 2, 5, 19, 20, 21, 500, MAX_COUNT])
BAG = st.sampled_from(BAGS)
POSITIONS = st.integers(-2, 25)
IDS = [UUID(int=number) for number in range(1, 5)]
MAYBE_ID = st.none() | st.sampled_from(IDS)


@st.composite
def documents(draw) -> CharacterState:
    """Draw what the schema lets in: bags too full, stacks too large, valuables without ids; no id twice."""
    bags = draw(
        st.dictionaries(
            BAG, st.lists(st.builds(Item, SLUGS, st.sampled_from([1, 2, 20, 33, MAX_COUNT])), max_size=26)
        )
    )
    for identity, bag in zip(draw(st.permutations(IDS)), draw(st.lists(BAG, max_size=4)), strict=False):
        bags.setdefault(bag, []).append(Item(draw(SLUGS), 1, identity))
    return CharacterState(bags=bags, money=draw(st.sampled_from([0, 1, 60, 5000, MAX_MONEY])))


KEEPING = st.one_of(
    st.tuples(st.just("moved"), BAG, BAG, SLUGS, COUNTS, st.just(KINDS), MAYBE_ID),
    st.tuples(st.just("split"), BAG, POSITIONS, COUNTS),
    st.tuples(st.just("merged"), BAG, POSITIONS, POSITIONS, st.just(KINDS)),
    st.tuples(st.just("equipped"), SLUGS, st.just(KINDS), MAYBE_ID),
    st.tuples(st.just("unequipped"), st.sampled_from(["head", "off-hand", "tail"]), st.just(KINDS)),
)


def all_of(state: CharacterState) -> Counter[tuple[str, UUID | None]]:
    total: Counter[tuple[str, UUID | None]] = Counter()
    for bag in state.bags.values():
        for item in bag:
            total[item.kind, item.id] += item.count
    return total


def is_within(before: CharacterState, after: CharacterState) -> bool:
    """Whether no bag and no stack is over its limit that was not before."""
    for name, bag in after.bags.items():
        old = before.bags.get(name, [])
        most = max((item.count for item in old), default=0)
        if len(bag) > max(CAPACITY.get(name, 0), len(old)):
            return False
        for item in bag:
            limit = KINDS[item.kind].stack_size if item.kind in KINDS else MAX_COUNT
            if item.count < 1 or item.count > MAX_COUNT or item.count > max(limit, most):
                return False
    return True


@given(documents(), st.lists(KEEPING, max_size=12))
def test_nothing_is_created_or_lost_between_bags(state, operations):
    whole = all_of(state)
    for name, *arguments in operations:
        before = state
        try:
            state = getattr(inventory, name)(state, *arguments)
        except NotPossible as refusal:
            assert refusal.why and str(refusal)
        assert all_of(state) == whole and state.money == before.money
        assert is_within(before, state)


@given(documents(), SLUGS, COUNTS, MAYBE_ID)
def test_what_is_put_in_can_be_taken_out_again(state, kind, count, identity):
    item = Item(kind, count, identity)
    try:
        more = added(state, INVENTORY, item, KINDS)
    except NotPossible:
        return
    assert all_of(more) == all_of(state) + Counter({(kind, identity): count})
    assert is_within(state, more)
    assert all_of(removed(more, INVENTORY, kind, count, identity)) == all_of(state)


@given(documents(), SLUGS, COUNTS)
def test_vendors_take_what_they_give_for(state, kind, count):
    ids = [uuid4() for _ in range(max(0, min(count, 30)))]
    prices = {ware.kind: ware for ware in WARES}
    try:
        after = bought(state, WARES, kind, count, KINDS, ids)
        assert after.money == state.money - prices[kind].price * count >= 0
        assert sum(all_of(after).values()) == sum(all_of(state).values()) + count
    except NotPossible:
        pass
    try:
        after = sold(state, WARES, kind, count, KINDS)
        assert after.money == state.money + prices[kind].pays * count <= MAX_MONEY
        assert all_of(after) == all_of(state) - Counter({(kind, None): count})
    except NotPossible:
        pass
