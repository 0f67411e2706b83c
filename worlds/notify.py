"""Tells whoever started this process that it is ready: the supervisor, or systemd (`Type=notify`).

The protocol is systemd's sd_notify: a datagram to the Unix socket that `NOTIFY_SOCKET` names. Without that
variable nobody asked, and nothing happens.
"""

import os
import socket

import structlog

log = structlog.get_logger(__name__)


def notify_ready(status: str = "") -> None:
    """Say that this process has begun to do its work; `status` is one line for people."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux' abstract names
    message = "READY=1" + (f"\nSTATUS={status}" if status else "")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), address)
    except OSError as error:  # the work goes on; the starter will say that it never heard of us
        log.warning("notify_ready_failed", address=address, error=str(error))
