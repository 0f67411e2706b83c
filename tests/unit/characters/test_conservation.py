"""Conservation: any exchange of goods passes, and any change of one count, id or coin does not."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from characters.conservation import changed_kinds, conservation_fault, goods_between
from worlds.uplink.messages import Goods
from zonecluster.protocol.character import CharacterState, Item, Place

KINDS = st.sampled_from(["rope", "gem", "bread"])
PLAIN = st.builds(Item, KINDS, st.integers(1, 50))
THINGS = st.builds(lambda kind, number: Item(kind, 1, UUID(int=number)), KINDS, st.integers(1, 9))


def state(*items, money=0, **others):
    return CharacterState(bags={"inventory": list(items)}, money=money, **others)


@st.composite
def shared_out(draw):
    """Goods, shared out between two characters and a letter, twice."""
    plain = draw(st.lists(PLAIN, max_size=6))
    things = draw(st.lists(THINGS, max_size=4, unique_by=lambda item: item.id))
    money = draw(st.integers(0, 1000))

    def share():
        bags: list[list[Item]] = [[], [], []]
        for item in plain:
            split = draw(st.integers(0, item.count))
            for count in (split, item.count - split):
                if count:
                    bags[draw(st.integers(0, 2))].append(Item(item.kind, count))
        for item in things:
            bags[draw(st.integers(0, 2))].append(item)
        first = draw(st.integers(0, money))
        second = draw(st.integers(0, money - first))
        rest = money - first - second
        return [state(*bags[0], money=first), state(*bags[1], money=second)], Goods(bags[2], rest)

    return share(), share()


@given(shared_out())
def test_however_goods_are_shared_out_it_conserves(shares):
    (before, taken), (after, posted) = shares
    assert conservation_fault(before, after, taken=taken, posted=posted) == ""


@given(shared_out(), st.integers(0, 1), st.sampled_from(["coin", "plain", "thing"]), st.integers(1, 5))
def test_whatever_is_made_is_noticed_and_so_is_what_is_lost(shares, who, what, many):
    (before, taken), (after, posted) = shares
    made = after[who]
    if what == "coin":
        made = msgspec.structs.replace(made, money=made.money + many)
    else:
        new = Item("rope", many) if what == "plain" else Item("gem", 1, UUID(int=99))
        made = msgspec.structs.replace(made, bags=made.bags | {"bank": [new]})
    after = [made if number == who else each for number, each in enumerate(after)]
    assert conservation_fault(before, after, taken=taken, posted=posted)
    assert conservation_fault(after, before, taken=posted, posted=taken)


@pytest.mark.parametrize(
    "others",
    [
        {"attributes": {"xp": 1}},
        {"skills": {"swords": 1}},
        {"quests": {"rats": "done"}},
        {"places": {"aurora": Place("quay", (0.0, 0.0, 0.0))}},
    ],
)
def test_nothing_but_goods_may_differ(others):
    assert conservation_fault([state(), state()], [state(**others), state()])


def test_a_thing_is_not_another_of_its_kind_nor_its_id_another_thing():
    gem = Item("gem", 1, UUID(int=7))
    for other in (
        Item("gem", 1, UUID(int=8)),
        Item("gem"),
        Item("axe", 1, UUID(int=7)),
        Item("gem", 2, gem.id),
    ):
        assert conservation_fault([state(gem), state()], [state(), state(other)])


def test_goods_may_move_between_bags_and_stacks():
    before = CharacterState(bags={"inventory": [Item("rope", 3)], "bank": [Item("rope", 2)]})
    after = CharacterState(bags={"inventory": [Item("rope", 1)] * 5, "bank": []})
    assert conservation_fault([before], [after]) == ""
    assert changed_kinds(before, after) == set()


def test_changed_kinds_are_those_that_one_has_more_or_less_of():
    before = state(Item("rope", 3), Item("gem", 1, UUID(int=7)), Item("bread"))
    after = state(Item("rope", 2), Item("gem", 1, UUID(int=8)), Item("bread"))
    assert changed_kinds(before, after) == {"rope", "gem"}


@given(shared_out())
def test_what_was_lost_and_gained_accounts_for_the_difference(shares):
    (before, _), (after, _) = shares
    lost, gained = goods_between(before[0], after[0])
    assert conservation_fault(
        [msgspec.structs.replace(after[0], bags={}, money=0)] * 2,
        [msgspec.structs.replace(after[0], bags={}, money=0)] * 2,
        taken=Goods([item for bag in before[0].bags.values() for item in bag] + gained.items,
                    before[0].money + gained.money),
        posted=Goods([item for bag in after[0].bags.values() for item in bag] + lost.items,
                     after[0].money + lost.money),
    ) == ""  # fmt: skip


def test_a_stack_of_more_than_a_document_holds_is_told_in_several():
    many = state(*[Item("rope", 1_000_000)] * 2, Item("rope", 5))
    _, gained = goods_between(state(), many)
    assert [item.count for item in gained.items] == [1_000_000, 1_000_000, 5]
