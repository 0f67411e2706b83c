from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmark import cli
from tests.benchmark.documents import document
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.saves import Setting, check_setting, connections_of
from tests.benchmark.saves_fill import STATE_BYTES, Rows, fitting, microseconds, numbered
from tests.benchmark.saves_results import alternating, compared, fastest_of, per_second, ratio
from zonecluster.protocol.canonical import check_state
from zonecluster.protocol.character import canonical_state


def timing(seconds, saves=100):
    cpu_s = {"client": 0.1, "database": 0.2}
    return {"saves": saves, "seconds": seconds, "cpu_s": cpu_s, "batch_ms": [1.0, 3.0]}


@given(size=st.integers(min(STATE_BYTES), 9000), seed=st.integers(0, 2**32))
def test_documents_have_the_size_that_is_asked_for_and_are_canonical(size, seed):
    data = document(size, seed)
    assert len(data) == size
    assert canonical_state(data) == data


@given(size=st.integers(400, 9000), seed=st.integers(0, 2**32), turn=st.integers(1, 9))
def test_at_another_turn_there_are_the_same_things_and_other_numbers(size, seed, turn):
    first, other = document(size, seed), document(size, seed, turn)
    assert len(other) == size and check_state(other).ids == check_state(first).ids
    assert other != first


def test_documents_differ_by_seed_and_are_the_same_for_one():
    assert document(2048, 1) == document(2048, 1) != document(2048, 2)


def test_a_document_cannot_be_smaller_than_its_fields():
    with pytest.raises(ValueError, match="at least"):
        document(100, 0)


@given(
    characters=st.integers(2, 10**6),
    each=st.integers(1, 40),
    free_gb=st.floats(0.001, 500),
    more=st.integers(0, 99),
)
def test_what_is_filled_in_takes_at_most_half_of_the_free_disk(characters, each, free_gb, more):
    versions = characters * each + more % characters
    free = int(free_gb * 1e9)
    try:
        size = fitting(characters, versions, free)
    except CannotMeasure as error:
        assert "choose fewer" in str(error)
        return
    assert size.bytes <= free / 2
    assert STATE_BYTES[0] <= size.state_bytes <= STATE_BYTES[1]
    assert size.versions == size.versions_each * characters <= versions


@pytest.mark.parametrize("characters, versions", [(1, 10), (0, 0), (10, 9)])
def test_numbers_without_sense_are_refused(characters, versions):
    with pytest.raises(CannotMeasure, match="at least two"):
        fitting(characters, versions, 10**12)


def test_rows_are_in_the_form_that_copy_reads():
    rows = Rows({"id": ">i8", "name": "V3"}, 2)
    rows["id"], rows["name"] = np.array([1, 2]), np.void(b"abc")
    first = b"\0\2\0\0\0\x08\0\0\0\0\0\0\0\1\0\0\0\3abc"
    second = b"\0\2\0\0\0\x08\0\0\0\0\0\0\0\2\0\0\0\3abc"
    assert rows.data(1) == first
    assert rows.data(2) == first + second
    assert rows.columns == ("id", "name")


def test_numbers_stand_in_texts():
    texts = numbered("a-###@b", np.array([0, 7, 120]))
    assert [text.tobytes() for text in texts] == [b"a-000@b", b"a-007@b", b"a-120@b"]


def test_instants_are_microseconds_since_2000():
    assert microseconds(datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert microseconds(datetime(2000, 1, 2, 0, 0, 1, 5, tzinfo=UTC)) == 86_401_000_005


def test_a_line_is_in_a_round_once():
    check_setting(Setting(playing=20_000, saves=6_400, batch=50, worlds=(1, 8, 64)))
    with pytest.raises(CannotMeasure, match="only once"):
        check_setting(Setting(playing=640, saves=6_400, batch=50, worlds=(64,)))
    with pytest.raises(CannotMeasure, match="More characters"):
        check_setting(Setting(characters=10, playing=20, saves=2, batch=1))


def test_connections_are_two_for_a_world_and_the_web_servers_threads_at_most():
    assert [connections_of(worlds) for worlds in (1, 8, 64)] == [2, 16, 16]


def test_ways_take_turns_in_being_first():
    ran = []
    found = alternating(["raw", "services"], 3, lambda way: ran.append(way) or timing(1.0), lambda _: None)
    assert ran == ["raw", "services", "services", "raw", "raw", "services"]
    assert {way: len(rounds) for way, rounds in found.items()} == {"raw": 3, "services": 3}


def test_the_fastest_way_is_that_of_the_best_median():
    rounds = {
        "lucky": [timing(0.1), timing(2.0), timing(2.0)],
        "quick": [timing(1.0), timing(9.0), timing(1.0)],
    }
    assert fastest_of(rounds) == ("quick", {"lucky": 50, "quick": 100})


def test_cases_that_do_more_than_is_done_by_hand_are_told_and_not_judged():
    cases = Setting(sizes=(2048, 8192), worlds=(1, 8, 64)).cases
    assert [case.name for case in cases[:2]] == ["2 KB, 1 worlds", "2 KB, 8 worlds"]
    assert [(case.name, case.is_judged) for case in cases[6:]] == [
        ("8 KB, 8 worlds, HTTP", True),
        ("8 KB, 8 worlds, verified worlds", False),
        ("8 KB, 8 worlds, things change", False),
    ]
    assert [case.ways[-1] for case in cases[-3:]] == ["http", "services", "services"]
    rounds = {"raw": [timing(1.0)], "services": [timing(1.0)]}
    assert compared(rounds, "raw", "services", is_judged=False)["ok"] is None


def test_the_ratio_is_of_neighbouring_rounds():
    # The machine was slow in the second round, for both.
    rounds = {
        "raw": [timing(1.0), timing(10.0), timing(1.0)],
        "services": [timing(1.25), timing(12.5), timing(2)],
    }
    assert per_second(rounds["raw"][0]) == 100
    assert ratio(rounds, "raw", "services") == 0.8
    found = compared(rounds, "raw", "services")
    assert (found["ratio"], found["ok"], found["rounds"]) == (0.8, True, 3)
    assert (found["per_s"], found["raw_per_s"]) == (50, 100)
    assert found["raw"]["cpu_us_each"] == {"client": 1000.0, "database": 2000.0}
    assert found["raw"]["batch_ms"]["p50"] == 2.0


def test_results_are_told_in_one_line_for_people():
    rounds = {"raw": [timing(1.0)], "services": [timing(2.0)]}
    line = cli.saves_line({"name": "waystone-saves 8 KB", **compared(rounds, "raw", "services")})
    assert line.startswith("waystone-saves 8 KB: 0.5 of raw PostgreSQL") and "\n" not in line
    filled = {"name": "fill", "versions": 9, "state_bytes": 400, "database_mb": 1.5, "fill_s": 2.0}
    assert cli.saves_line(filled) == "fill: 9 versions with states of 400 bytes, 1.5 MB in 2.0 s"
    told = cli.saves_line({"test": "partitions", "name": "waystone-versions one table", "inserts_per_s": 5})
    assert told == "waystone-versions one table: inserts_per_s 5"
