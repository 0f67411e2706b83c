"""What stands between a stranger's connection request and the expensive part: rate limit, and tokens used
before.

Both are bounded in memory whatever strangers send. Called by server.py only.
Source: NETCODE 1.02, section "Processing Connection Requests".
"""

from heapq import heappop, heappush

from .addresses import Address, network_prefix
from .drops import Drop

# A token is forgotten only this long after it expired, so that a clock set back by less cannot revive it.
HISTORY_MARGIN_S = 60


class TokenBucket:
    """`rate` a second, at most `burst` saved up."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take one; False when there is none."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class RequestLimiter:
    """Bounds the requests that get as far as decryption: per network prefix, and in total.

    Knows at most `max_prefixes` networks; the one heard of longest ago is forgotten first. An attacker with
    more source networks than that escapes the first limit, not the second.
    """

    __slots__ = ("_burst", "_by_prefix", "_max_prefixes", "_rate", "_total")

    def __init__(
        self, *, rate: float, burst: float, total_rate: float, total_burst: float, max_prefixes: int
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._total = TokenBucket(total_rate, total_burst)
        self._by_prefix: dict[str | bytes, TokenBucket] = {}
        self._max_prefixes = max_prefixes

    def allow(self, address: Address, now: float) -> bool:
        """Return True when one more request from this address may be decrypted."""
        prefix = network_prefix(address[0])
        bucket = self._by_prefix.pop(prefix, None)
        if bucket is None:
            bucket = TokenBucket(self._rate, self._burst)
            if len(self._by_prefix) >= self._max_prefixes:
                del self._by_prefix[next(iter(self._by_prefix))]
        self._by_prefix[prefix] = bucket
        return bucket.take(now) and self._total.take(now)


class TokenHistory:
    """Which connect tokens were presented, from which address, and which have connected; known by the token's
    tag.

    The standard lets one address use a token again after its connection ended. We do not: the same keys would
    count their nonces from zero again, and a recording of the first session could be played back. Only valid
    tokens get in, so the size is (tokens minted per second) × (their life + HISTORY_MARGIN_S), and being full
    refuses, never forgets.
    """

    __slots__ = ("_addresses", "_expiries", "_size", "_spent")

    def __init__(self, size: int) -> None:
        self._addresses: dict[bytes, Address] = {}
        self._spent: set[bytes] = set()
        self._expiries: list[tuple[int, bytes]] = []
        self._size = size

    def __len__(self) -> int:
        return len(self._addresses)

    def admit(self, tag: bytes, address: Address, expire_at: int, unix_now: float) -> Drop | None:
        """Note that `address` presents this token, or say why it may not."""
        self._forget_expired(unix_now)
        first_address = self._addresses.get(tag)
        if first_address is None:
            if len(self._addresses) >= self._size:
                return Drop.HISTORY_FULL
            self._addresses[tag] = address
            heappush(self._expiries, (expire_at, tag))
            return None
        if first_address != address:
            return Drop.TOKEN_USED_ELSEWHERE
        return Drop.TOKEN_SPENT if tag in self._spent else None

    def spend(self, tag: bytes) -> None:
        """Note that the token has connected: it never does again."""
        self._spent.add(tag)

    def _forget_expired(self, unix_now: float) -> None:
        expiries = self._expiries
        while expiries and expiries[0][0] + HISTORY_MARGIN_S <= unix_now:
            _, tag = heappop(expiries)
            del self._addresses[tag]
            self._spent.discard(tag)
