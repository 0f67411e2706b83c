"""What the guard takes from the supervisor's pipe."""

import signal

from waystone.supervisor.guard import read_groups


def test_groups_that_ended_are_forgotten_and_the_others_keep_their_signal():
    lines = [f"+100 {signal.SIGTERM:d}\n", f"+200 {signal.SIGINT:d}\n", "-100\n"]
    assert read_groups(lines) == {200: signal.SIGINT}


def test_a_line_that_was_cut_off_harms_nothing():
    assert read_groups(["+100 15\n", "\n", "-300\n", "+7\n", "+"]) == {100: 15}
