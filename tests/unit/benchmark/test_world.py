"""The figures of a whole world: percentiles, what processes say of themselves, and the pack."""

from pathlib import Path

from tests.benchmark.world import CLUSTERS, ZONES, Reading, compare, percentiles, write_pack
from worlds.content.files import load_pack


def test_percentiles_of_few_and_none() -> None:
    assert percentiles([]) == {}
    assert percentiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p99": 3.0, "max": 3.0}
    assert percentiles([float(n) for n in range(1, 201)])["p99"] == 199.0


def test_what_a_process_did_is_told_by_second_and_tick() -> None:
    before = {"gateway": Reading(1.0, 100, 10), "web": Reading(0.0, 0, 0)}
    after = {"gateway": Reading(3.0, 300, 50), "web": Reading(1.0, 0, 0), "new": Reading(9.0, 9, 9)}
    told = compare(before, after, seconds=10.0)
    assert told["gateway"] == {"cores": 0.2, "messages_a_tick": 1.0, "batches_a_tick": 0.2}
    assert set(told) == {"gateway", "web"}, "one that came later says nothing"


def test_the_ring_is_content_that_can_be_imported(tmp_path: Path) -> None:
    write_pack(tmp_path)
    pack, warnings = load_pack(tmp_path)
    assert not warnings
    assert len(pack.zones) == ZONES
    assert {zone.cluster for zone in pack.zones} == {f"ring-{number}" for number in range(CLUSTERS)}
