"""What a process tells of itself: its pages, and the file by which Prometheus finds them."""

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from worlds.observing import Observed, write_target

REASON = {"now": ""}


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Observed]:
    registry = CollectorRegistry()
    Counter("waystone_test_things", "Things.", registry=registry).inc(3)
    labels = {"world": "demo"}
    observed = Observed("web", ("127.0.0.1", 0), tmp_path, registry, lambda: REASON["now"], labels)
    observed.serve_in_thread()
    yield observed
    observed.close()


def get(pages: Observed, path: str) -> tuple[int, str]:
    host, port = pages.address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_it_tells_its_figures_and_how_it_is(pages: Observed) -> None:
    status, text = get(pages, "/metrics")
    assert status == 200
    assert "waystone_test_things_total 3.0" in text
    assert get(pages, "/healthz") == (200, "ok\n")
    assert get(pages, "/readyz") == (200, "ready\n")
    assert get(pages, "/admin/")[0] == 404


def test_what_cannot_work_is_alive_and_not_ready(pages: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REASON, "now", "the bus does not work")
    assert get(pages, "/healthz")[0] == 200
    assert get(pages, "/readyz") == (503, "the bus does not work\n")


def test_prometheus_finds_it_until_it_stops(pages: Observed, tmp_path: Path) -> None:
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == [
        {"targets": [pages.address], "labels": {"process": "web", "world": "demo"}}
    ]
    pages.close()
    assert not list(tmp_path.iterdir())


def test_a_second_worker_on_a_fixed_port_takes_another(pages: Observed, tmp_path: Path) -> None:
    port = int(pages.address.split(":")[1])
    other = Observed("web", ("127.0.0.1", port), tmp_path / "b", CollectorRegistry())
    assert other.address != pages.address
    other.close()


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="."):
        Observed("web", ("192.0.2.1", 0), tmp_path, CollectorRegistry())


def test_files_of_the_dead_are_cleared_away_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead, living, other = (tmp_path / name for name in ("web-4194304.json", f"web-{os.getppid()}.json", "x"))
    for file in (dead, living, other):
        file.write_text("[]")
    mine = write_target(tmp_path, "web", "127.0.0.1:1", {})
    assert sorted(tmp_path.iterdir()) == sorted([mine, living, other])


def test_a_stopped_process_ends_its_thread(pages: Observed) -> None:
    pages.close()
    for thread in threading.enumerate():
        if thread.name == "observed":
            thread.join(10)
            assert not thread.is_alive()


def test_a_page_that_cannot_be_made_ends_nobodys_loop(
    pages: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world daemon and the gateway serve from their own loops: a task that ends there ends them."""

    def broken() -> str:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(pages, "_why_not_ready", broken)
    with pytest.raises((http.client.HTTPException, OSError)):
        get(pages, "/readyz")
    assert get(pages, "/healthz") == (200, "ok\n")
