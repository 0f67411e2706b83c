import os
import socket
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmark import machine
from tests.benchmark.machine import Histogram, Second, cpu_ticks, instability, socket_drops


def sample(at, *, server=0, kernel=0, client=0, busy=(0, 0), waited=(0.0, 0.0)):
    """Return a Sample's fields; CPU in ticks of a second of HERTZ."""
    return SimpleNamespace(
        at=at, server=server, server_kernel=kernel, client=client, busy=list(busy), waited=waited
    )


def test_histogram_quantiles_are_buckets_of_a_quarter_of_a_millisecond():
    histogram = Histogram()
    histogram.add(np.arange(1, 101) * 0.5)
    assert histogram.out() == {"n": 100, "mean": 25.25, "p50": 25.0, "p95": 47.5, "p99": 49.5, "max": 50.0}


def test_histogram_keeps_what_is_beyond_its_last_bucket():
    histogram = Histogram()
    histogram.add(np.array([1e6, -1.0]))
    assert histogram.out()["max"] == 1e6
    assert histogram.out()["p99"] == machine.TOP_MS
    assert histogram.out()["n"] == 2


def test_an_empty_histogram_says_so():
    histogram = Histogram()
    histogram.add(np.empty(0))
    assert histogram.out() == {"n": 0}


@given(st.lists(st.lists(st.floats(0, 6000)), max_size=4))
def test_merged_histograms_are_one_of_all_values(parts):
    merged, whole = Histogram(), Histogram()
    for part in parts:
        one = Histogram()
        one.add(np.array(part, float))
        merged.merge(one)
        whole.add(np.array(part, float))
    assert merged.out().get("n") == whole.out().get("n") == sum(map(len, parts))
    assert merged.out().get("p99") == whole.out().get("p99")


def test_instability_is_0_for_a_perfect_clock_and_grows_with_jumps():
    assert instability(np.full(100, 50.0)) == 0
    assert instability(np.full(100, 20.0)) == 0  # faster than the budget counts as the budget
    # 50, 150, 50, 150: each step of 100 ms; 4 intervals last 400 ms, so 8 were expected.
    assert instability(np.array([50.0, 150.0, 50.0, 150.0])) == pytest.approx(300 / (2 * 50 * 8))
    assert instability(np.array([50.0])) is None


def test_a_second_is_clean_when_nobody_else_used_the_cores_and_the_one_before_was_calm():
    hertz = machine.HERTZ
    before = sample(0.0)
    after = sample(
        1.0, server=hertz // 2, kernel=hertz // 4, client=hertz // 4, busy=(hertz // 2, hertz // 4)
    )
    calm = Second(before, after, was_clean=True)
    assert (calm.is_calm, calm.is_clean) == (True, True)
    assert (calm.server_cpu, calm.server_kernel_cpu, calm.client_cpu) == (50, 25, 25)
    assert calm.foreign == (0, 0)
    assert not Second(before, after, was_clean=False).is_clean


@pytest.mark.parametrize(
    "core, waited_ms, is_calm", [(0, 29.0, True), (0, 31.0, False), (1, 49.0, True), (1, 51.0, False)]
)
def test_others_on_a_core_matter_when_our_thread_waited_for_it(core, waited_ms, is_calm):
    busy, waited = [0, 0], [0.0, 0.0]
    busy[core], waited[core] = machine.HERTZ // 5, waited_ms
    second = Second(sample(0.0), sample(1.0, busy=busy, waited=tuple(waited)), was_clean=True)
    assert second.is_calm == is_calm


def test_own_cpu_time_is_read_from_the_kernel():
    own, kernel = cpu_ticks(os.getpid())
    times = os.times()
    assert abs(own / machine.HERTZ - times.user) < 1
    assert abs(kernel / machine.HERTZ - times.system) < 1


def test_datagrams_that_nobody_read_are_counted():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.bind(("127.0.0.1", 0))
        port = reader.getsockname()[1]
        assert socket_drops(os.getpid(), port) == 0
        for _ in range(200):
            sender.sendto(bytes(1000), ("127.0.0.1", port))
        assert 0 < socket_drops(os.getpid(), port) < 200
    assert socket_drops(os.getpid(), port) == 0  # closed: nobody has this port
