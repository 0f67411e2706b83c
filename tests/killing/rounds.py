"""Rounds: people play, processes are killed or stopped, all must be back and everything must add up."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg

from tests.end_to_end.stack import Stack, children_of
from tests.killing.crowd import Crowd
from tests.killing.faults import BACKEND, Fault, draw
from tests.killing.ledger import DoesNotAddUp, Goods, Ledger
from tests.killing.truth import broken_invariants, goods_in_the_database, versions_in_the_database

PLAYED_S = (1.0, 3.0)  # before a fault
AFTER_S = 2.0  # of play after the last fault
BACK_S = 180.0  # everybody must be back; on a quiet machine 15 to 20 s
QUIET_S = 90.0  # the documents that players see are those that the master has
LOOK_S = 0.3
SPARED = 3  # rounds in which a process that was killed is not killed again


class Broken(AssertionError):
    """A round ended with something that must not be."""


@dataclass
class RoundReport:
    """What a round did and found."""

    number: int
    faults: list[str]
    seconds: float = 0.0
    back_s: float = 0.0  # from the last fault until everybody was answered
    deals: dict[str, int] = field(default_factory=dict)
    put_out: list[str] = field(default_factory=list)
    limit_s: float = 0.0  # of the time to come back; 0: none
    versions: int = 0
    broken: str = ""


class Rounds:
    """Runs rounds on one platform. Args: long_every: each such round stops something past the lease."""

    def __init__(
        self, stack: Stack, crowd: Crowd, ledger: Ledger, chance: Random, *, long_every: int
    ) -> None:
        self._stack, self._crowd, self._ledger, self._chance = stack, crowd, ledger, chance
        self._long_every = long_every
        self._recent: deque[list[Fault]] = deque(maxlen=SPARED)
        self._url = stack.setting("DATABASE_URL")

    async def begin(self) -> None:
        """Look at what everybody has before anything happens."""
        self._ledger.known = await self._quiet()
        self._crowd.start()

    async def run(self, number: int, faults: Sequence[Fault] = ()) -> RoundReport:
        """Run one round. What is broken is in the report; nothing is raised for it.

        Args: faults: instead of such as are drawn.
        """
        recent = {name for each in self._recent for fault in each for name in fault.processes}
        faults = faults or draw(self._chance, number, self._long_every, recent)
        self._recent.append([fault for fault in faults if fault.how == "kill"])
        report = RoundReport(number, [str(fault) for fault in faults])
        began = time.monotonic()
        self._crowd.life.round = number
        try:
            await self._play(faults, report)
            await self._check(report)
        except (AssertionError, psycopg.Error, OSError) as error:
            report.broken = f"{type(error).__name__}: {error}"
        report.seconds = time.monotonic() - began
        return report

    async def _play(self, faults: Sequence[Fault], report: RoundReport) -> None:
        self._crowd.go_on()
        for fault in faults:
            await asyncio.sleep(self._chance.uniform(*PLAYED_S))
            await self._inflict(fault)
        hurt = time.monotonic()
        await asyncio.sleep(AFTER_S)
        try:
            async with asyncio.timeout(BACK_S):
                await self._all_run(faults)
                await self._crowd.pause()
                await self._crowd.come_back()
        except TimeoutError:
            absent = "; ".join(
                f"{person.name}: {person.tried}" for person in self._crowd.people if person.tried
            )
            raise Broken(f"not everybody was back after {BACK_S:.0f} s: {absent}") from None
        finally:
            report.back_s = time.monotonic() - hurt
            for person in self._crowd.people:
                report.put_out += [f"{person.name}: {why}" for why in person.put_out]
                person.put_out.clear()
                person.tried = ""

    async def _check(self, report: RoundReport) -> None:
        actual = await self._quiet()
        report.versions = await asyncio.to_thread(versions_in_the_database, self._url)
        broken = await asyncio.to_thread(broken_invariants, self._url)
        try:
            report.deals = dict(self._ledger.settle(actual, report.number))
        except DoesNotAddUp as error:
            broken.append(str(error))
        broken += self._crowd.contradictions
        if broken:
            raise Broken("\n".join(broken))

    async def _quiet(self) -> dict[str, Goods]:
        """Wait until the master has what the world shows; return that. Raises: Broken: it never has."""
        deadline = time.monotonic() + QUIET_S
        names = [person.name for person in self._crowd.people]
        shown: dict[str, Goods] = {}
        kept: dict[str, Goods] = {}
        while time.monotonic() < deadline:
            try:
                async with asyncio.timeout(QUIET_S):
                    shown = await self._crowd.come_back()
                kept = await asyncio.to_thread(goods_in_the_database, self._url, names)
            except (TimeoutError, psycopg.Error) as error:
                shown = {}
                last = str(error)
                await asyncio.sleep(LOOK_S)
                continue
            if all(shown[name] == kept[name] for name in names):
                return kept
            last = "; ".join(
                f"{name} is shown {dict(shown[name])}, the master has {dict(kept[name])}"
                for name in names
                if shown[name] != kept[name]
            )
            await asyncio.sleep(LOOK_S)
        raise Broken(f"the master has not what the world shows after {QUIET_S:.0f} s: {last}")

    # ------------------------------------------------------------ breaking things

    async def _inflict(self, fault: Fault) -> None:
        if fault.how == "kill":
            pids = [pid for process in fault.processes for pid in self._pids(process)]
            for pid in pids:
                _signal(pid, signal.SIGKILL)
            return
        pids = [each for process in fault.processes for pid in self._pids(process) for each in _family(pid)]
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    def _pids(self, process: str) -> list[int]:
        """Return the process of that name; none if it is just being started again."""
        if process != BACKEND:
            pid = self._stack.pid_of(process)
            return [] if pid is None else [pid]
        postmaster = self._stack.pid_of("postgres")
        clients = [pid for pid in children_of(postmaster) if _is_backend(pid)] if postmaster else []
        return [self._chance.choice(sorted(clients))] if clients else []

    async def _all_run(self, faults: Sequence[Fault]) -> None:
        names = {name for fault in faults for name in fault.processes if name != BACKEND}
        while not all(self._stack.pid_of(name) for name in names):
            await asyncio.sleep(LOOK_S)


def _family(pid: int) -> list[int]:
    return [pid, *children_of(pid)]


def _is_backend(pid: int) -> bool:
    """Whether a child of the postmaster serves a client (its title names user, database and address)."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return title.startswith(b"postgres: waystone ")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has just ended
