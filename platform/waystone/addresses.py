"""Whom a network address may stand for. For limits that keep one stranger from taking everybody's room."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def is_local(address: str) -> bool:
    """Return whether an address may stand for many people: this machine's or network's, as a proxy's is."""
    parsed = _parsed(address)
    return parsed is not None and parsed.is_private


def household(address: str) -> str:
    """Return what one subscriber has: an IPv4 address, an IPv6 network of 64 bits. Other text is as it is."""
    parsed = _parsed(address)
    if parsed is None:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
