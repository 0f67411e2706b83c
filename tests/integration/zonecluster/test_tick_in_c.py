"""The whole tick and the same tick in C send the same bytes: each confirms the other. Real sockets."""

import json
import shutil

import pytest

from tests.benchmark.tick import compare

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler"
)


@pytest.mark.parametrize(
    "workload, players, bytes_per_s",
    [("zone", 150, 16_000), ("hotspot", 40, 16_000), ("box", 90, 4_000), ("zone", 70, 5_000)],
)
def test_all_snapshots_are_equal_byte_by_byte(workload, players, bytes_per_s):
    result = compare(players, workload, rounds=25, bytes_per_s=bytes_per_s)
    assert result["payloads_compared"] == players * 25
    assert result["payloads_different"] == 0, result["first_difference"]
    assert json.loads(json.dumps(result))["n"] == players
    burst = max(1150, bytes_per_s / 4) / 25  # what a new link may be sent at once, spread over the rounds
    assert 50 < result["payload_bytes"] <= bytes_per_s / 20 + burst
