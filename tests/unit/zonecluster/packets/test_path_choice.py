"""Which packet path is chosen at start, and that the log says so."""

import sys

import pytest
import structlog

from tests.unit.zonecluster.packets.memory_socket import MemorySocket
from tests.unit.zonecluster.protocol.netcode.setting import server
from zonecluster.packets import path as paths
from zonecluster.packets.batch_path import BatchPath
from zonecluster.packets.plain_path import PlainPath


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    monkeypatch.setattr(paths, "BatchSocket", lambda bound: bound)


@pytest.fixture
def without_numba(monkeypatch):
    names = ("batch_path", "lookup", "opening", "sealing", "upkeep", "wall", "sodium_calls")
    for name in ("zonecluster.compiled", *(f"zonecluster.packets.{name}" for name in names)):
        monkeypatch.delitem(sys.modules, name, raising=False)
        package, _, attribute = name.rpartition(".")
        monkeypatch.delattr(sys.modules[package], attribute, raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)


def choose(choice):
    with structlog.testing.capture_logs() as logs:
        chosen = paths.open_path(choice, MemorySocket(), server())
    assert [entry["path"] for entry in logs if entry["event"] == "packet_path_chosen"] == [chosen.name]
    return chosen, logs[-1]["reason"]


def test_the_batch_path_is_chosen_where_numba_is():
    assert isinstance(choose("auto")[0], BatchPath)
    assert isinstance(choose("batch")[0], BatchPath)


def test_the_plain_path_may_be_asked_for():
    assert isinstance(choose("plain")[0], PlainPath)


@pytest.mark.usefixtures("without_numba")
def test_without_numba_the_plain_path_runs_and_says_why():
    chosen, reason = choose("auto")
    assert isinstance(chosen, PlainPath)
    assert "numba" in reason


@pytest.mark.usefixtures("without_numba")
def test_who_insists_on_the_batch_path_is_told_that_it_cannot_run():
    with pytest.raises(ImportError):
        paths.open_path("batch", MemorySocket(), server())
