"""The certificate by which a world daemon proves itself to host agents: self-signed, made once, pinned by
them.

No certificate authority: an agent has the certificate's fingerprint from its join code, and speaks with
nobody else.
Names and dates in it mean nothing.
"""

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(9999, 12, 31, tzinfo=UTC)  # RFC 5280, 4.1.2.5: it has no end


class UnusableCertificate(ValueError):
    """A certificate file that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class DoorCertificate:
    """A certificate with its key, in one PEM file. `fingerprint`: SHA-256 over its DER form."""

    path: Path
    fingerprint: bytes

    def server_context(self) -> ssl.SSLContext:
        """Return what a daemon's door uses: TLS 1.3 only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # nobody resumes
        context.load_cert_chain(self.path)
        return context


def client_context() -> ssl.SSLContext:
    """Return what an agent uses. It must compare the fingerprint before it sends anything: see
    `is_pinned`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin below is the check, and a stricter one
    return context


def is_pinned(der: bytes | None, fingerprint: bytes) -> bool:
    """Return whether a certificate in DER form is the one with this fingerprint."""
    return der is not None and sha256(der).digest() == fingerprint


def load_or_create_certificate(path: Path, world: str) -> DoorCertificate:
    """Return the certificate of a world's door; made on first use, mode 0600.

    Raises: UnusableCertificate.
    """
    try:
        if not path.exists():
            _write(path, _new_pem(world))
        pem = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
    except (OSError, ValueError) as error:
        raise UnusableCertificate(
            f"{path} cannot be used as the certificate for host agents: {error}. Mend it, or move it away: "
            f"then another "
            "is made, and every host has to join again."
        ) from error
    return DoorCertificate(path, sha256(certificate.public_bytes(Encoding.DER)).digest())


def _new_pem(world: str) -> bytes:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"waystone world daemon {world}"[:64])])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), NOT_BEFORE, NOT_AFTER
    )
    certificate = builder.sign(key, None)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _write(path: Path, pem: bytes) -> None:
    """Write whole or not at all; one that is there stays. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".door-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # refuses to replace: of two starters the first one's stays
        except FileExistsError:
            return
    finally:
        os.unlink(draft)
