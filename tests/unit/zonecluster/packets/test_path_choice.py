"""Which packet path is chosen at start, and that the log says so."""

import sys

import pytest
import structlog

from tests.unit.zonecluster.packets.memory_socket import MemorySocket
from tests.unit.zonecluster.protocol.netcode.setting import server
from zonecluster.daemon.config import CannotStart, ClusterConfig
from zonecluster.daemon.zone_links import ZoneLinks
from zonecluster.packets import path as paths
from zonecluster.packets.batch_path import BatchPath
from zonecluster.packets.plain_path import PlainPath


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    monkeypatch.setattr(paths, "BatchSocket", lambda bound: bound)


def no_numba(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "numba", None)


def no_sodium(monkeypatch, tmp_path):
    (tmp_path / "_sodium.so").write_text("not a library")
    monkeypatch.setattr("zonecluster.packets.sodium._sodium.__file__", str(tmp_path / "_sodium.so"))


def another_sodium(monkeypatch, tmp_path):
    monkeypatch.setattr("zonecluster.packets.sodium.NEEDED", ("crypto_of_tomorrow",))


def big_endian(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "byteorder", "big")


def another_system(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "sunos5")


def no_place_for_the_code(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "file" / "cache"))


def another_numba(monkeypatch, tmp_path):
    def njit(**options):
        raise KeyError("Unrecognized options: {'_nrt'}")

    monkeypatch.setattr("numba.njit", njit)


# What may be wrong with a machine, and a word by which the log names it
LACKS = {
    no_numba: "numba",
    no_sodium: "_sodium.so cannot be loaded",
    another_sodium: "lacks crypto_of_tomorrow",
    big_endian: "big-endian",
    another_system: "sunos5",
    no_place_for_the_code: "no place for compiled code",
    another_numba: "_nrt",
}


@pytest.fixture(params=LACKS, ids=lambda lack: lack.__name__)
def lack(request, monkeypatch, tmp_path):
    """A process that has imported none of the compiled code yet, on a machine that cannot run it."""
    modules = ("batch_path", "lookup", "opening", "sealing", "upkeep", "wall", "sodium_calls")
    for name in ("zonecluster.compiled", *(f"zonecluster.packets.{name}" for name in modules)):
        monkeypatch.delitem(sys.modules, name, raising=False)
        package, _, attribute = name.rpartition(".")
        monkeypatch.delattr(sys.modules[package], attribute, raising=False)
    request.param(monkeypatch, tmp_path)
    return LACKS[request.param]


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


def test_where_the_batch_path_cannot_run_the_plain_one_does_and_says_why(lack):
    chosen, reason = choose("auto")
    assert isinstance(chosen, PlainPath)
    assert lack in reason


def test_who_insists_on_the_batch_path_is_told_why_it_cannot_run(lack):
    with pytest.raises((ImportError, RuntimeError, OSError), match=lack):
        paths.open_path("batch", MemorySocket(), server())


def test_a_cluster_told_to_run_the_batch_path_does_not_start_without_it(lack):
    config = ClusterConfig("demo", "east", "127.0.0.1", 0, ("127.0.0.1",), 10, packet_path="batch")
    with pytest.raises(CannotStart, match=f"(?s){lack}.*WAYSTONE_PACKET_PATH=auto"):
        ZoneLinks(config)
