"""The zone links' socket: bound, non-blocking, with wide buffers; IPv4, IPv6, or both at once."""

import errno
import socket
from ipaddress import ip_address

import structlog

log = structlog.get_logger(__name__)

SOCKET_BUFFER_BYTES = 8 * 1024 * 1024  # several ticks of everybody's datagrams
SMALL_BUFFER_BYTES = 1024 * 1024  # less than this loses inputs of a thousand players in a long tick
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # of Linux: beyond net.core.*mem_max, for the privileged


class CannotBind(RuntimeError):
    """There is no listening on this address and port; the message says what to do."""


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a non-blocking UDP socket; `::` takes IPv4 too, whose senders are then `::ffff:a.b.c.d`.

    Raises: CannotBind.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4]
        is_ipv6 = ip_address(str(address[0]).partition("%")[0]).version == 6
        bound = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if is_ipv6:  # whatever the system's own default is (net.ipv6.bindv6only)
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotBind(
                f"UDP port {port} on {host} is taken by another process. End it, or give the cluster another "
                f"port in the admin (ss -lunp 'sport = :{port}' shows who has it)."
            ) from error
        raise CannotBind(f"Cannot listen on UDP {host} port {port}: {error.strerror or error}.") from error
    bound.setblocking(False)
    widen_buffers(bound)
    return bound


def widen_buffers(bound: socket.socket) -> None:
    """Ask for room for a long tick's datagrams, and say what to do where the system gives little."""
    for forced, plain in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            bound.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER_BYTES)
        except OSError:  # not privileged, or another system
            bound.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER_BYTES)
    given = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if given < SMALL_BUFFER_BYTES:
        log.warning(
            "udp_buffer_small",
            bytes=given,
            advice=f"sysctl -w net.core.rmem_max={SOCKET_BUFFER_BYTES}, and wmem_max likewise",
        )
