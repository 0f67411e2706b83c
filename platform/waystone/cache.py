"""The cache: Redis, and each process's own memory while Redis is down.

Nothing that has to be right lives here: rate limits, and pages that may be made again. Without this, log-in
would stop with Redis; with it, limits count per process until Redis is back, and RETRY_AFTER seconds longer.
"""

import time
from typing import Any

import msgspec
import structlog
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

RETRY_AFTER = 2.0  # seconds without asking a Redis that did not answer


class JsonSerializer:
    """Values as JSON. Django's own is pickle: whoever can write to Redis could run code in web with it."""

    def dumps(self, value: Any) -> bytes | int:
        """Return what is stored; numbers as they are, so that Redis can count with them."""
        return value if type(value) is int else msgspec.json.encode(value)

    def loads(self, data: bytes) -> Any:
        """Return the value. Raises: msgspec.DecodeError: somebody else wrote it."""
        return msgspec.json.decode(data)


class PatientRedisCache(RedisCache):
    """Django's Redis cache with a fallback."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        options = {"serializer": JsonSerializer, **params.get("OPTIONS", {})}
        super().__init__(server, {**params, "OPTIONS": options})
        self._own = LocMemCache("waystone-without-redis", params)
        self._down_until = 0.0  # monotonic seconds

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self._down_until:
            try:
                return getattr(super(), method)(*args, **kwargs)
            except RedisError as error:
                self._down_until = time.monotonic() + RETRY_AFTER
                log.warning("cache_down", cause=str(error), fallback="memory of this process")
        return getattr(self._own, method)(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return self._call("add", *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._call("get", *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> None:
        return self._call("set", *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return self._call("touch", *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return self._call("delete", *args, **kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> dict:
        return self._call("get_many", *args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return self._call("has_key", *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        return self._call("incr", *args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> list:
        return self._call("set_many", *args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        return self._call("delete_many", *args, **kwargs)

    def clear(self) -> None:
        self._call("clear")
