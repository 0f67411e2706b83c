"""Rules about what operators type when they register a world. Pure."""

import re
import unicodedata
from ipaddress import ip_address

from worlds.rules import MAX_SLUG

_HOST = re.compile(r"(?=.{1,120}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def slug_of(name: str) -> str:
    """Return an address name made from a world's name; empty if it has no letters that fit."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug[:MAX_SLUG].strip("-")


def address_fault(address: str) -> str:
    """Return why this cannot be the address of a machine; empty if it can, or if there is none."""
    if not address:
        return ""
    try:
        ip_address(address)
    except ValueError:
        pass
    else:
        return ""
    if "://" in address or "/" in address:
        return "Give the name or the IP address alone, without https:// and without a path."
    if ":" in address:
        return "Give the name or the IP address alone, without a port: the world tells us its ports itself."
    if not _HOST.fullmatch(address):
        return "This is no name of a machine. It looks like play.example.org or 203.0.113.7."
    return ""
