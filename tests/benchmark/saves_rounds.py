"""One round of the benchmark of saves: threads write, each with a connection of its own, and are timed."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError, Thread
from time import perf_counter

CpuTimes = Callable[[], dict[str, float]]  # of each process that takes part, until now
# Made in a thread, for as long as the round takes; what it yields does the job of a number.
Writer = Callable[[], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Timing:
    """What a round took. `cpu_s`: of this process and of each other one; `batch_ms` of each batch."""

    seconds: float
    cpu_s: dict[str, float]
    batch_ms: list[float]


class Failed(RuntimeError):
    """A round that did not do what it should; the message says what."""


def run(writer: Writer, count: int, connections: int, cpu_s: CpuTimes) -> Timing:
    """Let `connections` threads do jobs 0 to count - 1, each with what a `writer()` of its own yields.

    Timed from when all are connected until all jobs are done. Args: cpu_s: tells CPU times until now.
    Raises: Failed: a job did.
    """
    jobs = deque(range(count))
    batch_ms: list[float] = []
    errors: list[BaseException] = []
    begin, end = Barrier(connections + 1), Barrier(connections + 1)

    def work() -> None:
        try:
            with writer() as do:
                begin.wait()
                try:
                    while (number := next_of(jobs)) is not None and not errors:
                        before = perf_counter()
                        do(number)
                        batch_ms.append((perf_counter() - before) * 1000)
                finally:
                    end.wait()
        except Exception as error:  # noqa: BLE001  (of a thread: told by the one that waits for it)
            errors.append(error)
            begin.abort()

    threads = [Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        cpu_before = cpu_s()
        begin.wait(60)
        before = perf_counter()
        end.wait(600)
        seconds, cpu_after = perf_counter() - before, cpu_s()
    except BrokenBarrierError as error:
        raise Failed(f"the round did not begin or end: {errors}") from error
    finally:
        for thread in threads:
            thread.join()
    if errors:
        raise Failed(f"{type(errors[0]).__name__}: {errors[0]}") from errors[0]
    return Timing(seconds, {name: cpu_after[name] - cpu_before[name] for name in cpu_after}, batch_ms)


def next_of(jobs: deque[int]) -> int | None:
    """Take the next job; None: there is none. Safe among threads."""
    try:
        return jobs.popleft()
    except IndexError:
        return None
