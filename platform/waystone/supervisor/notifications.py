"""The receiving end of sd_notify: one Unix socket for each supervised process (see worlds/notify.py)."""

import shutil
import socket
import tempfile
from pathlib import Path


class Notifications:
    """Hears which processes say that they are ready."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="waystone-up-", dir="/tmp"))  # a short path, mode 0700
        self._sockets: dict[str, socket.socket] = {}

    def address_for(self, name: str) -> str:
        """Return the NOTIFY_SOCKET of one process; what an earlier life of it said is forgotten."""
        if name not in self._sockets:
            receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            receiver.setblocking(False)
            receiver.bind(str(self._folder / name))
            self._sockets[name] = receiver
        self.is_ready(name)
        return str(self._folder / name)

    def is_ready(self, name: str) -> bool:
        """Return whether READY=1 has come since this was asked last."""
        has_come = False
        while True:
            try:
                message = self._sockets[name].recv(4096)
            except BlockingIOError:
                return has_come
            has_come = has_come or b"READY=1" in message.split(b"\n")

    def close(self) -> None:
        """Close and remove the sockets."""
        for receiver in self._sockets.values():
            receiver.close()
        shutil.rmtree(self._folder, ignore_errors=True)
