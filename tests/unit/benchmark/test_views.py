"""The judge of views must see what is wrong with them: snapshots here are written by hand."""

import numpy as np

from tests.benchmark import views
from tests.benchmark.views import ViewCheck
from zonecluster.protocol.zone_payloads import ENTITY, MAX_NEAREST, SNAPSHOT, SNAPSHOT_HEADER, WHOLE

EXTENT = 655.35  # metres: a step of a position is 1 cm
TICKS = 40


def entities(count):
    """Return players in a row, 1 m apart."""
    records = np.zeros(count, ENTITY)
    records["id"] = np.arange(count) | 1 << 16
    records["x"] = np.arange(count) * 100
    return records


def payload(tick, own, shown):
    """Return a whole snapshot."""
    header = np.zeros(1, SNAPSHOT_HEADER)
    header["kind"], header["slots"], header["tick"], header["instance"] = SNAPSHOT, len(shown), tick, 1
    mask = np.packbits(np.ones(len(shown), bool), bitorder="little").tobytes()
    changes = b"".join(bytes([WHOLE]) + record.tobytes() for record in shown)
    return header.tobytes() + own.tobytes() + mask + changes


def judged(count, change=lambda number, shown: shown, sample=2):
    """Let everybody see the nearest as `change` has it; returns what the check says."""
    check, everybody = ViewCheck(count, EXTENT, sample), entities(count)
    for tick in range(1, TICKS + 1):
        rows = []
        for number in range(count):
            order = np.argsort(
                np.abs(everybody["x"].astype(int) - int(everybody["x"][number])), kind="stable"
            )
            rows.append(
                payload(tick, everybody[number], change(number, everybody[order[1 : MAX_NEAREST + 1]]))
            )
        lengths = np.array(list(map(len, rows)))
        data = np.zeros((count, lengths.max()), np.uint8)
        for number, row in enumerate(rows):
            data[number, : len(row)] = np.frombuffer(row, np.uint8)
        head = np.ascontiguousarray(data[:, : SNAPSHOT_HEADER.itemsize]).view(SNAPSHOT_HEADER)[:, 0]
        check.note(np.arange(count), lengths, head, data)
    return check.out()


def test_right_views_are_found_right():
    found = judged(80)
    assert found["decoded"] == 2 * TICKS and found["judged"] == (2 * TICKS - 16) // views.JUDGED_EVERY
    assert found["records"] == found["judged"] * MAX_NEAREST
    assert (found["stale"], found["missing"]) == (0, 0)


def test_somebody_near_who_is_not_shown_is_missing():
    def farther_instead_of_nearest(number, shown):
        return np.concatenate([shown[1:], entities(80)[[79 - number]]])

    assert judged(80, farther_instead_of_nearest, sample=1)["missing"] > 0


def test_with_places_left_everybody_must_be_shown():
    found = judged(10, lambda number, shown: shown[:-1])
    assert found["missing"] == found["judged"] > 0


def test_a_record_that_its_owner_was_told_otherwise_is_stale():
    def moved(number, shown):
        shown = shown.copy()
        shown["heading"][0] += 1
        return shown

    found = judged(10, moved)
    assert found["stale"] == found["judged"] > 0


def test_what_cannot_be_decoded_is_counted_by_its_reason():
    check, own = ViewCheck(1, EXTENT), entities(1)
    data = np.frombuffer(payload(5, own[0], own[:0]), np.uint8)[None].copy()
    head = data[:, : SNAPSHOT_HEADER.itemsize].copy().view(SNAPSHOT_HEADER)[:, 0]
    for _ in range(2):
        check.note(np.array([0]), np.array([data.shape[1]]), head, data)
    assert check.out()["decoded"] == 1 and check.out()["old"] == 1
