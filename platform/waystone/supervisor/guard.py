"""Ends the supervised processes when the supervisor was killed and could not.

A program of its own, run by path with `python -I -S`: standard library only. It reads lines from its
standard input, the supervisor's pipe: `+<group> <signal>` a process group lives, `-<group>` it ended. The end
of the pipe means that the supervisor is gone: every group left gets its signal, and SIGKILL after
GRACE_SECONDS.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 10.0


def read_groups(lines):
    """Return {group: signal} of the groups that still live when the lines end."""
    groups = {}
    for line in lines:
        words = line.split()
        if words and words[0].startswith("+") and len(words) == 2:
            groups[int(words[0][1:])] = int(words[1])
        elif words and words[0].startswith("-"):
            groups.pop(int(words[0][1:]), None)
    return groups


def _signal(group, number):
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    alive = {group for group, number in read_groups(sys.stdin).items() if _signal(group, number)}
    end = time.monotonic() + GRACE_SECONDS
    while alive and time.monotonic() < end:
        time.sleep(0.05)
        alive = {group for group in alive if _signal(group, 0)}
    for group in alive:
        with contextlib.suppress(ProcessLookupError):
            _signal(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
