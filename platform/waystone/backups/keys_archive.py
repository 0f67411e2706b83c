"""The keys of a deployment beside its backup, sealed: without them its receipts are not believed.

Made only where backups are encrypted: in the clear, a copy of a backup would be the whole deployment.
"""

import io
import os
import tarfile
from pathlib import Path, PurePosixPath

from pyrage.x25519 import Identity

from waystone.backups.errors import BackupError, NotWhole
from waystone.backups.files import whole_file
from waystone.backups.manifest import Part
from waystone.backups.sealing import seal, unseal
from waystone.config import Config

SUFFIX = ".keys.tar.age"
MAX_BYTES = 16 << 20


def key_files(config: Config) -> dict[str, Path]:
    """Return what belongs into the archive: name in it → file. The key of the backups themselves does not."""
    found = {
        f"keys/{path.relative_to(folder)}": path
        for folder in [config.state_dir / "keys"]
        for path in sorted(folder.rglob("*"))
    }
    found |= {f"keys/signing/{path.name}": path for path in sorted(config.signing_keys_dir.glob("*.pem"))}
    found[f"keys/{config.world_key_file.name}"] = config.world_key_file
    found["waystone.env"] = config.state_dir / "waystone.env"
    own = config.backup.key_file
    return {
        name: path
        for name, path in found.items()
        if path.is_file() and not (own is not None and own.exists() and path.samefile(own))
    }


def archive_keys(config: Config, path: Path, identity: Identity) -> Part:
    """Write the archive. Raises: BackupError, NoRoom, OSError."""
    packed = io.BytesIO()
    # Links are followed: where keys are mounted as secrets, each is one, and the key itself is wanted.
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for name, file in key_files(config).items():
            archive.add(file, arcname=name, recursive=False)
    packed.seek(0)
    with whole_file(path) as sink:
        seal(packed, sink, identity)
    return Part(path.name, sink.size, sink.sha256)


def unpack_keys(path: Path, folder: Path, identity: Identity) -> list[str]:
    """Unpack an archive into a folder that is not there yet. Returns: the names of its files.

    Raises: BackupError: the folder is there. NotWhole: it cannot be opened, or is no archive of ours.
    """
    packed = io.BytesIO()
    with path.open("rb") as source:
        unseal(source, packed, identity)
    packed.seek(0)
    try:
        with tarfile.open(fileobj=packed, mode="r:") as archive:
            members = archive.getmembers()
            if not all(map(_is_ours, members)):
                raise NotWhole(f"{path.name} is no archive of keys.")
            folder.mkdir(mode=0o700, parents=True)
            archive.extractall(folder, filter="data")
    except FileExistsError as error:
        raise BackupError(f"{folder} is there already; name a folder that is not.") from error
    except tarfile.TarError as error:
        raise NotWhole(f"{path.name} is no archive of keys: {error}.") from error
    for each in members:
        os.chmod(folder / each.name, 0o600)
    return [each.name for each in members]


def _is_ours(member: tarfile.TarInfo) -> bool:
    """Whether a member is a small file whose name leads into the folder and nowhere else."""
    name = PurePosixPath(member.name)
    leads_elsewhere = name.is_absolute() or ".." in name.parts
    return member.isfile() and member.size <= MAX_BYTES and not leads_elsewhere
