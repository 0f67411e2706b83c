"""Encryption of backups, as age does it: an X25519 identity in a key file, streams of any length.

A backup holds e-mail addresses, password hashes and the signing keys' archive. What is sealed here opens with
`age --decrypt -i KEYFILE` as well, without Waystone. Source: age-encryption.org/v1.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyrage
from pyrage.x25519 import Identity

from waystone.backups.errors import BackupError, NotWhole

MAX_KEY_FILE_BYTES = 4096


def make_key_file(path: Path) -> str:
    """Write a new identity to a file that only its owner may read. Returns: the recipient, no secret.

    Raises: BackupError: the file is there, or cannot be written.
    """
    identity = Identity.generate()
    text = (
        f"# Opens this deployment's backups. Keep a copy elsewhere: they are lost without it.\n{identity}\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise BackupError(f"{path} is there already; it was not touched.") from error
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}.") from error
    return str(identity.to_public())


def read_key_file(path: Path) -> Identity:
    """Return the identity in a key file.

    Raises: BackupError: it cannot be read, others may read it too, or it holds no identity.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise BackupError(f"{path} may be read by others. Set its mode: chmod 600 {path}")
        with path.open() as file:
            lines = file.read(MAX_KEY_FILE_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(
            f"The key file {path} cannot be read ({error}). Correct WAYSTONE_BACKUP_KEY_FILE, or make one: "
            "manage.py backup --make-key"
        ) from error
    for line in lines:
        if line.strip() and not line.startswith("#"):
            with suppress(pyrage.IdentityError):
                return Identity.from_str(line.strip())
            break
    raise BackupError(f"{path} holds no age identity (a line AGE-SECRET-KEY-1…).")


def seal(source: Any, sink: Any, identity: Identity) -> None:
    """Encrypt a stream into another. Raises: BackupError, or what the sink raised (OSError: no room)."""
    try:
        pyrage.encrypt_io(source, sink, [identity.to_public()])
    except pyrage.EncryptError as error:
        raise BackupError(f"Encrypting failed: {error}") from error


def unseal(source: IO[bytes], sink: Any, identity: Identity) -> None:
    """Decrypt a stream into another.

    Raises: NotWhole: another key, a changed byte, a cut file. OSError: of the sink.
    """
    try:
        pyrage.decrypt_io(source, sink, [identity])
    except (pyrage.DecryptError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a disk's, a pipe's: the cipher's own have no number
        raise NotWhole(f"It cannot be decrypted: another key, or the file was changed ({error}).") from error
