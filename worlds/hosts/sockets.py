"""The Unix socket on which the agent of the daemon's own machine comes: in a folder that only its user can
enter.

A path of a socket has at most 107 bytes, and a state directory may be deeper: so both sides reach it by way
of
`/proc/self/fd`, which is short.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKLOG = 16


def own_socket_path(state_dir: Path, world: str) -> Path:
    """Return where the daemon of a world listens for the agent of its own machine."""
    return state_dir / "run" / f"hosts-{world}.sock"


def listen(path: Path) -> socket.socket:
    """Listen; what a dead daemon has left there goes away. Only one daemon of a world runs: it has the
    world's lock.

    Raises: OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        with _short(path) as short:
            listener.bind(short)
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """Connect; it is done at once or not at all. Raises: OSError."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setblocking(False)
    try:
        with _short(path) as short:
            client.connect(short)
    except OSError:
        client.close()
        raise
    return client


@contextmanager
def _short(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
