"""`manage.py play` in a pipe and `manage.py bots`, as a person or a script starts them."""

import os
import secrets
import select
import string
import subprocess
import sys
import time

import pytest

from tests.end_to_end.conftest import PASSWORD
from tests.end_to_end.stack import ROOT, Stack

pytestmark = pytest.mark.end_to_end

DEADLINE_S = 180.0


def manage(
    stack: Stack, *arguments: str, typed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=stack.environment | {"WAYSTONE_PASSWORD": PASSWORD} | environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def a_name() -> str:
    return "Alice " + "".join(secrets.choice(string.ascii_lowercase) for _ in range(8)).capitalize()


def test_play_in_a_pipe(stack: Stack) -> None:
    name = a_name()
    email = name.lower().replace(" ", ".") + "@waystone.example"
    who = ("--email", email, "--world", "demo", "--character", name)
    first = manage(
        stack, "play", *who, "--register", typed="look\nn 4\nsay Hello\ngo mossgate\nwhere\ndance\nquit\n"
    )
    assert first.returncode == 0, first.stderr + first.stdout
    for expected in (
        "Harbour of Lanternrest",
        "You say: Hello",
        "Mossgate (instance",
        "Everything is saved.",
    ):
        assert expected in first.stdout
    assert "I do not know 'dance'" in first.stdout
    again = manage(stack, "play", *who, typed="where\n")
    assert again.returncode == 0, again.stderr + again.stdout
    assert "Mossgate (instance" in again.stdout, "where it logged out"
    assert "Everything is saved." in again.stdout, "the end of the input logs out"


def test_play_says_what_is_wrong(stack: Stack) -> None:
    wrong = manage(stack, "play", "--email", "nobody@waystone.example", WAYSTONE_PASSWORD="wrong on purpose")
    assert wrong.returncode == 1 and "do not belong together" in wrong.stderr
    away = manage(stack, "play", "--url", "http://127.0.0.1:1", "--email", "nobody@waystone.example")
    assert away.returncode == 1 and "does not answer" in away.stderr


def test_play_on_a_terminal(stack: Stack) -> None:
    """The full screen starts on a real terminal, draws, and quit leaves it."""
    name = a_name()
    email = name.lower().replace(" ", ".") + "@waystone.example"
    command = f"{sys.executable} manage.py play --register --email {email} --world demo --character '{name}'"
    environment = stack.environment | {"WAYSTONE_PASSWORD": PASSWORD, "TERM": "xterm-256color"}
    screen = Terminal(command, environment)
    try:
        screen.wait_for("Ways out")
        screen.type("who\r")
        screen.wait_for("You see nobody")
        screen.type("quit\r")
        screen.wait_for("Everything is saved.")
        assert screen.wait() == 0
    finally:
        screen.close()


def test_bots_come_and_go(stack: Stack) -> None:
    for how in ((), ("--trade",)):
        done = manage(stack, "bots", "-n", "3", "--seconds", "8", *how)
        assert done.returncode == 0, done.stderr + done.stdout
        assert "3 logged out" in done.stdout
    assert stack.query("select count(*) from accounts_account where email like 'bot-%%@bots.invalid'") == [
        (3,)
    ]


def test_bots_that_cannot_enter_are_an_error(stack: Stack) -> None:
    done = manage(stack, "bots", "-n", "1", "--seconds", "2", "--world", "nowhere")
    assert done.returncode == 1 and "1 of 1 bots were lost" in done.stderr


class Terminal:
    """A program on a pseudo-terminal of 100 × 32."""

    def __init__(self, command: str, environment: dict[str, str]) -> None:
        self._output = b""
        size = "stty cols 100 rows 32; "
        self._pid, self._fd = os.forkpty()
        if self._pid == 0:
            os.chdir(ROOT)
            os.execve("/bin/sh", ["sh", "-c", size + "exec " + command], environment)

    def wait_for(self, text: str) -> None:
        """Read until this text was written since the last call."""
        end = time.monotonic() + DEADLINE_S
        while text.encode() not in self._output:
            assert time.monotonic() < end, f"no {text!r} in {self._output[-3000:]!r}"
            if select.select([self._fd], [], [], 0.2)[0]:
                try:
                    self._output += os.read(self._fd, 65536)
                except OSError:
                    raise AssertionError(f"ended without {text!r}: {self._output[-3000:]!r}") from None
        self._output = b""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def close(self) -> None:
        os.close(self._fd)
