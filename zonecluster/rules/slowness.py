"""Which kinds of commands keep taking too long. By CPU time: what else the machine did is no matter."""

from collections import deque
from dataclasses import dataclass, field

REMEMBERED_RUNS = 500  # of each kind
SLOW_NS = 5_000_000  # a tenth of a tick: for one command that 200 players may send, too much
SLOW_RUNS = 6  # of those remembered, so p99 is over SLOW_NS even if all others are quick
HALT_NS = 50_000_000  # a whole tick: everybody on the cluster waited
HALTS = 3  # of those remembered; one or two may be the machine's fault


@dataclass
class Handler:
    """The last runs of one kind of command."""

    took_ns: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED_RUNS))
    slow: int = 0  # how many of them were over SLOW_NS
    halts: int = 0  # over HALT_NS

    def add(self, took_ns: int) -> None:
        """Note a run."""
        if len(self.took_ns) == REMEMBERED_RUNS:
            self._count(self.took_ns[0], -1)
        self.took_ns.append(took_ns)
        self._count(took_ns, 1)

    def _count(self, took_ns: int, by: int) -> None:
        if took_ns > SLOW_NS:
            self.slow += by
            if took_ns > HALT_NS:
                self.halts += by

    @property
    def is_slow(self) -> bool:
        """Whether it keeps taking too long."""
        return self.slow >= SLOW_RUNS or self.halts >= HALTS

    @property
    def p99_ns(self) -> int:
        """What 99 of 100 runs took at most; 0 without any."""
        ordered = sorted(self.took_ns)
        return ordered[-(-99 * len(ordered) // 100) - 1] if ordered else 0


class Handlers:
    """All kinds of commands, by name."""

    def __init__(self) -> None:
        self.by_kind: dict[str, Handler] = {}
        self.off: frozenset[str] = frozenset()  # kinds that are refused, by order of the world daemon

    def note(self, kind: str, took_ns: int) -> None:
        """Note a run."""
        handler = self.by_kind.get(kind)
        if handler is None:
            handler = self.by_kind[kind] = Handler()
        handler.add(took_ns)

    def too_slow(self) -> list[str]:
        """Return the kinds that keep taking too long and are not off."""
        return sorted(kind for kind, each in self.by_kind.items() if each.is_slow and kind not in self.off)

    def switch(self, off: frozenset[str]) -> None:
        """Refuse these kinds from now on. What is on again is judged anew."""
        for kind in self.off - off:
            self.by_kind.pop(kind, None)
        self.off = off
