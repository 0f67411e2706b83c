"""How a new machine becomes a world's: the line that its operator starts it with, and what it sends. Pure.

    python3 manage.py up --world northlight:k3v7…@https://play.example.org

The machine makes its key itself and proves with it that it holds it; the code, good for one machine, says for
which world. No private key is ever sent, shown, or pasted.
"""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

JOIN_PATH = "/api/v1/uplink/join/"
CODE = re.compile(r"[a-z2-7]{24}")  # 120 bits, base32 in small letters
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LOOKS_LIKE = "slug:code@https://…, as the world's set-up page shows it"


class BadLine(ValueError):
    """What stands after --world cannot be read; the message says what is wrong."""


@dataclass(frozen=True)
class JoinLine:
    """What stands after `--world`. Without a code: a world that this machine has joined before."""

    slug: str
    code: str = ""
    master_url: str = ""

    def __str__(self) -> str:
        return f"{self.slug}:{self.code}@{self.master_url}" if self.code else self.slug


def parse_line(text: str) -> JoinLine:
    """Read what stands after `--world`.

    Raises: BadLine.
    """
    text = text.strip()
    slug, colon, rest = text.partition(":")
    if not _SLUG.fullmatch(slug):
        raise BadLine(f"--world {text[:80]!r}: expected a world's name, or {LOOKS_LIKE}")
    if not colon:
        return JoinLine(slug)
    code, at, master = rest.partition("@")
    if not CODE.fullmatch(code.lower()) or not at:
        raise BadLine(f"--world: the code after {slug}: is not whole; expected {LOOKS_LIKE}. Copy it again.")
    master = master.rstrip("/")
    parts = urlsplit(master)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise BadLine(f"--world: {master[:80]!r} is no address of a site; expected {LOOKS_LIKE}")
    return JoinLine(slug, code.lower(), master)


class Join(Struct, frozen=True):
    """A machine wants to be a world's. Signed like any request of the uplink, by the key that it names."""

    slug: Annotated[str, Meta(max_length=40)]
    code: Annotated[str, Meta(max_length=40)]
    public_key: Annotated[bytes, Meta(min_length=32, max_length=32)]


class Joined(Struct, frozen=True):
    """It is. `address`: from which the machine has called; `is_local`: the master serves its own machine or
    network only.
    """

    slug: str
    name: str
    tagline: str
    address: str
    is_local: bool
