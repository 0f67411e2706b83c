"""Who has which valuable: claims, moves, what is brought back, and the count after a restore."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from characters.valuable_rules import (
    GONE,
    Change,
    Holding,
    Move,
    Owner,
    Step,
    changed,
    decide_claim,
    decide_kinds,
    decide_moves,
    kinds_of,
    moves_of,
    not_to_bring_back,
    packed,
    recounted,
    unpacked,
    without,
)
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import CharacterState, Item

ALICE, BOB, LETTER = UUID(int=1), UUID(int=2), UUID(int=3)
CROWN, RING, SEAL = UUID(int=10), UUID(int=11), UUID(int=12)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_ids_are_packed_sorted_and_come_back():
    rng = Random(1)
    for size in range(20):
        ids = {UUID(int=rng.getrandbits(128)) for _ in range(size)}
        data = packed(ids)
        assert len(data) == 16 * size and unpacked(data) == ids
        assert data == packed(sorted(ids, reverse=True))


def test_what_a_write_changes_is_told_from_the_rows_bytes():
    had, has = packed([CROWN, RING]), packed([RING, SEAL])
    assert changed(had, has) == ({CROWN}, {SEAL})
    assert changed(b"", has) == (set(), {RING, SEAL}) and changed(has, b"") == ({RING, SEAL}, set())
    assert changed(has, has) == (set(), set())


def test_things_are_found_in_every_bag():
    bags = {"inventory": [Item("crown", 1, CROWN), Item("bread", 3)], "worn:head": [Item("ring", 1, RING)]}
    state = CharacterState(bags=bags)
    assert kinds_of(state) == {CROWN: "crown", RING: "ring"}
    assert kinds_of(without(state, {CROWN})) == {RING: "ring"}
    assert without(state, {CROWN}).bags["inventory"] == [Item("bread", 3)]
    assert without(state, {UUID(int=99)}) is state


@pytest.mark.parametrize(
    ("owners", "outcome"),
    [
        ({}, Change((CROWN,), ())),
        ({CROWN: Owner(line=ALICE)}, Change((), ())),
        ({CROWN: Owner(line=BOB)}, "somebody else's"),
        ({CROWN: Owner(letter=LETTER)}, "somebody else's"),
        ({CROWN: GONE}, "is gone"),
    ],
)
def test_only_what_nobody_ever_had_comes_into_being(owners, outcome):
    decision = decide_claim(ALICE, [], [CROWN], owners)
    if isinstance(outcome, Change):
        assert decision == outcome
    else:
        assert isinstance(decision, Refusal) and decision.code == "foreign_valuable"
        assert outcome in decision.detail


def test_what_disappears_is_gone_if_it_was_there():
    assert decide_claim(ALICE, [CROWN], [], {CROWN: Owner(line=ALICE)}) == Change((), (CROWN,))
    assert decide_claim(ALICE, [CROWN], [], {CROWN: Owner(line=BOB)}) == Change((), ())  # on forks
    assert decide_claim(ALICE, [CROWN], [CROWN], {CROWN: Owner(line=BOB)}) == Change((), ())


def test_a_trade_and_a_letter_are_moves():
    crown, ring = {CROWN: "crown"}, {RING: "ring"}
    trade = moves_of([Step(ALICE, crown, ring, UUID(int=7)), Step(BOB, ring, crown, UUID(int=8))], None)
    assert trade == [
        Move(CROWN, "crown", Owner(line=ALICE), Owner(line=BOB), UUID(int=8)),
        Move(RING, "ring", Owner(line=BOB), Owner(line=ALICE), UUID(int=7)),
    ]
    owners = {CROWN: Owner(line=ALICE), RING: Owner(line=BOB)}
    assert decide_moves(trade, owners) is None
    for wrong in (GONE, Owner(line=BOB), Owner(letter=LETTER)):
        refusal = decide_moves(trade, {**owners, CROWN: wrong})
        assert refusal is not None and refusal.code == "foreign_valuable"
    assert decide_moves(trade, {RING: Owner(line=BOB)}) is not None
    posted = moves_of([Step(ALICE, crown, {}, UUID(int=7))], LETTER)
    assert posted == [Move(CROWN, "crown", Owner(line=ALICE), Owner(letter=LETTER), UUID(int=7))]
    taken = moves_of([Step(BOB, {}, crown, UUID(int=8))], LETTER)
    assert taken == [Move(CROWN, "crown", Owner(letter=LETTER), Owner(line=BOB), UUID(int=8))]


def test_what_somebody_else_has_is_not_brought_back():
    owners = {CROWN: Owner(line=BOB), RING: GONE}
    assert not_to_bring_back(ALICE, [CROWN, RING, UUID(int=12)], owners) == {CROWN}
    assert not_to_bring_back(BOB, [CROWN, RING], owners) == set()
    assert not_to_bring_back(BOB, [CROWN], {CROWN: Owner(letter=LETTER)}) == {CROWN}


def held(owner, minutes, *things):
    return Holding(owner, NOW + timedelta(minutes=minutes), things)


def test_after_a_restore_the_newer_head_has_it_and_the_older_gives_it_up():
    alice, bob = held(Owner(line=ALICE), 0, CROWN), held(Owner(line=BOB), 5, CROWN, RING)
    before = {CROWN: Owner(line=ALICE), UUID(int=12): Owner(line=ALICE)}
    for order in ([alice, bob], [bob, alice]):
        owners, lost = recounted(order, before, is_main=True)
        assert owners == {CROWN: Owner(line=BOB), RING: Owner(line=BOB), UUID(int=12): GONE}
        assert lost == {Owner(line=ALICE): {CROWN}}


def test_a_letter_that_was_taken_since_loses_to_the_head_that_took_it():
    letter, bob = held(Owner(letter=LETTER), 0, CROWN), held(Owner(line=BOB), 5, CROWN)
    owners, lost = recounted([letter, bob], {CROWN: Owner(letter=LETTER)}, is_main=True)
    assert (owners, lost) == ({CROWN: Owner(line=BOB)}, {Owner(letter=LETTER): {CROWN}})


def test_what_comes_out_of_a_letter_comes_out_in_one_piece():
    letter, bob = held(Owner(letter=LETTER), 0, CROWN, RING), held(Owner(line=BOB), 5, RING)
    owners, lost = recounted([letter, bob], {CROWN: Owner(letter=LETTER)}, is_main=True)
    assert owners == {RING: Owner(line=BOB), CROWN: GONE}
    assert lost == {Owner(letter=LETTER): {CROWN, RING}}
    older = held(Owner(line=ALICE), -1, CROWN)
    owners, lost = recounted([older, letter], {}, is_main=True)
    assert owners == {CROWN: Owner(letter=LETTER), RING: Owner(letter=LETTER)}
    assert lost == {Owner(line=ALICE): {CROWN}}


def test_a_thing_stays_what_it_is():
    assert decide_kinds({CROWN: "crown"}, {CROWN: "crown", RING: "ring"}) is None
    assert decide_kinds({CROWN: "crown", RING: "ring"}, {RING: "ring"}) is None
    refusal = decide_kinds({CROWN: "pebble"}, {CROWN: "crown"})
    assert refusal is not None and refusal.code == "foreign_valuable"
    assert "'pebble'" in refusal.detail and str(CROWN) in refusal.detail


def test_on_forks_several_may_have_it_and_nobody_gives_anything_up():
    alice, bob = held(Owner(line=ALICE), 0, CROWN), held(Owner(line=BOB), 5, CROWN)
    assert recounted([alice, bob], {CROWN: Owner(line=ALICE)}, is_main=False) == (
        {CROWN: Owner(line=ALICE)},
        {},
    )
    assert recounted([alice, bob], {}, is_main=False)[0] == {CROWN: Owner(line=BOB)}
