"""One supervised process: its states, and what happens at each step of the supervisor's loop."""

import contextlib
import enum
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from waystone.embedded.spawn import ServerUser, signal_group, spawn
from waystone.supervisor.backoff import Backoff
from waystone.supervisor.logs import last_lines, rotate_if_large

CHECK_EVERY = 0.1  # seconds between two questions whether a process is ready
REASON_LINES = 6


class State(enum.Enum):
    """IDLE → STARTING → READY; a death leads to WAITING and on to STARTING again; STOPPED is final."""

    IDLE = "idle"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to be started again"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Spec:
    """What a process is: how it is started, when it is ready, how and when it is stopped."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    stop_stage: int  # lower ones are stopped first
    is_ready: Callable[[], bool]  # answers within half a second
    stop_signal: int = signal.SIGTERM
    user: ServerUser | None = None


@dataclass(frozen=True)
class BecameReady:
    """The process does its work. `seconds` since it was started."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Died:
    """The process ended by itself and will be started again after `delay` seconds."""

    name: str
    reason: str
    last_words: list[str]
    delay: float
    deaths: int


Event = BecameReady | Died


@dataclass
class Child:
    """The life of one process. `on_group` is told (group, signal) of a start, (group, 0) of an end."""

    spec: Spec
    on_group: Callable[[int, int], None]
    state: State = State.IDLE
    process: subprocess.Popen[bytes] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    _started_at: float = 0.0
    _next_at: float = 0.0
    _log_start: int = 0

    def start(self, now: float) -> list[Event]:
        """Start the process."""
        rotate_if_large(self.spec.log)
        self._log_start = self.spec.log.stat().st_size if self.spec.log.exists() else 0
        self._started_at = self._next_at = now
        self.state = State.STARTING
        try:
            with self.spec.log.open("ab") as output:
                self.process = spawn(
                    self.spec.argv,
                    env=self.spec.env,
                    output=output,
                    user=self.spec.user,
                    death_signal=self.spec.stop_signal,
                )
        except OSError as error:
            return [self._wait_after(f"cannot be started: {error}", now)]
        self.on_group(self.process.pid, self.spec.stop_signal)
        return []

    def step(self, now: float) -> list[Event]:
        """Look at the process; start it again if its time has come."""
        if self.state is State.WAITING and now >= self._next_at:
            return self.start(now)
        if self.state not in (State.STARTING, State.READY) or self.process is None:
            return []
        code = self.process.poll()
        if code is not None:
            self._end_group()
            return [self._wait_after(exit_reason(code), now)]
        if self.state is State.STARTING and now >= self._next_at:
            self._next_at = now + CHECK_EVERY
            if self.spec.is_ready():
                self.state = State.READY
                return [BecameReady(self.spec.name, now - self._started_at)]
        return []

    def rotate_log(self) -> None:
        """Keep the log file small while the process runs."""
        if rotate_if_large(self.spec.log):
            self._log_start = 0

    def ask_to_stop(self) -> None:
        """Send the signal that means: stop in order. It goes to the process, which knows its own children."""
        was_running = self.is_running()
        self.state = State.STOPPED
        if was_running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended between the two lines
                self.process.send_signal(self.spec.stop_signal)

    def is_running(self) -> bool:
        """Return whether the process lives; collects it if not."""
        return self.process is not None and self.process.poll() is None

    def end_for_good(self) -> None:
        """Kill whatever is left of the process and of those it started."""
        if self.process is None:
            return
        self._end_group()
        self.process.wait()

    def _end_group(self) -> None:
        assert self.process is not None
        signal_group(self.process, signal.SIGKILL)
        self.on_group(self.process.pid, 0)

    def _wait_after(self, reason: str, now: float) -> Died:
        delay = self.backoff.delay_after(now - self._started_at)
        self.state, self.process = State.WAITING, None
        self._next_at = now + delay
        words = last_lines(self.spec.log, self._log_start, REASON_LINES)
        return Died(self.spec.name, reason, words, delay, self.backoff.deaths)


def exit_reason(code: int) -> str:
    """Return in words how a process ended. Args: code: as of subprocess, negative for a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
