"""The rules of falls, without a database: which line a world has, which writes fall, and by what names."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from characters.rules import (
    LEASE,
    Fall,
    Head,
    Write,
    Writer,
    decide_save,
    fallen_head,
    fallen_heads,
    line_kind,
    may_renew,
    played_line,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
CHAIN, NEXT = b"c" * 32, b"d" * 32
MAIN = Head(
    holder="aurora", epoch=1_000_001, grants=1, lease_until=NOW + LEASE, version=4, chain=CHAIN,
    acquire_op_id=UUID(int=9), acquire_order=3,
)  # fmt: skip
FORK = Head(owner="aurora", version=1, chain=b"f" * 32, grants=2, epoch=1_000_002)
WRITE = Write(
    line=UUID(int=1), epoch=1_000_001, version=4, prev_chain=CHAIN, op_id=UUID(int=2), kind="item",
    state_hash=b"h" * 32, state=b"{}",
)  # fmt: skip
LIMITED = Writer("aurora", is_official=True, is_suspended=False, is_limited=True)
FREE = replace(LIMITED, is_limited=False)
FALL = Fall(line=WRITE.line, epoch=WRITE.epoch, version=4, prev_chain=CHAIN, chain=NEXT)


def save(write=WRITE, head=MAIN, writer=LIMITED):
    outcome = decide_save(write, head=head, earlier=None, writer=writer)
    return outcome if isinstance(outcome, str) else outcome.code


@pytest.mark.parametrize(
    ("tier", "is_limited", "holds_main", "holds_fork", "line"),
    [
        ("official", False, False, False, "main"),
        ("official", False, True, False, "main"),
        ("official", True, False, False, "fork"),
        ("official", True, True, False, "main"),  # until its next write
        ("official", False, False, True, "fork"),  # what it plays there does not come to main by a restart
        ("official", True, False, True, "fork"),
        ("open", False, False, False, "fork"),
        ("open", False, True, False, "fork"),  # it lost its tier
    ],
)
def test_an_acquire_is_about_the_line_that_the_world_has(tier, is_limited, holds_main, holds_fork, line):
    played = played_line(tier, is_limited=is_limited, holds_main=holds_main, holds_fork=holds_fork)
    assert played == line


def test_a_limited_world_plays_its_fork():
    assert (line_kind("official"), line_kind("official", is_limited=True)) == ("main", "fork")


def test_only_writes_of_main_by_limited_worlds_fall():
    assert (save(), save(writer=FREE)) == ("falls", "accepted")
    own = replace(MAIN, owner="aurora")
    assert save(head=own) == "accepted"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"version": 5}, "stale"), ({"prev_chain": NEXT}, "bad_chain"), ({"epoch": 7}, "stale")],
)
def test_what_would_be_refused_does_not_fall(change, code):
    assert save(replace(WRITE, **change)) == code
    assert save(writer=replace(LIMITED, is_suspended=True)) == "world_suspended"


def test_the_lease_goes_over_to_the_fork():
    main, fork = fallen_heads(MAIN, FORK, incarnation=1)
    assert (main.holder, main.lease_until, main.epoch) == (None, None, MAIN.epoch)
    assert (fork.holder, fork.lease_until, fork.epoch, fork.grants) == (
        "aurora", MAIN.lease_until, 1_000_003, 3,
    )  # fmt: skip
    assert (fork.acquire_op_id, fork.acquire_order) == (MAIN.acquire_op_id, MAIN.acquire_order)
    assert (fork.owner, fork.version, fork.chain) == ("aurora", FORK.version, FORK.chain)


def test_the_names_go_on_after_a_fall_also_when_the_limit_is_lifted():
    fork = replace(fallen_heads(MAIN, FORK, incarnation=1)[1], version=2)
    named = fallen_head(FALL, fork, epoch=fork.epoch, version=2)
    following = replace(WRITE, version=5, prev_chain=NEXT, op_id=UUID(int=3))
    for writer in (LIMITED, FREE, replace(FREE, is_official=False)):
        assert save(following, named, writer) == "falls"
    assert save(WRITE, named) == "stale"
    assert save(following, named, replace(LIMITED, world="mallory")) == "stale"


@pytest.mark.parametrize("change", [{"epoch": 1_000_009}, {"version": 3}, {"holder": None}])
def test_the_names_end_with_the_lease_or_another_write(change):
    fork = replace(fallen_heads(MAIN, FORK, incarnation=1)[1], version=2)
    named = fallen_head(FALL, replace(fork, **change), epoch=fork.epoch, version=2)
    assert save(replace(WRITE, version=5, prev_chain=NEXT), named) == "stale"


def test_a_limited_world_keeps_the_lease_of_main_until_it_writes():
    assert may_renew(MAIN, epoch=MAIN.epoch, writer=LIMITED)
    assert not may_renew(MAIN, epoch=MAIN.epoch, writer=replace(LIMITED, is_official=False))
