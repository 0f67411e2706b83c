"""Argon2 behind a gate: so many password checks at once, a short queue, then a clear "come back shortly".

One check costs about 150 ms of CPU and 100 MB, so an unbounded number of log-ins is the cheapest way to knock
a master over. The gate sits in the hasher because every way in passes it: pages, REST, admin, lost password.
Not here: limits per address and per e-mail, which are allauth's (settings, ACCOUNT_RATE_LIMITS).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import Argon2PasswordHasher
from rest_framework.exceptions import APIException

SLOTS = max(1, (os.cpu_count() or 2) // 2)  # per process; half of the cores stay free for everything else
QUEUE = 6  # waiting threads per process, a second of hashing; more would hold every thread of the server
PATIENCE = 3.0  # seconds in the queue


class PasswordCheckBusy(APIException):
    """More people are logging in than this process has promised CPU for. Nothing was checked or changed."""

    status_code = 503
    default_code = "busy"
    default_detail = (
        "Many people are logging in at this moment. Nothing is wrong with yours: try again in a few seconds."
    )
    wait = 3  # seconds, becomes Retry-After


class PasswordGate:
    """A counting gate with a bounded queue."""

    def __init__(self, slots: int, queue: int, patience: float) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._lock = threading.Lock()
        self._room = slots + queue
        self._patience = patience
        self.inside = 0  # checking or waiting

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a slot for the block.

        Raises: PasswordCheckBusy: the queue is full, or no slot came free in time.
        """
        with self._lock:
            if self.inside >= self._room:
                raise PasswordCheckBusy
            self.inside += 1
        try:
            if not self._slots.acquire(timeout=self._patience):
                raise PasswordCheckBusy
            try:
                yield
            finally:
                self._slots.release()
        finally:
            with self._lock:
                self.inside -= 1


gate = PasswordGate(SLOTS, QUEUE, PATIENCE)


class GatedArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2 hasher, its two expensive calls behind the gate."""

    def encode(self, password: str, salt: str) -> str:
        with gate.enter():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with gate.enter():
            return super().verify(password, encoded)
