"""What players of the fairness benchmark order on their world links, and how long each waits for its answer.

The last of them is Mallory, who macros the dearest commands that there are: everybody in sight, 64 described,
something said to a crowd. The others look, talk and select as people do. In the measured process.
"""

from itertools import count, cycle
from uuid import UUID

import numpy as np

from zonecluster.protocol.bus import SessionCommand
from zonecluster.protocol.from_client import Command, Describe, Inventory, Look, Say
from zonecluster.protocol.to_client import Refused, ServerMessage

USUAL_PER_S = 0.5  # commands of a usual player
DESCRIBED = 64  # the most entities that one command may ask for


class Macro:
    """All commands of one window after the other, by the wall clock; answers are matched by `seq`."""

    def __init__(self, sessions: list[UUID]) -> None:
        self._sessions, self._mallory = sessions, len(sessions) - 1
        self._rng = np.random.default_rng(5)
        self._dear = cycle(("look", "describe", "say"))
        self._seq = count()
        self._at: float | None = None  # until when commands were made
        self._per_s = 0.0
        self._asked: dict[int, tuple[int, float, int]] = {}  # by seq: whose, when, in which tick
        # By whether it is Mallory's: ms and ticks from command to answer.
        self._delays: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        self._refused: dict[bool, int] = {True: 0, False: 0}

    def begin(self, per_s: float, now: float) -> dict[str, object]:
        """Let Mallory give so many commands a second from now on; returns what was before."""
        found = {
            "usual_ms": _quantiles([ms for ms, _ in self._delays[False]]),
            "usual_ticks": _quantiles([ticks for _, ticks in self._delays[False]]),
            "usual_refused": self._refused[False],
            "macro_served": len(self._delays[True]),
            "macro_refused": self._refused[True],
        }
        self._delays, self._refused = {True: [], False: []}, {True: 0, False: 0}
        self._asked.clear()
        self._per_s, self._at = per_s, now
        return found

    def due(self, now: float, tick: int) -> list[SessionCommand]:
        """Return what players have ordered since the last call."""
        if self._at is None:
            return []
        passed, self._at = now - self._at, now
        usual = self._rng.poisson(passed * USUAL_PER_S * self._mallory)
        whose = self._rng.integers(0, self._mallory, usual).tolist()
        whose += [self._mallory] * int(self._rng.poisson(passed * self._per_s))
        self._rng.shuffle(whose)
        return [self._command(who, now, tick) for who in whose]

    def _command(self, who: int, now: float, tick: int) -> SessionCommand:
        seq = next(self._seq)
        self._asked[seq] = who, now, tick
        return SessionCommand(
            self._sessions[who], self._dearest(seq) if who == self._mallory else self._usual(seq)
        )

    def _dearest(self, seq: int) -> Command:
        match next(self._dear):
            case "look":
                return Look(seq)
            case "describe":
                return Describe(seq, list(range(DESCRIBED)))
        return Say(seq, "Out of my way, all of you! " * 10)

    def _usual(self, seq: int) -> Command:
        kind = seq % 4
        return Look(seq) if kind == 0 else Inventory(seq) if kind == 1 else Say(seq, "Hello.")

    def answered(self, message: ServerMessage, now: float, tick: int) -> None:
        """Note an answer, if it is one."""
        asked = self._asked.pop(getattr(message, "seq", None), None)  # type: ignore[arg-type]
        if asked is None:
            return
        who, at, in_tick = asked
        if isinstance(message, Refused):
            self._refused[who == self._mallory] += 1
        else:
            self._delays[who == self._mallory].append(((now - at) * 1000, float(tick - in_tick)))


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99, most = np.percentile(values, (50, 99, 100))
    found = {"p50": p50, "p99": p99, "max": most, "count": len(values)}
    return {name: round(float(value), 2) for name, value in found.items()}
