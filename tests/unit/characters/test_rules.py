"""The repository's decisions, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from characters.rules import (
    EPOCHS_PER_INCARNATION,
    LEASE,
    EarlierWrite,
    Grant,
    Head,
    Standing,
    Write,
    Writer,
    decide_grant,
    decide_save,
    first_of_each,
    granted,
    line_kind,
    locked,
    may_renew,
    next_epoch,
    released,
    renewed,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
CHAIN = b"c" * 32
HELD = Head(holder="aurora", epoch=1_000_001, grants=1, lease_until=NOW + LEASE, version=4, chain=CHAIN)
WRITE = Write(
    line=UUID(int=1), epoch=1_000_001, version=4, prev_chain=CHAIN, op_id=UUID(int=2), kind="periodic",
    state_hash=b"h" * 32, state=b"{}",
)  # fmt: skip
EARLIER = EarlierWrite(
    world="aurora", line=UUID(int=1), epoch=1_000_001, version=5, prev_chain=CHAIN, kind="periodic",
    state_hash=b"h" * 32,
)  # fmt: skip
AURORA = Writer("aurora", is_official=True, is_suspended=False)


def grant(head, world="aurora", op_id=None, now=NOW, order=0, **standing):
    return decide_grant(
        head,
        world=world,
        op_id=op_id or uuid4(),
        order=order,
        incarnation=1,
        standing=Standing(**standing),
        now=now,
    )


def save(write=WRITE, head=HELD, earlier=None, writer=AURORA):
    outcome = decide_save(write, head=head, earlier=earlier, writer=writer)
    return outcome if isinstance(outcome, str) else outcome.code


def test_official_and_verified_worlds_play_main():
    kinds = [line_kind(tier) for tier in ("official", "verified", "open", "?")]
    assert kinds == ["main", "main", "fork", "fork"]
    assert line_kind("official", is_limited=True) == line_kind("verified", is_undecided=True) == "fork"


def test_epochs_grow_with_grants_and_incarnations():
    epochs = [next_epoch(incarnation, grants) for incarnation in (1, 2) for grants in (0, 1, 999_998)]
    assert epochs[0] == 1_000_001
    assert epochs == sorted(set(epochs))
    with pytest.raises(ValueError, match="incarnation"):
        next_epoch(1, EPOCHS_PER_INCARNATION - 1)


def test_all_but_the_oldest_are_locked():
    ids = [UUID(int=n) for n in range(5)]
    assert locked(ids, 3) == set(ids[3:])
    assert locked(ids, 5) == locked([], 3) == set()


def test_a_free_line_is_granted_to_the_admitted():
    assert grant(Head()) == Grant(1_000_001, is_repeat=False)
    assert grant(Head(grants=7)).epoch == 1_000_008


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        ({"is_suspended": True}, "world_suspended"),
        ({"is_admitted": False}, "not_admitted"),
        ({"is_banned": True}, "account_banned"),
        ({"is_locked": True}, "character_locked"),
    ],
)
def test_a_free_line_is_refused_with_the_reason(standing, code):
    assert grant(Head(), **standing).code == code


def test_the_holder_gets_a_new_epoch_whatever_the_accounts_standing():
    for now in (NOW, NOW + 2 * LEASE):
        found = grant(HELD, now=now, is_admitted=False, is_banned=True, is_locked=True)
        assert found == Grant(1_000_002, is_repeat=False)
    assert grant(HELD, is_suspended=True).code == "world_suspended"


def test_another_world_gets_the_line_when_the_lease_is_over_and_no_sooner():
    assert grant(HELD, "borealis", now=NOW + LEASE - timedelta(microseconds=1)).code == "held_elsewhere"
    assert grant(HELD, "borealis", now=NOW + LEASE) == Grant(1_000_002, is_repeat=False)
    assert grant(HELD, "borealis", now=NOW + LEASE, is_admitted=False).code == "not_admitted"


def test_a_repeated_acquire_is_the_same_grant_or_stale():
    op_id = uuid4()
    mine = replace(HELD, acquire_op_id=op_id)
    assert grant(mine, op_id=op_id, is_admitted=False) == Grant(1_000_001, is_repeat=True)
    assert grant(replace(mine, holder="borealis"), op_id=op_id).code == "stale"
    assert grant(replace(mine, holder=None, lease_until=None), op_id=op_id).code == "stale"


def test_a_write_on_the_head_is_accepted():
    assert save() == "accepted"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"head": None}, "stale"),
        ({"head": replace(HELD, holder="borealis")}, "stale"),
        ({"head": replace(HELD, holder=None)}, "stale"),
        ({"head": replace(HELD, epoch=1_000_002)}, "stale"),
        ({"head": replace(HELD, version=5)}, "stale"),
        ({"head": replace(HELD, chain=b"x" * 32)}, "bad_chain"),
        ({"head": replace(HELD, owner="borealis")}, "stale"),
        ({"writer": replace(AURORA, is_official=False)}, "stale"),
        ({"writer": replace(AURORA, is_suspended=True)}, "world_suspended"),
    ],
)
def test_a_write_that_does_not_fit_is_refused(changes, code):
    assert save(**changes) == code


def test_an_open_world_writes_its_own_fork():
    wilds = Writer("wilds", is_official=False, is_suspended=False)
    assert save(head=replace(HELD, owner="wilds", holder="wilds"), writer=wilds) == "accepted"


def test_an_earlier_write_is_answered_again_before_anything_else_is_looked_at():
    assert save(earlier=EARLIER, head=None, writer=replace(AURORA, is_suspended=True)) == "repeated"


@pytest.mark.parametrize(
    "changes",
    [
        {"world": "borealis"}, {"line": UUID(int=9)}, {"epoch": 2}, {"version": 6}, {"prev_chain": b"x" * 32},
        {"kind": "logout"}, {"state_hash": b"x" * 32},
    ],
)  # fmt: skip
def test_another_write_of_the_same_op_id_is_an_error(changes):
    assert save(earlier=replace(EARLIER, **changes)) == "op_id_reused"


@pytest.mark.parametrize(
    ("order", "seconds", "is_granted"), [(6, 0, False), (7, 0, True), (8, 0, True), (6, 120, True)]
)
def test_late_acquire_does_not_fence_a_newer_session_of_its_own_world(order, seconds, is_granted):
    """Until the lease lapses: a world whose clock went back must get its characters again."""
    head = replace(HELD, acquire_order=7)
    decision = grant(head, order=order, now=NOW + timedelta(seconds=seconds))
    assert isinstance(decision, Grant) == is_granted
    if not is_granted:
        assert decision.code == "master_fault"  # ask again: it may be the newest after all
    taken = grant(released(head), world="borealis", order=0)
    assert isinstance(taken, Grant), "orders of different worlds have nothing to do with each other"


def test_heads_after_grant_renewal_and_release():
    op_id, later = uuid4(), NOW + timedelta(seconds=60)
    new = granted(Head(grants=3), Grant(1_000_004, is_repeat=False), world="a", op_id=op_id, order=5, now=NOW)
    assert (new.grants, new.epoch, new.holder, new.acquire_op_id, new.acquire_order) == (
        4,
        1_000_004,
        "a",
        op_id,
        5,
    )
    again = granted(new, Grant(1_000_004, is_repeat=True), world="a", op_id=op_id, now=later)
    assert again == renewed(new, later) == replace(new, lease_until=later + LEASE)
    assert not released(again).is_leased(later)
    assert released(again).epoch == new.epoch


def test_renewal_is_for_who_may_write():
    assert may_renew(HELD, epoch=HELD.epoch, writer=AURORA)
    assert not may_renew(HELD, epoch=HELD.epoch - 1, writer=AURORA)
    assert not may_renew(HELD, epoch=HELD.epoch, writer=replace(AURORA, world="borealis"))
    assert not may_renew(HELD, epoch=HELD.epoch, writer=replace(AURORA, is_official=False))
    assert not may_renew(None, epoch=HELD.epoch, writer=AURORA)


def test_a_batch_takes_the_first_of_each_line_and_op_id():
    other_line, same_op = (
        replace(WRITE, line=UUID(int=5), op_id=UUID(int=6)),
        replace(WRITE, line=UUID(int=7)),
    )
    same_line = replace(WRITE, op_id=UUID(int=8))
    assert first_of_each([WRITE, same_line, other_line, same_op]) == [WRITE, other_line]
