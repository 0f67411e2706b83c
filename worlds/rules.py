"""Rules about worlds on plain values: when one is online, which slugs and names may be taken. Pure."""

import re
import unicodedata
from datetime import datetime, timedelta
from urllib.parse import urlsplit

# An instance has the number zone × COPIES + copy (1..999), zone being its row: it alone tells the zone.
COPIES = 1000
ADMISSION_FOR = timedelta(hours=24)  # how long a world may acquire by one redeemed ticket
MAINTENANCE = "The world is being worked on."
ONLINE_FOR = timedelta(seconds=15)  # a world reports every 5 s: three reports may be lost

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MIN_SLUG, MAX_SLUG = 3, 40
# Words of the site's own addresses, and words by which a world could pass for the platform.
_RESERVED = """
about account accounts admin api app blog characters docs help home legal login logout master me news new
official play privacy register root search settings signup staff static status support system terms ticket
tickets uplink waystone well-known world world-link worlds www
"""
RESERVED_SLUGS = frozenset(_RESERVED.split())
# What looks alike in common typefaces; applied after lower case and without accents.
_LOOK_ALIKES = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s", "$": "s", "3": "e", "@": "a"})
_WRITTEN_TOGETHER = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA"}
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def is_online(last_report_at: datetime | None, now: datetime) -> bool:
    """Return whether a world has reported lately."""
    return last_report_at is not None and now - last_report_at <= ONLINE_FOR


def maintenance_of(since: datetime | None, text: str, reported: str | None) -> str | None:
    """Return why a world lets nobody in at present, for people; None: it lets people in.

    Args: since, text: as the master's staff set it; reported: what the world says of itself.
    """
    if since is not None:
        return text or MAINTENANCE
    return None if reported is None else reported or MAINTENANCE


def slug_fault(slug: str) -> str:
    """Return why nobody may register a world under this slug; empty if it is fine."""
    if not MIN_SLUG <= len(slug) <= MAX_SLUG:
        return f"The address name must have {MIN_SLUG} to {MAX_SLUG} characters."
    if not SLUG.fullmatch(slug):
        return "Use small letters, digits and single hyphens, and start with a letter."
    if slug in RESERVED_SLUGS or slug.startswith("waystone"):
        return f"The address name {slug!r} is reserved; choose another."
    return ""


def name_fault(name: str) -> str:
    """Return why a world may not have this name; empty if it is fine."""
    if not 3 <= len(name.strip()) <= 60:
        return "The name must have 3 to 60 characters."
    if name != name.strip() or "  " in name or not name.isprintable():
        return "The name must not hold control characters, double spaces, or spaces at its ends."
    scripts = {unicodedata.name(c, "?").split(" ")[0] for c in name if c.isalpha()}
    if len(scripts) > 1 and not scripts <= _WRITTEN_TOGETHER:
        return "The name mixes alphabets, by which it could pass for another; use one."
    if not name_key(name):
        return "The name needs letters or digits."
    return ""


def name_key(name: str) -> str:
    """Return a name without case, accents, punctuation and look-alikes: two worlds must not share one."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LOOK_ALIKES)
    letters = "".join(c for c in plain if c.isalnum())
    for pair, single in _PAIRS:
        letters = letters.replace(pair, single)
    return letters[:200]


def gateway_fault(url: str) -> str:
    """Return why an address cannot be that of a world link; empty if it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is not an address; it looks like wss://play.example.org/world-link/."
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0:
        return "The gateway's address begins with wss:// or ws:// and names a host."
    if parts.username or parts.password or parts.fragment or parts.query:
        return "The gateway's address must hold no name, password, query or fragment."
    if len(url) > 200 or not url.isprintable() or " " in url:
        return "The gateway's address must have at most 200 characters and no spaces."
    return ""
