"""The benchmark of saves runs: a PostgreSQL of its own, a few hundred characters. No figures here."""

import pytest

from tests.benchmark import cli, saves, saves_raw

SMALL = saves.Setting(
    characters=300,
    versions=900,
    playing=200,
    rounds=1,
    saves=40,
    batch=10,
    leases=20,
    sizes=(2048,),
    worlds=(1, 4),
    has_partitions=True,
)


@pytest.fixture(scope="module")
def results():
    return list(saves.measure(SMALL))


def test_every_case_has_its_line(results):
    assert [result["name"] for result in results] == [
        "waystone-saves-fill 300",
        "waystone-saves 2 KB, 1 worlds",
        "waystone-saves 2 KB, 4 worlds",
        "waystone-saves 2 KB, 4 worlds, HTTP",
        "waystone-saves 2 KB, 4 worlds, verified worlds",
        "waystone-saves 2 KB, 4 worlds, things change",
        "waystone-leases 2 connections",
        "waystone-leases 8 connections",
        "waystone-versions one table",
        "waystone-versions 16 by line",
        "waystone-versions 16 by time",
    ]
    assert all(result["ratio"] > 0 for result in results[1:])
    assert all("\n" not in cli.saves_line(result) for result in results)


def test_all_ways_wrote_all_that_they_were_given(results):
    # The worker itself looks after each round whether every head moved and every version is there.
    fill, of_one = results[0], results[1]
    assert (fill["characters"], fill["versions"], fill["state_bytes"]) == (300, 900, 2048)
    assert set(of_one["raw_ways_per_s"]) == set(saves_raw.WAYS)
    assert of_one["raw_way"] in of_one["raw_ways_per_s"]
    assert {"client", "database"} == set(of_one["ours"]["cpu_us_each"])
    assert {"client", "database", "web"} == set(results[3]["ours"]["cpu_us_each"])


def test_a_kept_folder_is_of_one_size(tmp_path):
    (tmp_path / "filled.json").write_text('{"wanted": [5, 10]}')
    setting = saves.Setting(characters=300, versions=900, playing=64, saves=2, batch=1, folder=tmp_path)
    with pytest.raises(saves.CannotMeasure, match="name another folder"):
        next(saves.measure(setting))
