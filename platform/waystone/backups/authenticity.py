"""Whether a manifest is of this deployment's making: an HMAC over all that it says.

A restore runs what is in a dump as the database's owner, and a manifest says which dump that is. Whoever can
write to the target could put one of their own there, and the newest by its name. The key is of the backups'
own key file, which a restore on a new machine needs anyway; without one, of SECRET_KEY.
"""

import hmac

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from waystone.backup_config import BackupConfig
from waystone.backups.errors import NotOurs
from waystone.backups.manifest import Manifest, encode_manifest
from waystone.backups.sealing import read_key_file

PURPOSE = b"waystone: manifests of backups"


def manifest_key(config: BackupConfig) -> bytes:
    """Return this deployment's key for manifests. Raises: BackupError: the key file cannot be read."""
    secret = str(read_key_file(config.key_file)) if config.key_file else settings.SECRET_KEY
    return HKDF(hashes.SHA256(), 32, None, PURPOSE).derive(secret.encode())


def signed(manifest: Manifest, key: bytes) -> Manifest:
    """Return the manifest with its HMAC."""
    return msgspec.structs.replace(manifest, mac=_mac(manifest, key))


def check_signature(manifest: Manifest, key: bytes) -> None:
    """Raises: NotOurs: it has no HMAC, or was written or changed by somebody without the key."""
    if not hmac.compare_digest(manifest.mac, _mac(manifest, key)):
        what = "has another key's signature, or was changed" if manifest.mac else "is not signed"
        raise NotOurs(
            f"The manifest of {manifest.name} {what}: somebody may have put it there. Set "
            "WAYSTONE_BACKUP_KEY_FILE (without one, WAYSTONE_SECRET_KEY) as it was when the backup was made. "
            "If you know that it is yours, as one from before manifests were signed: --accept-unsigned."
        )


def _mac(manifest: Manifest, key: bytes) -> str:
    return hmac.digest(key, encode_manifest(msgspec.structs.replace(manifest, mac="")), "sha256").hex()
