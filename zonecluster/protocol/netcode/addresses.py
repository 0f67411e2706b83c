"""Addresses in connect tokens, and the network prefix by which requests are limited.

An address is `(host, port)`, host as text, the first two fields of what recvfrom gives.
Source: NETCODE 1.02, section "Connect Token" (type 1: four octets and port; type 2: eight 16-bit words and
port, each word little-endian like everything else).
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from struct import Struct
from struct import error as StructError

from .wire import MAX_SERVER_ADDRESSES

Address = tuple[str, int]

IPV4 = 1
IPV6 = 2
_IPV4_LAYOUT = Struct("<B4sH")
_IPV6_LAYOUT = Struct("<B8HH")
_COUNT = Struct("<I")
_WORDS = Struct(">8H")


class BadAddresses(ValueError):
    """The address list of a token cannot be read."""


def canonical(address: Address) -> Address:
    """Return the address in the one spelling by which addresses are compared.

    Raises: ValueError: not an IP address, a scoped IPv6 address, or no port of 1..65535.
    """
    host, port = address
    if not 0 < port < 65536:
        raise ValueError(f"port {port} of {host} is not in 1..65535")
    if "%" in host:
        raise ValueError(f"{host}: an address with a scope cannot stand in a connect token")
    return str(ip_address(host)), port


def pack_addresses(addresses: list[Address]) -> bytes:
    """Return count and addresses as they stand in both parts of a connect token.

    Raises: ValueError: not 1..32 addresses, or one that is no IP address.
    """
    if not 1 <= len(addresses) <= MAX_SERVER_ADDRESSES:
        raise ValueError(f"a connect token holds 1..{MAX_SERVER_ADDRESSES} addresses, not {len(addresses)}")
    parts = [_COUNT.pack(len(addresses))]
    for address in addresses:
        host, port = canonical(address)
        parsed = ip_address(host)
        if isinstance(parsed, IPv4Address):
            parts.append(_IPV4_LAYOUT.pack(IPV4, parsed.packed, port))
        else:
            parts.append(_IPV6_LAYOUT.pack(IPV6, *_WORDS.unpack(parsed.packed), port))
    return b"".join(parts)


def unpack_addresses(data: bytes, offset: int) -> tuple[tuple[Address, ...], int]:
    """Return the addresses at `offset` and the offset behind them.

    Raises: BadAddresses: count outside 1..32, an unknown type, or data that ends too soon.
    """
    try:
        (count,) = _COUNT.unpack_from(data, offset)
        if not 1 <= count <= MAX_SERVER_ADDRESSES:
            raise BadAddresses(f"{count} server addresses")
        offset += _COUNT.size
        addresses = []
        for _ in range(count):
            kind = data[offset]
            if kind == IPV4:
                _, packed, port = _IPV4_LAYOUT.unpack_from(data, offset)
                addresses.append((str(IPv4Address(packed)), port))
                offset += _IPV4_LAYOUT.size
            elif kind == IPV6:
                _, *words, port = _IPV6_LAYOUT.unpack_from(data, offset)
                addresses.append((str(IPv6Address(_WORDS.pack(*words))), port))
                offset += _IPV6_LAYOUT.size
            else:
                raise BadAddresses(f"address type {kind}")
    except (StructError, IndexError) as cut_short:
        raise BadAddresses("the address list ends too soon") from cut_short
    return tuple(addresses), offset


def network_prefix(host: str) -> str | bytes:
    """Return the key by which requests from one network share a limit: IPv4 /24, IPv6 /48.

    IPv4-mapped addresses (`::ffff:a.b.c.d`) count as the IPv4 they carry. Text that is no address stands for
    itself.
    """
    if "." in host:
        return host.rpartition(":")[2].rpartition(".")[0]
    try:
        return IPv6Address(host).packed[:6]
    except AddressValueError:
        return host
