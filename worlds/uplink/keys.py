"""Ed25519 keys in files, and their names: the world's own key, and the form of the master's signing keys.

Files are PKCS#8 PEM, mode 0600, created whole or not at all and never overwritten. A key's name (kid) is its
RFC 7638 thumbprint, so that a name cannot point at another key.
"""

import os
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from worlds.uplink.base64url import encode_base64url

log = structlog.get_logger(__name__)


class UnusableKey(ValueError):
    """A key file that cannot be used; the message names the file, the cause and what to do."""


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public name."""

    kid: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> Ed25519PublicKey:
        return self.private.public_key()

    @property
    def public_bytes(self) -> bytes:
        """The 32 raw bytes that are registered with the master (WorldKey.public_key)."""
        return public_bytes(self.public)


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """Return a public key's 32 raw bytes."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """Return the members of a JWK that its thumbprint is taken over. Source: RFC 8037, section 2."""
    return {"crv": "Ed25519", "kty": "OKP", "x": encode_base64url(public_bytes(key))}


def thumbprint(key: Ed25519PublicKey) -> str:
    """Return the RFC 7638 thumbprint (SHA-256, base64url, 43 characters). Source: RFC 8037, appendix A.3."""
    jwk = public_jwk(key)
    members = ",".join(f'"{name}":"{jwk[name]}"' for name in sorted(jwk))
    return encode_base64url(sha256(f"{{{members}}}".encode()).digest())


def key_pair(private: Ed25519PrivateKey) -> KeyPair:
    """Return a private key together with its name."""
    return KeyPair(thumbprint(private.public_key()), private)


def load_key(path: Path) -> KeyPair:
    """Read a private key.

    Raises: UnusableKey: unreadable, not PEM, encrypted, or not Ed25519.
    """
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise UnusableKey(f"cannot read the key file {path}: {error.strerror}") from error
    if mode & 0o077:
        log.warning("key_file_open_to_others", path=str(path), mode=oct(mode & 0o777), advice="chmod 600")
    try:
        private = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey(f"{path} is no unencrypted PEM private key: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise UnusableKey(f"{path} holds another kind of key; an Ed25519 key is needed")
    return key_pair(private)


def write_key(path: Path, private: Ed25519PrivateKey) -> bool:
    """Write a new key file, mode 0600, whole or not at all.

    Returns: False if the file was already there; it is left as it is.
    Raises: UnusableKey: the folder cannot be written.
    """
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # mkstemp creates with 0600; link() refuses to replace: of two starters the first one's key stays.
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".key-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            os.unlink(draft)
    except FileExistsError:
        return False
    except OSError as error:
        raise UnusableKey(f"cannot write the key file {path}: {error.strerror}") from error
    log.info("key_created", path=str(path), kid=thumbprint(private.public_key()))
    return True


def load_or_create_world_key(path: Path) -> KeyPair:
    """Return this world's key; made on the first start.

    Raises: UnusableKey.
    """
    if not path.exists():
        write_key(path, Ed25519PrivateKey.generate())
    return load_key(path)
