"""What a deployment is told of its backups. Standard library only, as waystone.config, which reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class BucketAccess:
    """How an S3-compatible store is reached. Empty: as the environment of AWS' own tools says."""

    endpoint: str
    region: str
    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class BackupConfig:
    """Settings WAYSTONE_BACKUP_* and WAYSTONE_REPLICA_TARGET."""

    folder: Path
    target: str  # /folder, s3://bucket/prefix, or empty: nowhere
    bucket: BucketAccess
    is_on: bool  # False: only by hand
    hour: int | None  # UTC; None: the quietest
    key_file: Path | None  # an age identity; None: not encrypted
    tools: Path | None  # folder of pg_dump and pg_restore; None: found by the server's version
    drill_url: str = field(repr=False)  # of a server where scratch databases may be made; empty: our own
    time_limit_h: int
    keep_days: int
    keep_weeks: int
    replica_target: str


def read_backup_config(values: Mapping[str, str], state_dir: Path) -> BackupConfig:
    """Return what the settings say.

    Raises: ValueError: a value that cannot be used, named.
    """

    def text(name: str, default: str = "") -> str:
        return values.get(name, default)

    def count(name: str, default: int, lowest: int) -> int:
        raw = text(name, str(default))
        if not raw.isdigit() or int(raw) < lowest:
            raise ValueError(f"{name}={raw!r}: expected a whole number of at least {lowest}")
        return int(raw)

    hour = text("WAYSTONE_BACKUP_HOUR", "auto")
    if hour not in ("auto", "off") and not (hour.isdigit() and int(hour) < 24):
        raise ValueError(f"WAYSTONE_BACKUP_HOUR={hour!r}: use auto, off, or an hour of UTC from 0 to 23")
    return BackupConfig(
        folder=Path(text("WAYSTONE_BACKUP_DIR", str(state_dir / "backups"))),
        target=checked_target("WAYSTONE_BACKUP_TARGET", text("WAYSTONE_BACKUP_TARGET")),
        bucket=BucketAccess(
            text("WAYSTONE_BACKUP_BUCKET_ENDPOINT"),
            text("WAYSTONE_BACKUP_BUCKET_REGION"),
            text("WAYSTONE_BACKUP_BUCKET_KEY"),
            text("WAYSTONE_BACKUP_BUCKET_SECRET"),
        ),
        is_on=hour != "off",
        hour=int(hour) if hour.isdigit() else None,
        key_file=Path(text("WAYSTONE_BACKUP_KEY_FILE")) if text("WAYSTONE_BACKUP_KEY_FILE") else None,
        tools=Path(text("WAYSTONE_BACKUP_PG_BIN")) if text("WAYSTONE_BACKUP_PG_BIN") else None,
        drill_url=text("WAYSTONE_BACKUP_DRILL_URL"),
        time_limit_h=count("WAYSTONE_BACKUP_TIME_LIMIT_H", 6, 1),
        keep_days=count("WAYSTONE_BACKUP_KEEP_DAYS", 7, 1),
        keep_weeks=count("WAYSTONE_BACKUP_KEEP_WEEKS", 9, 0),
        replica_target=checked_target("WAYSTONE_REPLICA_TARGET", text("WAYSTONE_REPLICA_TARGET")),
    )


def checked_target(name: str, raw: str) -> str:
    """Return a target as it is written.

    Raises: ValueError: neither a folder by its whole path nor s3://bucket/prefix.
    """
    is_folder = raw.startswith("/")
    is_bucket = raw.startswith("s3://") and bool(urlsplit(raw).netloc)
    if raw and not is_folder and not is_bucket:
        raise ValueError(f"{name}={raw!r}: use a folder as /mnt/backups, or s3://bucket/prefix")
    return raw
