"""The supervisor's loop: one thread that starts, watches and stops children, whatever they are."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from waystone.embedded.spawn import spawn
from waystone.supervisor import guard
from waystone.supervisor.child import STOP_SECONDS, Child, Died, Spec, State
from waystone.supervisor.screen import Screen

STEP_SECONDS = 0.05
LOG_CHECK_SECONDS = 60.0
_PR_SET_CHILD_SUBREAPER = 36


class StopRequested(Exception):
    """Ctrl-C or SIGTERM came."""


class Supervisor:
    """Keeps children running until it is told to stop; nothing that they started outlives it."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.children: list[Child] = []
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._stop_signals = 0
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._not_ours = _own_children()  # of whoever uses this class, such as a test
        self._guard_input, self._guard = _start_guard()

    def install(self) -> None:
        """Take the signals, and the orphans of our children."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only to wake the loop
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)

    def add(self, spec: Spec) -> Child:
        """Start a child."""
        child = Child(spec, self._tell_guard)
        self.children.append(child)
        self._show(child.start(time.monotonic()))
        return child

    def drop(self, child: Child) -> None:
        """Forget a child that has stopped."""
        self.children.remove(child)

    def step(self) -> list[Died]:
        """Do one round; wait at most STEP_SECONDS. Returns the deaths of this round.

        Raises: StopRequested.
        """
        if self._stop_signals:
            raise StopRequested
        now = time.monotonic()
        deaths = [
            event
            for child in list(self.children)
            for event in self._show(child.step(now))
            if isinstance(event, Died)
        ]
        self._end_orphans()
        self.screen.refresh()
        self._wait(STEP_SECONDS)
        return deaths

    def run_forever(self, also: Callable[[float], None] = lambda now: None) -> None:
        """Watch the children, and the size of their logs.

        Args: also: is called at each step with the instant, monotonic seconds.
        Raises: StopRequested.
        """
        next_log_check = time.monotonic() + LOG_CHECK_SECONDS
        while True:
            self.step()
            also(time.monotonic())
            if time.monotonic() >= next_log_check:
                next_log_check = time.monotonic() + LOG_CHECK_SECONDS
                for child in self.children:
                    child.rotate_log()

    def all_ready(self) -> bool:
        """Return whether every child is ready."""
        return all(child.state is State.READY for child in self.children)

    def helper(self, process: subprocess.Popen[bytes]) -> None:
        """Take a short-lived process of the start: it is ended with us, and not taken for an orphan."""
        self._helpers.append(process)
        self._tell_guard(process.pid, signal.SIGTERM)

    def stop(self) -> list[str]:
        """Stop everything, stage by stage, once; return the names of those that had to be killed."""
        if self._guard_input.closed:
            return []
        seen_signals = self._stop_signals
        for process in self._helpers:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        killed = []
        for stage in sorted({child.spec.stop_stage for child in self.children}):
            members = [child for child in self.children if child.spec.stop_stage == stage]
            self.screen.working_on("stopping " + ", ".join(child.spec.name for child in members))
            for child in members:
                child.ask_to_stop()
            end = time.monotonic() + STOP_SECONDS
            while any(child.is_running() for child in members):
                is_impatient = self._stop_signals > seen_signals
                if time.monotonic() >= end or is_impatient:
                    break
                self.screen.refresh()
                self._wait(STEP_SECONDS)
            killed += [child.spec.name for child in members if child.is_running()]
            for child in members:
                child.end_for_good()
        self._end_orphans()
        self._guard_input.close()
        self._guard.wait()
        self.screen.working_on("")
        return killed

    def _show(self, events: list) -> list:
        for event in events:
            self.screen.show(event)
        return events

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_signals += 1

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal comes, at most so long."""
        select.select([self._wakeup_read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup_read, 512)

    def _tell_guard(self, group: int, number: int) -> None:
        line = f"+{group} {number}\n" if number else f"-{group}\n"
        # Somebody killed the guard? The kernel's death signal stays.
        with contextlib.suppress(BrokenPipeError):
            self._guard_input.write(line.encode())
            self._guard_input.flush()

    def _end_orphans(self) -> None:
        """End what our dead children had started and the kernel has handed to us."""
        ours = {child.process.pid for child in self.children if child.process is not None}
        ours |= {process.pid for process in self._helpers} | {self._guard.pid}
        for pid in _own_children() - ours - self._not_ours:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)


def _own_children() -> set[int]:
    path = Path(f"/proc/self/task/{os.getpid()}/children")  # the main thread's, which does all the forking
    return {int(pid) for pid in path.read_text().split()} if path.exists() else set()


def _start_guard() -> tuple:
    """Start the program that cleans up should we be killed; return its input and its process."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    argv = [sys.executable, "-I", "-S", guard.__file__]
    process = subprocess.Popen(argv, stdin=read_end, start_new_session=True, cwd="/")
    os.close(read_end)
    return os.fdopen(write_end, "wb"), process


def spawn_helper(argv: list[str], env: dict[str, str], output: int) -> subprocess.Popen[bytes]:
    """Start a short-lived process of the start, such as `manage.py prepare`."""
    return spawn(argv, env=env, output=output)
