"""Connections that the master opens to addresses of others: looks at them first, and connects to what it saw.

For the reachability check and for webhooks. A name is resolved once, every address of it is judged, and the
connection goes to one of those that were judged: a name that answers otherwise a moment later (DNS rebinding)
changes nothing. Nothing here follows a redirect or a proxy. Each call ends in its time, the name's resolving
and all addresses included, however slowly the other end drips.
"""

import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from django.conf import settings

TIMEOUT_S = 5.0
MAX_ADDRESSES = 4  # of a name that are tried
_OWN_NETWORKS = ("localhost", "localhost.localdomain")


class OutwardRefused(ValueError):
    """An address that the master does not connect to, or a name without one; the message is for people."""


class Deadline:
    """The end of a call. A socket's own timeout begins anew with each byte, so it is none."""

    def __init__(self, within_s: float) -> None:
        self._end = time.monotonic() + within_s

    def left(self) -> float:
        """Return the seconds that are left, more than none.

        Raises: TimeoutError
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left


class _TimedReader(io.RawIOBase):
    """What a link receives, up to a deadline."""

    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        self._link = link
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._link.settimeout(self._deadline.left())
        return self._link.recv_into(buffer)


class _TimedLink:
    """As much of a socket as http.client uses, up to a deadline. Whoever made the link closes it."""

    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        self._link = link
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._link.settimeout(self._deadline.left())
        self._link.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._link, self._deadline))

    def close(self) -> None:
        """Do nothing: an answer may still be read."""


def is_local_deployment() -> bool:
    """Return whether this master serves its own machine or network only: then addresses in it are good."""
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if host in _OWN_NETWORKS:
        return True
    try:
        return not is_public(host)
    except ValueError:  # a name: somebody can reach it
        return False


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the internet, of no network of ours.

    Raises: ValueError: not an IP address.
    """
    parsed = ip_address(address.partition("%")[0])
    return all(
        one.is_global and not one.is_multicast and not one.is_reserved and not _is_site_local(one)
        for one in _meant(parsed)
    )


def _is_site_local(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is of fec0::/10, the private addresses of before fc00::/7: `is_global` calls them global."""
    return isinstance(address, IPv6Address) and address.is_site_local


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return an address, and the IPv4 addresses that it stands for (mapped, 6to4, NAT64, Teredo)."""
    if isinstance(address, IPv4Address):
        return [address]
    inner: list[IPv4Address | IPv6Address] = []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    if address.packed[:12] == bytes.fromhex("0064ff9b0000000000000000"):
        inner.append(IPv4Address(address.packed[12:]))
    return [address, *inner]


def addresses_of(host: str, *, may_be_private: bool | None = None, within_s: float = TIMEOUT_S) -> list[str]:
    """Return the IP addresses of a host, all of which may be connected to; IPv4 first.

    Args: may_be_private: None: only where the deployment is a local one.
    Raises: OutwardRefused: there is none, or one of them is no address of the internet.
    """
    if may_be_private is None:
        may_be_private = is_local_deployment()
    addresses = _resolved(host, within_s)
    for address in addresses:
        if not may_be_private and not is_public(address):
            is_name = f"{host} leads to {address}, which" if address != host else f"{address}"
            raise OutwardRefused(
                f"{is_name} is an address inside of some network: players elsewhere cannot reach it. "
                "Use the machine's public address."
            )
    return sorted(addresses, key=lambda address: ":" in address)[:MAX_ADDRESSES]


def _resolved(host: str, within_s: float) -> list[str]:
    """Return the addresses of a name. The system's resolver takes no time-out, so a thread waits for it.

    It ends by itself, after the resolver's own tries; nobody waits for that. Raises: OutwardRefused.
    """
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=within_s)
    except queue.Empty:
        raise OutwardRefused(f"The name {host} was not found in time: its DNS does not answer.") from None
    if isinstance(answer, Exception):
        raise OutwardRefused(
            f"The name {host} leads to no address. Check its spelling, and its entry in the DNS."
        ) from answer
    return answer


def connect(
    host: str, port: int, *, timeout_s: float = TIMEOUT_S, may_be_private: bool | None = None
) -> socket.socket:
    """Return a TCP connection to a host. Args: timeout_s: for all of it.

    Raises: OutwardRefused: see addresses_of. OSError: none of its addresses took the connection.
    """
    return _connect(host, port, Deadline(timeout_s), may_be_private)


def _connect(host: str, port: int, deadline: Deadline, may_be_private: bool | None) -> socket.socket:
    last: OSError | None = None
    for address in addresses_of(host, may_be_private=may_be_private, within_s=deadline.left()):
        try:
            return socket.create_connection((address, port), deadline.left())
        except OSError as error:
            last = error
    raise last or OSError("no address")


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
    may_be_private: bool | None = None,
) -> int:
    """POST to an http:// or https:// address of somebody else's. Args: timeout_s: for all of it.

    Returns: the status. What else is answered is not read.
    Raises: OutwardRefused: it is no such address, or one that is not connected to. OSError: no connection, no
        TLS, no answer in time. http.client.HTTPException: what answers is no HTTP server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OutwardRefused("The address must begin with https:// and name a host.")
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    deadline = Deadline(timeout_s)
    link = _connect(parts.hostname, port, deadline, may_be_private)
    try:
        if is_tls:
            link.settimeout(deadline.left())
            link = ssl.create_default_context().wrap_socket(link, server_hostname=parts.hostname)
        connection = http.client.HTTPConnection(parts.hostname, port)
        connection.sock = _TimedLink(link, deadline)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {**headers, "Host": parts.netloc, "Connection": "close"})
        return connection.getresponse().status
    finally:
        link.close()
