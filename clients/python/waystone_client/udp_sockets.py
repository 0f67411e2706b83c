"""UDP sockets for a zone link: one for each IP family among the addresses of its connect token."""

import asyncio
import errno

ANY_HOST = {False: "0.0.0.0", True: "::"}  # by whether it is IPv6
# The system's word for: from here nothing ever gets there.
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
Address = tuple[str, int]


class UdpSockets:
    """What a protocol sends and receives by, whichever family its server has."""

    def __init__(self) -> None:
        self._transports: dict[bool, asyncio.DatagramTransport] = {}

    async def open(self, addresses: tuple[Address, ...], protocol: asyncio.DatagramProtocol) -> None:
        """Open a socket for each family. One that this machine does not have is left out.

        Raises: OSError: it has none of them.
        """
        loop = asyncio.get_running_loop()
        for is_ipv6 in {":" in host for host, _ in addresses}:
            try:
                local = (ANY_HOST[is_ipv6], 0)
                self._transports[is_ipv6], _ = await loop.create_datagram_endpoint(
                    lambda: protocol, local_addr=local
                )
            except OSError as error:
                missing = error
        if not self._transports:
            raise missing

    def send(self, data: bytes, address: Address) -> bool:
        """Send a datagram; False when there is no socket for such an address."""
        transport = self._transports.get(":" in address[0])
        if transport is None or transport.is_closing():
            return False
        transport.sendto(data, address)
        return True

    def close(self) -> None:
        """Close all, when what is queued has been sent."""
        for transport in self._transports.values():
            transport.close()

    def abort(self) -> None:
        """Close all at once."""
        for transport in self._transports.values():
            transport.abort()
