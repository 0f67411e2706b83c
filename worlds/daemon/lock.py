"""One daemon per world: a PostgreSQL advisory lock, held on a connection of its own for life."""

from contextlib import suppress

from django.db import DatabaseError, connection

LOCK_CLASS = 0x57_41_59_53  # "WAYS": tells our locks from those of others in the same database


class AlreadyRunning(RuntimeError):
    """Another daemon holds this world."""


class WorldLock:
    """The lock. All methods are to be called from one thread."""

    def __init__(self, world_id: int) -> None:
        self._world_id = world_id
        self._connection = connection.copy("world_daemon_lock")

    def acquire(self) -> None:
        """Take the lock, or make sure that it is still held.

        Raises: AlreadyRunning; DatabaseError: the database does not answer (the lock may be lost: ask again).
        """
        try:
            with self._connection.cursor() as cursor:
                if self._is_held(cursor):
                    return
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, self._world_id])
                if not cursor.fetchone()[0]:
                    raise AlreadyRunning(
                        "Another world daemon of this world is running on this database. Stop it first; "
                        "after a crash its place is free within seconds."
                    )
        except DatabaseError:
            self._connection.close()
            raise

    def _is_held(self, cursor) -> bool:  # noqa: ANN001  (Django's cursor wrapper has no public type)
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND classid = %s AND objid = %s AND pid = pg_backend_pid()",
            [LOCK_CLASS, self._world_id],
        )
        return cursor.fetchone()[0] > 0

    def release(self) -> None:
        """Let go, at once: of a closed connection alone the server takes notice when it gets to it."""
        if self._connection.connection is not None:
            with suppress(DatabaseError), self._connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_all()")
        self._connection.close()
