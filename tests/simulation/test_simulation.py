"""The promise of characters: with all rules on no seed breaks it, without any one of them some seed does.

`manage.py simulate` plays as many seeds as wanted, test_seeds.py many in CI; these few keep the table true.
"""

from dataclasses import fields

import pytest

from tests.simulation.chaos import NONE, PEOPLE, Faults, faults_of
from tests.simulation.promises import PROMISES
from tests.simulation.shrink import failure_of, shrink
from tests.simulation.simulation import play_through
from tests.simulation.switched_off import RULES, switched_off
from tests.simulation.table import PAGE, Found, rows

RARE = {"limit", "daemon_restored", "refusal"}  # in so few seeds


def test_every_kind_of_fault_strikes() -> None:
    struck: set[str] = set()
    for seed in range(4000, 4010):
        struck |= {fault.kind for _, fault in play_through(seed).chaos.struck}
    assert struck >= {one.name for one in fields(Faults)} - RARE


def test_same_seed_same_run() -> None:
    first, second = play_through(7), play_through(7)
    assert list(first.master.repository.journal) == list(second.master.repository.journal)
    assert first.chaos.struck == second.chaos.struck


def test_without_faults_nobody_loses_anything() -> None:
    simulation = play_through(1, NONE)
    assert simulation.chaos.struck == []
    assert simulation.ledger.writes > 20
    for event in ("session_dropped", "handoff_failed", "cluster_lost", "deadline_passed", "save_lost"):
        assert simulation.counts[event] == 0, event


def test_seeds_differ_in_kind() -> None:
    mixtures = [faults_of(seed) for seed in range(20)]
    assert len({tuple(vars(mixture).items()) for mixture in mixtures}) == 20
    assert all(getattr(mixture, kind) > 0 for mixture in mixtures for kind in PEOPLE)
    assert any(mixture.daemon_death == 0 for mixture in mixtures)


def test_the_table_has_every_rule() -> None:
    found = rows()
    assert [row.rule for row in found] == [rule.name for rule in RULES], "manage.py simulate --table"
    assert {row.promise for row in found} <= set(PROMISES.values())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.rule)
def test_a_rule_switched_off_is_noticed(row: Found) -> None:
    """The seed of the table breaks the promise of the table without the rule, and none with it."""
    with switched_off(row.rule):
        failure = failure_of(row.seed)
    advice = "the code has changed: manage.py simulate --table searches anew and rewrites docs/simulation.md"
    assert failure is not None, advice
    assert PROMISES[failure.violation.kind] == row.promise, advice
    assert failure_of(row.seed) is None


def test_a_failure_is_shrunk() -> None:
    """Nearly all of what happened has nothing to do with it."""
    with switched_off("untrusted_worlds_fork"):
        whole = failure_of(3, Faults())
        least = shrink(3, Faults(), budget_s=3.0)
    assert whole is not None and least is not None
    assert least.violation.kind == whole.violation.kind
    assert len(least.faults) < len(whole.faults)
    assert any("save" in line for line in least.trace)


def test_the_page_names_every_promise() -> None:
    text = PAGE.read_text()
    assert [promise for promise in PROMISES.values() if promise not in text] == []
