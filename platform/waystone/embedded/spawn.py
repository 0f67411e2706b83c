"""Start one child process that cannot outlive its parent. Linux only; no threads, no asyncio."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged user that the embedded servers run as when `up` is started by root."""

    name: str
    uid: int
    gid: int


def identity(user: ServerUser | None) -> dict[str, Any]:
    """Return the arguments of subprocess that start a child as another user; none for None."""
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def _die_with_parent(death_signal: int) -> Callable[[], None]:
    """Return what the child runs between fork and exec (after it changed its user, which would undo it)."""
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    output: IO[bytes] | int,
    user: ServerUser | None = None,
    death_signal: int = signal.SIGTERM,
    cwd: Path = Path("/"),
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own; the kernel signals it when the caller's thread ends.

    Call it from the main thread: the kernel watches the thread, not the process, that forked.
    Args: death_signal: what the kernel sends then.
    Raises: OSError: the program cannot be started, or the user cannot be changed to.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        start_new_session=True,
        umask=0o077,
        preexec_fn=_die_with_parent(death_signal),
        **identity(user),
    )


def signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a child's whole process group; False if nobody is left in it."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
