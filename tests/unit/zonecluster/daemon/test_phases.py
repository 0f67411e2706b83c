import numpy as np

from zonecluster.daemon.phases import INDEX, REMEMBERED_TICKS, Phases


def test_laps_of_a_tick_are_summed_by_phase_and_the_next_tick_begins_at_nothing() -> None:
    now = [0.0]
    phases = Phases(lambda: now[0])
    for phase, took in (("links", 1.0), ("send", 2.0), ("send", 3.0)):
        now[0] += took
        phases.lap(phase)
    phases.end_tick()
    now[0] += 100
    phases.start()
    now[0] += 4
    phases.lap("rest")
    phases.end_tick()
    first, second = phases.last()
    assert (first[INDEX["links"]], first[INDEX["send"]]) == (1.0, 5.0)
    assert second.sum() == second[INDEX["rest"]] == 4.0


def test_old_ticks_are_forgotten() -> None:
    now = [0.0]
    phases = Phases(lambda: now[0])
    for tick in range(REMEMBERED_TICKS + 10):
        phases.start()
        now[0] += tick
        phases.lap("rest")
        phases.end_tick()
    kept = phases.last()[:, INDEX["rest"]]
    np.testing.assert_array_equal(kept, np.arange(10, REMEMBERED_TICKS + 10))
    assert len(phases.last(3)) == 3
