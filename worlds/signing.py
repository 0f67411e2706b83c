"""The master's signing keys: Ed25519 in `<kid>.pem` files of one folder. The newest signs, all are published.

Rotation: make a new key (it signs from then on), and delete the old file once nothing it signed is needed:
a day for tickets, 14 days for receipts. Deleting a file revokes its key at once. Newest is by the file's
time stamp.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from worlds.uplink.keys import KeyPair, UnusableKey, key_pair, load_key, public_jwk, write_key

log = structlog.get_logger(__name__)


class NoSigningKey(RuntimeError):
    """The folder holds no usable key; the message says what to do."""


@dataclass(frozen=True)
class SigningKeys:
    """All usable keys of the folder."""

    newest: KeyPair
    by_kid: dict[str, Ed25519PublicKey]

    @property
    def key_of(self) -> Callable[[str], Ed25519PublicKey | None]:
        """The lookup that tokens are verified by: None for an unknown or revoked kid."""
        return self.by_kid.get

    def jwks(self) -> dict[str, Any]:
        """Return the JWKS (RFC 7517) of the public keys, newest first."""
        return {
            "keys": [
                {**public_jwk(key), "kid": kid, "alg": "EdDSA", "use": "sig"}
                for kid, key in self.by_kid.items()
            ]
        }


def signing_keys(folder: Path) -> SigningKeys:
    """Return the keys of the folder as it is now. Cheap: files are read again only when the folder changes.

    Raises: NoSigningKey.
    """
    try:
        snapshot = tuple(
            sorted(((file.stat().st_mtime_ns, str(file)) for file in folder.glob("*.pem")), reverse=True)
        )
    except OSError as error:  # a file deleted between listing and stat: the next call sees the folder whole
        raise NoSigningKey(f"cannot list the signing keys in {folder}: {error.strerror}") from error
    return _load(str(folder), snapshot)


def ensure_signing_key(folder: Path) -> str:
    """Make the first key if there is none; return the kid of the key that signs.

    Raises: UnusableKey: the folder cannot be written. NoSigningKey: it holds only unusable files.
    """
    if not any(folder.glob("*.pem")):
        new_signing_key(folder)
    return signing_keys(folder).newest.kid


def new_signing_key(folder: Path) -> str:
    """Make a further key, which signs from now on; return its kid.

    Raises: UnusableKey: the folder cannot be written.
    """
    pair = key_pair(Ed25519PrivateKey.generate())
    write_key(folder / f"{pair.kid}.pem", pair.private)
    return pair.kid


@lru_cache(maxsize=8)
def _load(folder: str, snapshot: tuple[tuple[int, str], ...]) -> SigningKeys:
    pairs = []
    for _, name in snapshot:
        try:
            pair = load_key(Path(name))
            if Path(name).stem != pair.kid:
                raise UnusableKey(f"{name} holds the key {pair.kid}: rename it to {pair.kid}.pem")
        except UnusableKey as error:  # one bad file must not stop logins that the other keys can serve
            log.error("signing_key_unusable", file=name, error=str(error))
        else:
            pairs.append(pair)
    if not pairs:
        raise NoSigningKey(f"no usable signing key in {folder}: `manage.py up` makes the first one")
    return SigningKeys(newest=pairs[0], by_kid={pair.kid: pair.public for pair in pairs})
