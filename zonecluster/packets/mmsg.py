"""recvmmsg and sendmmsg over arrays: many datagrams by one system call. Linux, 64 bit, little-endian.

A header is a `struct mmsghdr` as eight u64 words: name pointer, name length, iovec pointer, iovec count,
control pointer, control length, flags, message length (in the low half of each, where they are shorter).
An address is a sockaddr_in or sockaddr_in6 as four u64 words, zero-padded.
"""

import ctypes
import select
import socket
import sys
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

import numpy as np

from zonecluster.protocol.netcode import Address

NAME, NAME_LENGTH, IOVEC, IOVEC_COUNT, CONTROL, CONTROL_LENGTH, FLAGS, LENGTH = range(8)
HEADER_WORDS = 8
ADDRESS_WORDS = 4
IPV4_NAME_BYTES, IPV6_NAME_BYTES = 16, 28
MSG_DONTWAIT = int(getattr(socket, "MSG_DONTWAIT", 0))
MSG_TRUNC = int(getattr(socket, "MSG_TRUNC", 0))  # tell the whole length of a datagram that did not fit

_libc = ctypes.CDLL(None, use_errno=True)
_POINTER = ctypes.c_void_p


class NoBatches(RuntimeError):
    """This machine has no recvmmsg as this module calls it."""


def check_machine() -> None:
    """Raises: NoBatches: another system or byte order."""
    if sys.platform != "linux" or sys.byteorder != "little" or ctypes.sizeof(_POINTER) != 8:
        raise NoBatches(f"{sys.platform}, {sys.byteorder}-endian: batches need 64-bit little-endian Linux")
    if not hasattr(_libc, "recvmmsg") or not hasattr(_libc, "sendmmsg"):
        raise NoBatches("the C library has no recvmmsg or sendmmsg")


class Messages(NamedTuple):
    """Room for a batch: headers (n, 8) u64, iovecs (n, 2) u64, names (n, 4) u64, buffers (n, size) u8."""

    headers: np.ndarray
    iovecs: np.ndarray
    names: np.ndarray
    buffers: np.ndarray


def make_messages(count: int, size: int) -> Messages:
    """Return a batch whose headers point to its own buffers and names. It must not be copied."""
    messages = Messages(
        np.zeros((count, HEADER_WORDS), np.uint64),
        np.zeros((count, 2), np.uint64),
        np.zeros((count, ADDRESS_WORDS), np.uint64),
        np.zeros((count, size), np.uint8),
    )
    rows = np.arange(count, dtype=np.uint64)
    messages.headers[:, NAME] = messages.names.ctypes.data + rows * np.uint64(8 * ADDRESS_WORDS)
    messages.headers[:, NAME_LENGTH] = 8 * ADDRESS_WORDS
    messages.headers[:, IOVEC] = messages.iovecs.ctypes.data + rows * np.uint64(16)
    messages.headers[:, IOVEC_COUNT] = 1
    messages.iovecs[:, 0] = messages.buffers.ctypes.data + rows * np.uint64(size)
    messages.iovecs[:, 1] = size
    return messages


class BatchSocket:
    """A non-blocking UDP socket by whole batches. Errors are numbers here, not exceptions."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._poll = select.poll()
        self._poll.register(bound, select.POLLOUT)

    def receive(self, messages: Messages) -> tuple[int, int]:
        """Fill the batch with what has arrived; returns (datagrams, 0), or (-1, errno).

        A datagram longer than its buffer is cut, but its length is told as it was.
        """
        messages.headers[:, NAME_LENGTH] = 8 * ADDRESS_WORDS  # the kernel puts the real one there
        headers = _POINTER(messages.headers.ctypes.data)
        flags = MSG_DONTWAIT | MSG_TRUNC
        count = _libc.recvmmsg(self._socket.fileno(), headers, len(messages.headers), flags, _POINTER(None))
        return count, ctypes.get_errno() if count < 0 else 0

    def send(self, messages: Messages, start: int, stop: int) -> tuple[int, int]:
        """Send headers start..stop; returns (how many went, 0), or (-1, errno) when the first did not."""
        first = _POINTER(messages.headers.ctypes.data + start * 8 * HEADER_WORDS)
        count = _libc.sendmmsg(self._socket.fileno(), first, stop - start, MSG_DONTWAIT)
        return count, ctypes.get_errno() if count < 0 else 0

    def send_one(self, data: bytes, address: Address) -> bool:
        """Send one datagram; False when the kernel does not take it."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            return False
        return True

    def wait_for_room(self, seconds: float) -> None:
        """Wait until the kernel takes datagrams again, but not longer than that."""
        self._poll.poll(round(seconds * 1000))


def address_words(address: Address) -> tuple[np.ndarray, int]:
    """Return an address as (4,) u64 and the length of its sockaddr.

    Raises: ValueError: the host is no IP address.
    """
    host, _, scope = address[0].partition("%")
    parsed = ip_address(host)
    port = address[1].to_bytes(2, "big")
    if isinstance(parsed, IPv4Address):
        packed, length = socket.AF_INET.to_bytes(2, "little") + port + parsed.packed, IPV4_NAME_BYTES
    else:
        family = socket.AF_INET6.to_bytes(2, "little")
        number = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope) if scope else 0
        packed = family + port + b"\0\0\0\0" + parsed.packed + number.to_bytes(4, "little")
        length = IPV6_NAME_BYTES
    return np.frombuffer(packed.ljust(8 * ADDRESS_WORDS, b"\0"), np.uint64), length


def address_of(words: np.ndarray) -> Address:
    """Return (host, port) of a sockaddr that the kernel gave, as recvfrom would."""
    raw = words.tobytes()
    port = int.from_bytes(raw[2:4], "big")
    if int.from_bytes(raw[:2], "little") == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    host = socket.inet_ntop(socket.AF_INET6, raw[8:24])
    scope = int.from_bytes(raw[24:28], "little")
    return (f"{host}%{scope}" if scope else host), port
