"""Where a browser measures its ping to a world: its gateway's origin, and the policy that allows it. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from waystone.security import PAGES

# A name or an address, and perhaps a port: nothing that could end a policy's list and begin another.
_PLAIN = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")
_SCHEMES = {"ws": "http", "wss": "https"}


def ping_origin(gateway_url: str) -> str:
    """Return the HTTP origin of a gateway's address; empty if it has none that a policy could name."""
    try:
        parts = urlsplit(gateway_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    if parts.scheme not in _SCHEMES or not _PLAIN.fullmatch(host):
        return ""
    return f"{_SCHEMES[parts.scheme]}://{host}" + (f":{port}" if port else "")


def policy_with(origins: Iterable[str]) -> str:
    """Return the policy of a page whose script may connect to these origins, too."""
    named = " ".join(sorted({origin for origin in origins if origin}))
    return PAGES.replace("connect-src 'self'", f"connect-src 'self' {named}".rstrip())
