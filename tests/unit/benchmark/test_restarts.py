"""What the benchmark of restarts calls equal, quick, and good."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.benchmark.restarts import Outcome, changed_between, digests_of, kinds, pause_of, summary
from worlds.restart_steps import Step

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
GOOD = Outcome(1, "full", "done", 80.0, 30.0, players=5, put_out=0, changed=0)


def digests(**state):
    return digests_of(json.dumps(state).encode())


def test_the_place_and_the_order_of_keys_do_not_count_and_all_else_does():
    was = digests(money=3, quests={"a": "done", "b": "open"}, places={"demo": 1})
    assert was == digests(places={"demo": 2}, quests={"b": "open", "a": "done"}, money=3)
    assert was != digests(money=4, quests={"a": "done", "b": "open"})
    assert digests(money=0, bags={}) == digests()


def test_what_has_changed_or_is_gone_is_named():
    before = {ONE: digests(money=3), TWO: digests(money=5)}
    assert changed_between(before, {ONE: digests(money=3), TWO: digests(money=5), UUID(int=3): {}}) == []
    after = {ONE: digests(quests={"a": "b"})}
    assert changed_between(before, after) == [f"{ONE}: money, quests", f"{TWO} is gone"]


def test_the_pause_is_from_the_begin_until_players_are_back():
    begun, back = Step(NOW, "begun"), Step(NOW + timedelta(seconds=31), "players_back")
    assert pause_of([begun, back]) == 31.0
    assert pause_of([begun]) is None


@pytest.mark.parametrize(
    "change",
    [{"state": "failed"}, {"put_out": 1}, {"changed": 1}, {"pause": 120.0}, {"pause": None}],
)
def test_a_restart_is_good_only_if_it_kept_every_promise(change):
    assert GOOD.is_good and not replace(GOOD, **change).is_good


def test_a_rolling_one_needs_no_pause():
    assert replace(GOOD, kind="rolling", pause=None).is_good


def test_kinds_go_in_turns_and_the_summary_counts():
    assert kinds("both", 3) == ["rolling", "full", "rolling"] and kinds("full", 2) == ["full", "full"]
    total = summary(
        [GOOD, replace(GOOD, pause=40.0, put_out=2)], {"Aster": "bad_resume_token"}, is_whole=True
    )
    assert (total["restarts"], total["good"], total["put_out"], total["bots_lost"]) == (2, 1, 2, 1)
    assert total["why_lost"] == {"Aster": "bad_resume_token"}
    assert total["pause_longest"] == 40.0 and summary([], {}, is_whole=True)["pause_median"] is None
