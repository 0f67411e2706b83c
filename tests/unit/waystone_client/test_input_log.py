import math

from hypothesis import given
from hypothesis import strategies as st

from waystone_client.input_log import EAGER_TICKS, STILL, InputLog, heading_of, wish_of
from zonecluster.protocol.zone_payloads import MAX_INPUTS_PER_PACKET
from zonecluster.simulation.inputs import decode_inputs

EAST, NORTH = (127, 0), (0, 127)


def records(payload: bytes | None) -> list[tuple[int, int, int, int]]:
    """Return (seq, move_x, move_y, heading) of a payload, through the server's decoder; [] for None."""
    if payload is None:
        return []
    inputs = decode_inputs([0], [payload])
    assert inputs.refused == 0
    return [tuple(record)[:4] for record in inputs.records.tolist()]


def test_a_change_is_sent_at_once_and_repeated() -> None:
    log = InputLog()
    sent = [records(log.note(tick, EAST if tick >= 10 else STILL, 0)) for tick in range(1, 16)]
    assert [bool(each) for each in sent[:9]] == [False] * 4 + [True] + [False] * 4
    assert sent[9] == [(10, 127, 0, 64)]
    assert sent[10] == [(10, 127, 0, 64), (11, 127, 0, 64)]
    assert [bool(each) for each in sent[9:]] == [True] * EAGER_TICKS + [False, True]


def test_every_fifth_tick_while_standing_and_every_second_while_walking() -> None:
    for wish, count in ((STILL, 8), (EAST, 20)):
        log = InputLog()
        for tick in range(1, 31):
            log.note(tick, wish, 0)
        sent = [log.note(tick, wish, 0) for tick in range(31, 71)]
        assert sum(each is not None for each in sent) == count


def test_one_arriving_datagram_tells_all_changes_of_the_last_second() -> None:
    log = InputLog()
    wishes = {5: EAST, 8: NORTH, 9: STILL, 14: EAST}
    wish = STILL
    for tick in range(1, 16):
        wish = wishes.get(tick, wish)
        last = log.note(tick, wish, 77)
    assert records(last) == [
        (5, 127, 0, 64),
        (8, 0, 127, 0),
        (9, 0, 0, 0),
        (14, 127, 0, 64),
        (15, 127, 0, 64),
    ]


def test_what_is_too_old_is_told_no_more() -> None:
    log = InputLog()
    sent = [records(log.note(tick, EAST if tick >= 3 else STILL, 0)) for tick in range(1, 30)]
    assert [each[0][0] for each in sent if each][-2:] == [26, 28]


def test_standing_keeps_the_heading() -> None:
    log = InputLog()
    log.note(1, EAST, 0)
    assert records(log.note(2, STILL, 0))[-1] == (2, 0, 0, 64)


@given(
    st.lists(st.tuples(st.integers(-127, 127), st.integers(-127, 127)), max_size=80),
    st.integers(0, 2**32 - 1),
)
def test_any_wishes_make_payloads_that_the_server_reads(wishes: list[tuple[int, int]], ack: int) -> None:
    log = InputLog()
    for tick, wish in enumerate(wishes, 1):
        payload = log.note(tick, wish, ack)
        told = records(payload)
        assert len(told) <= MAX_INPUTS_PER_PACKET
        assert not told or (told[-1][0] == tick and told[-1][1:3] == wish)
        assert payload is None or int.from_bytes(payload[2:6], "little") == ack


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_wishes_are_never_longer_than_the_top_speed(x: float, y: float) -> None:
    assert math.hypot(*wish_of(x, y)) <= 127
    length = max(1.0, math.hypot(x, y))
    assert math.dist(wish_of(x, y), (x / length * 127, y / length * 127)) < 1.42


def test_headings_are_clockwise_from_north() -> None:
    assert [heading_of(wish) for wish in (NORTH, EAST, (0, -127), (-127, 0))] == [0, 64, 128, 192]
