"""One supervised process: its states, and what happens at each step of the supervisor's loop."""

import contextlib
import enum
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbits

from waystone.embedded.spawn import ServerUser, signal_group, spawn
from waystone.supervisor.backoff import Backoff
from waystone.supervisor.logs import last_lines, rotate_if_large

CHECK_EVERY = 0.1  # seconds between two questions whether a process is ready
REASON_LINES = 6
STOP_SECONDS = 15.0  # how long a process may take to stop in order before it is killed
RUN = "WAYSTONE_RUN"  # in a child's environment: which life of it this is


class State(enum.Enum):
    """IDLE → STARTING → READY; a death leads to WAITING and on to STARTING again; STOPPED is final.

    STOPPING: asked to stop while the supervisor goes on; then STOPPED, or STARTING again.
    """

    IDLE = "idle"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to be started again"
    STOPPING = "stopping"
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


@dataclass(frozen=True)
class Stopped:
    """The process has ended because it was asked to; `is_again`: it is started again."""

    name: str
    is_again: bool
    was_killed: bool


Event = BecameReady | Died | Stopped


@dataclass
class Child:
    """The life of one process. `on_group` is told (group, signal) of a start, (group, 0) of an end."""

    spec: Spec
    on_group: Callable[[int, int], None]
    state: State = State.IDLE
    process: subprocess.Popen[bytes] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    run: int = 0  # random, of the present or last process
    reason: str = ""  # why the last process died
    _started_at: float = 0.0
    _next_at: float = 0.0
    _log_start: int = 0
    _is_wanted_again: bool = False
    _was_killed: bool = False

    def start(self, now: float) -> list[Event]:
        """Start the process."""
        rotate_if_large(self.spec.log)
        self._log_start = self.spec.log.stat().st_size if self.spec.log.exists() else 0
        self._started_at = self._next_at = now
        self.state = State.STARTING
        self.run = randbits(62) + 1
        try:
            with self.spec.log.open("ab") as output:
                self.process = spawn(
                    self.spec.argv,
                    env={**self.spec.env, RUN: str(self.run)},
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
        if self.state is State.STOPPING:
            return self._step_stopping(now)
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

    def stop(self, now: float, *, is_wanted_again: bool = False) -> None:
        """Ask the process to stop while the supervisor goes on; what takes too long is killed. May be
        repeated."""
        self._is_wanted_again = is_wanted_again
        if self.state is State.STOPPING:
            return
        if self.is_running() and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.spec.stop_signal)
        self.state, self._was_killed = State.STOPPING, False
        self._next_at = now + STOP_SECONDS

    def kill(self) -> None:
        """Kill a process that hangs: it is started again as one that died."""
        if self.process is not None and self.state in (State.STARTING, State.READY):
            signal_group(self.process, signal.SIGKILL)

    def _step_stopping(self, now: float) -> list[Event]:
        if self.is_running() and self.process is not None:
            if now >= self._next_at and not self._was_killed:
                self._was_killed = True
                signal_group(self.process, signal.SIGKILL)
            return []
        if self.process is not None:
            self._end_group()
        self.process = None
        ended = Stopped(self.spec.name, self._is_wanted_again, self._was_killed)
        if self._is_wanted_again:
            return [ended, *self.start(now)]
        self.state = State.STOPPED
        return [ended]

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
        self.state, self.process, self.reason = State.WAITING, None, reason
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
