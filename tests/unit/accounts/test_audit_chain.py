"""The hash chain of the audit record: whatever is changed, taken out, put in or cut off is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from accounts.audit_chain import FIRST, Deed, Head, Sealed, chained, faults

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def deed(number: int, **fields) -> Deed:
    said = {"detail": {"reason": "dupes"}, "before": {"tier": "open"}, "after": {"tier": "verified"}}
    told = {"world_slug": "", "action": "world_tier_set", "target": "haven", **said, **fields}
    return Deed(id=number, at=NOON + timedelta(minutes=number), account_id=7, **told)


def sealed(*deeds: Deed) -> list[Sealed]:
    head, rows = Head(), []
    for each in deeds:
        head = chained(head, each)
        rows.append(Sealed(head.position, head.chain, each))
    return rows


@pytest.fixture
def rows() -> list[Sealed]:
    return sealed(*(deed(number) for number in (3, 1, 2, 9)))


def head_of(row: Sealed) -> Head:
    return Head(row.position, row.chain)


def test_a_whole_chain_has_no_faults_and_knows_each_of_its_heads(rows):
    assert list(faults(rows)) == [] and list(faults([])) == []
    for row in rows:
        assert list(faults(rows, head_of(row))) == []
    assert list(faults([], Head())) == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": 4},
        {"at": NOON},
        {"account_id": None},
        {"world_slug": "cairn"},
        {"action": "world_renamed"},
        {"target": "heaven"},
        {"detail": {"reason": "dupes "}},
        {"before": None},
        {"after": {"tier": "official"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_field_counts(rows, change):
    rows[1] = replace(rows[1], deed=replace(rows[1].deed, **change))
    (fault,) = faults(rows)
    assert fault.startswith("Position 2 (") and "not what was sealed" in fault


def test_neighbouring_fields_cannot_be_shifted_into_each_other():
    one = deed(1, action="ab", target="c")
    assert chained(Head(), one) != chained(Head(), replace(one, action="a", target="bc"))


def test_an_instant_is_the_same_in_every_time_zone():
    east = timezone(timedelta(hours=9))
    one = deed(1)
    assert chained(Head(), one) == chained(Head(), replace(one, at=one.at.astimezone(east)))


def test_rows_taken_out_are_named(rows):
    assert list(faults(rows[:1] + rows[2:]))[0] == "Position 2 is gone."
    assert list(faults(rows[3:]))[0] == "Positions 1 to 3 are gone."


def test_rows_exchanged_or_put_in_are_told(rows):
    first, second = rows[1], rows[2]
    exchanged = [
        rows[0],
        replace(first, deed=second.deed),
        replace(second, deed=first.deed),
        rows[3],
    ]
    assert len(list(faults(exchanged))) == 2
    forged = Sealed(5, b"x" * 32, deed(10))
    assert "Position 5" in list(faults([*rows, forged]))[0]


def test_a_chain_that_is_cut_off_or_written_anew_is_told_by_a_head_kept_elsewhere(rows):
    kept = head_of(rows[-1])
    assert list(faults(rows[:2])) == []  # by itself it looks whole: that is why heads are kept elsewhere
    assert "cut off, or written anew" in list(faults(rows[:2], kept))[0]
    anew = sealed(*(replace(row.deed, target="nothing") for row in rows))
    assert list(faults(anew)) == []
    assert "cut off, or written anew" in list(faults(anew, kept))[0]


def test_a_head_is_written_and_read():
    head = chained(Head(), deed(1))
    assert Head.parse(f" {head} ") == head
    assert Head.parse(f"0:{FIRST.hex()}") == Head()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1:",
        "-1:" + "0" * 64,
        "1:" + "g" * 64,
        "1:" + "0" * 63,
        "²:" + "0" * 64,
        "9" * 19 + ":" + "0" * 64,
    ],
)
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError):
        Head.parse(text)
