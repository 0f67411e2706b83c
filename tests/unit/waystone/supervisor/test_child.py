"""Words for the ways a process ends."""

import signal

import pytest

from waystone.supervisor.child import exit_reason


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGKILL, "killed by SIGKILL"),
        (-99, "killed by signal 99"),
    ],
)
def test_exit_reason(code, words):
    assert exit_reason(code) == words
