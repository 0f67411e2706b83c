"""The faults of the rounds follow from the seed, and every kind comes."""

from random import Random

from tests.killing.faults import KILLED, LONG_S, STOPPED, STOPPED_LONG, draw


def test_the_same_seed_draws_the_same_faults():
    one, other = Random(7), Random(7)
    assert [draw(one, n, 25) for n in range(1, 60)] == [draw(other, n, 25) for n in range(1, 60)]


def test_200_rounds_have_every_kind_of_fault():
    chance = Random(1)
    drawn = [fault for number in range(1, 201) for fault in draw(chance, number, 25)]
    assert {fault.processes for fault in drawn if fault.how == "kill"} == set(KILLED)
    assert {fault.processes[0] for fault in drawn if fault.how == "stop"} == set(STOPPED)
    past = [fault for fault in drawn if fault.is_past_the_lease]
    assert len(past) == 8 and {fault.processes[0] for fault in past} == set(STOPPED_LONG)
    assert all(fault.seconds == LONG_S and str(fault).endswith("for 130 s") for fault in past)
    assert all(draw(chance, number, 0) for number in range(1, 50))


def test_who_was_killed_just_now_is_spared():
    chance, recent = Random(3), {"worlddaemon", "gateway", "postgres"}
    drawn = [fault for number in range(100) for fault in draw(chance, number, 0, recent)]
    assert not any(recent & set(fault.processes) for fault in drawn if fault.how == "kill")
