"""The gateway's limits, and the token bucket that several of them use. Pure: time is an argument."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much one gateway, and one link of it, may take. Seconds, messages, bytes."""

    max_links: int = 5000  # sockets of one process; more are closed with 1013
    max_unwelcomed: int = 1000  # of these, sockets that have not been welcomed yet
    max_unwelcomed_of_address: int = 100  # of these, for one address of the internet
    hello_s: float = 10.0  # a link says Hello within this time
    retry_s: float = 60.0  # after a refused Hello, time for another (a fresh ticket is fetched by hand)
    answer_s: float = 10.0  # the daemon answers Hello and Enter within this time
    rate: float = 30.0  # messages a second that a link may send in the long run
    burst: float = 60.0  # and at once
    max_excess: int = 120  # messages over the rate in a row; then the link is closed
    max_offences: int = 5  # bad frames of one link; then it is closed
    queue_messages: int = 512  # waiting for a reader that does not read; then the link is dropped
    queue_bytes: int = 256 * 1024
    stalled_s: float = 30.0  # nothing could be written for this long: dropped


class TokenBucket:
    """Allows `rate` takes a second and `burst` at once."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Return whether one more is allowed at `now` (seconds, monotonic)."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
