"""Which implementation is chosen at start, and that the log says so."""

import sys

import pytest
import structlog

from zonecluster.interest.choice import open_interest
from zonecluster.interest.grid import GridInterest
from zonecluster.interest.tree import TreeInterest


@pytest.fixture
def without_numba(monkeypatch):
    for name in ("zonecluster.interest.grid", "zonecluster.interest.kernels", "zonecluster.compiled"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)


def choose(choice):
    with structlog.testing.capture_logs() as logs:
        chosen = open_interest(choice)
    assert [entry["interest"] for entry in logs if entry["event"] == "interest_chosen"] == [chosen.name]
    return chosen, logs[-1]["reason"]


@pytest.mark.parametrize("choice", ["auto", "batch"])
def test_the_grid_is_chosen_where_numba_is(choice):
    assert isinstance(choose(choice)[0], GridInterest)


def test_the_tree_may_be_asked_for():
    assert isinstance(choose("plain")[0], TreeInterest)


@pytest.mark.usefixtures("without_numba")
def test_without_numba_the_tree_is_taken_and_the_log_says_why():
    chosen, reason = choose("auto")
    assert isinstance(chosen, TreeInterest)
    assert "numba" in reason


@pytest.mark.usefixtures("without_numba")
def test_who_insists_on_compiled_code_is_told_that_it_cannot_run():
    with pytest.raises(ImportError):
        open_interest("batch")
