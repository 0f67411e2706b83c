"""How a process comes to its check of documents, and that saves never wait for it nor depend on it."""

import sys
import threading

import pytest

from characters.checking import Checking
from tests.benchmark.documents import document
from zonecluster.documents.compiled_check import check as compiled_check
from zonecluster.protocol.canonical import check_state
from zonecluster.protocol.character import InvalidState

DATA = document(2048, 1)


def test_it_checks_in_plain_python_before_anything_is_prepared():
    checking = Checking()
    assert checking.check(DATA) == check_state(DATA)
    assert checking._quickest is None


@pytest.mark.parametrize("choice", ["auto", "batch"])
def test_compiled_code_is_taken_where_it_is(choice):
    checking = Checking()
    checking.prepare(choice)
    assert checking._quickest is compiled_check
    assert checking.check(DATA) == checking.check(b" " + DATA) == check_state(DATA)
    with pytest.raises(InvalidState, match="money"):
        checking.check(b'{"money":-1}')


def test_plain_is_plain():
    checking = Checking()
    checking.prepare("plain")
    assert checking._quickest is None


@pytest.mark.parametrize("choice", ["auto", "batch"])
def test_where_it_cannot_be_had_saves_are_checked_all_the_same(choice, monkeypatch):
    monkeypatch.setitem(sys.modules, "zonecluster.compiled", None)
    checking = Checking()
    checking.prepare(choice)
    assert checking._quickest is None
    assert checking.check(DATA) == check_state(DATA)


def test_nobody_waits_for_the_compiler(monkeypatch):
    is_compiled = threading.Event()

    def slow(choice, part, compiled, plain):
        assert is_compiled.wait(30)
        return (lambda data: None), "at last"

    monkeypatch.setattr("characters.checking.choose_way", slow)
    checking = Checking()
    checking.prepare_beside("auto")
    assert checking.check(DATA) == check_state(DATA)
    assert checking._quickest is None
    is_compiled.set()
    for thread in threading.enumerate():
        if thread.name == "document-check":
            thread.join(30)
    assert checking._quickest is not None
    assert checking.check(DATA) == check_state(DATA)
