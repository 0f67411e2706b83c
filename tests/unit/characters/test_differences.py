"""What differs between two states, in words: all that changed is said, and nothing else."""

from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from characters.differences import DESCRIBED, differences, plain_name
from zonecluster.protocol.character import CharacterState, Item, Place

names = st.sampled_from(["iron-sword", "arrow", "pack", "bank", "level", "strength", "aurora", "wilds"])
items = st.builds(
    Item, kind=names, count=st.integers(1, 5), id=st.none() | st.integers(0, 3).map(lambda n: UUID(int=n))
)
places = st.builds(
    Place,
    zone=names,
    position=st.tuples(*[st.sampled_from([0.0, 1.5, 9.0])] * 3),
    heading_deg=st.sampled_from([0.0, 90.0]),
)
states = st.builds(
    CharacterState,
    attributes=st.dictionaries(names, st.integers(-3, 3), max_size=3),
    skills=st.dictionaries(names, st.integers(0, 3), max_size=3),
    bags=st.dictionaries(names, st.lists(items, max_size=3), max_size=3),
    money=st.integers(0, 3),
    quests=st.dictionaries(names, names, max_size=3),
    places=st.dictionaries(names, places, max_size=3),
)


@given(states, states)
def test_states_differ_exactly_if_something_is_said(before, after):
    said = differences(before, after)
    assert bool(said) == (before != after)
    assert all(text == text.strip() and text for text in said)


@given(states)
def test_of_one_state_nothing_is_said(state):
    again = msgspec.json.decode(msgspec.json.encode(state), type=CharacterState)
    assert differences(state, again) == ()


@given(states, states)
def test_money_and_totals_of_things_are_said_with_their_numbers(before, after):
    said = differences(before, after)
    assert (f"money {before.money} → {after.money}" in said) == (before.money != after.money)

    def total(state, kind):
        return sum(item.count for bag in state.bags.values() for item in bag if item.kind == kind)

    for kind in ("arrow", "iron-sword"):
        change = total(after, kind) - total(before, kind)
        number = "" if abs(change) == 1 else f"{abs(change)} "
        sign = "+" if change > 0 else "\N{MINUS SIGN}"
        text = f"{sign} {number}{plain_name(kind)}"
        assert (text in said) == (change != 0) or change == 0


def test_it_reads_well():
    before = CharacterState(
        attributes={"level": 3},
        bags={"pack": [Item("arrow", 20)]},
        money=10,
        quests={"lost-lamp": "search-the-mill"},
        places={"aurora": Place("harbour", (1.0, 2.0, 0.0))},
    )
    after = CharacterState(
        attributes={"level": 4, "strength": 11},
        bags={"pack": [Item("arrow", 18), Item("iron-sword")]},
        money=25,
        quests={"lost-lamp": "done", "old-debt": "begun"},
        places={"aurora": Place("old-mill", (5.0, 2.0, 0.0)), "wilds": Place("camp", (0.0, 0.0, 0.0))},
    )
    known = {("aurora", "harbour"): "Harbour", ("aurora", "old-mill"): "the Old Mill"}
    assert differences(before, after, lambda world, zone: known.get((world, zone), zone)) == (
        "Level 3 → 4",
        "+ Strength 11",
        "money 10 → 25",
        "\N{MINUS SIGN} 2 Arrow",
        "+ Iron sword",
        "quest Lost lamp: Search the mill → Done",
        "quest Old debt: Begun",
        "moved from Harbour to the Old Mill",
        "came to camp",
    )


def test_things_that_change_bags_valuables_and_order_are_seen():
    sword, other = Item("sword", 1, UUID(int=1)), Item("sword", 1, UUID(int=2))
    in_pack = CharacterState(bags={"pack": [sword, Item("arrow")], "bank": []})
    assert differences(in_pack, CharacterState(bags={"pack": [Item("arrow")], "bank": [sword]})) == (
        "things moved in or out of Bank",
        "things moved in or out of Pack",
    )
    assert differences(in_pack, CharacterState(bags={"pack": [other, Item("arrow")], "bank": []})) == (
        "other valuables in Pack",
    )
    assert differences(in_pack, CharacterState(bags={"pack": [Item("arrow"), sword], "bank": []})) == (
        "Pack put in another order",
    )
    assert differences(in_pack, CharacterState(bags={"pack": [sword, Item("arrow")]})) == (
        "\N{MINUS SIGN} Bank, empty",
    )


def test_every_part_of_the_document_is_described_or_at_least_named():
    fields = {field.name for field in msgspec.structs.fields(CharacterState)}
    assert fields >= DESCRIBED, "a part was renamed: describe it under its new name"
