"""Tells the world daemon which kinds of commands keep taking too long here; it says what is refused then."""

import structlog

from zonecluster.daemon.cluster import Cluster
from zonecluster.protocol.bus import HandlerSlow, HandlersOff

log = structlog.get_logger(__name__)

TELL_EVERY_S = 1.0


class SlowHandlers:
    """Repeats what is slow until it is off."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._told_at = float("-inf")

    def tell_when_due(self, now: float) -> None:
        """Tell it once a second; `now` is monotonic seconds."""
        if now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        cluster = self._cluster
        for kind in cluster.handlers.too_slow():
            handler = cluster.handlers.by_kind[kind]
            worst_ms, p99_ms = max(handler.took_ns) / 1e6, handler.p99_ns / 1e6
            runs = len(handler.took_ns)
            cluster.to_daemon(
                HandlerSlow(cluster.config.name, cluster.incarnation, kind, p99_ms, worst_ms, runs)
            )


def handlers_off(cluster: Cluster, message: HandlersOff) -> None:
    """Refuse these kinds of commands from now on, and no others."""
    kinds = frozenset(message.kinds)
    if kinds != cluster.handlers.off:
        log.warning("handlers_switched", off=sorted(kinds), before=sorted(cluster.handlers.off))
        cluster.handlers.switch(kinds)
