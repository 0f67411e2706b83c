"""What can go wrong with backups. Each text says what to do; it is shown to people and kept with the row."""


class BackupError(Exception):
    """A backup could not be made, copied, proven or restored."""


class NoTools(BackupError):
    """There is no pg_dump for the server's version."""


class NoRoom(BackupError):
    """A disk is full."""


class TargetGone(BackupError):
    """The place for copies cannot be reached, or is not the one it was."""


class NotWhole(BackupError):
    """A file is not what was written: another size or checksum, or it cannot be opened."""


class NotOurs(BackupError):
    """A manifest that this deployment has not written."""


class TimeUp(BackupError):
    """It took longer than it may."""


class NotProven(BackupError):
    """A restored database is not what was backed up."""
