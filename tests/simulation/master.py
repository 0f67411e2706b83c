"""The master of the simulation: the repository's core behind an uplink that goes wrong; and an attacker."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec

from characters.collecting_core import begin_restore, finish_restore, take_reoffer
from characters.core import Repository, World
from tests.simulation.ledger import Ledger, Life
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Answered, Unreachable
from worlds.uplink import messages as uplink
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import CharacterState

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.world import SimulatedWorld

TIMEOUT_S = 8.0  # the world's HTTP client gives up
LATE_S = 90.0
MALLORY = "mallory"  # an open world that has stolen what others sent
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class Master:
    """Answers worlds, one request after the other, as PostgreSQL's locks see to."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.rng = Random(f"{sim.seed} master")
        self.repository = Repository(
            new_id=sim.new_id, sign=lambda receipt: msgspec.json.encode(receipt).decode()
        )
        self.repository.worlds[MALLORY] = World("open")
        self.ledger = Ledger(self.repository)
        self.down_until = -1.0
        self.stolen: list[uplink.Save] = []

    @property
    def now(self) -> datetime:
        """The master's clock."""
        return START + timedelta(seconds=self.sim.now)

    @property
    def is_down(self) -> bool:
        return self.sim.now < self.down_until

    def step(self, seconds: float) -> None:
        """Have trouble."""
        strikes, now = self.sim.chaos.strikes, self.sim.now
        if (force := strikes("master_outage", "master", now, seconds)) is not None:
            self.down_until = now + (20 * force if force < 0.67 else 240 * force)
        if (force := strikes("attack", MALLORY, now, seconds)) is not None and not self.is_down:
            self.attack(force)

    # ---------------------------------------------------------------- uplink

    def call(self, world: SimulatedWorld, call: Call) -> None:
        """Carry a request of a world's daemon to the master, and its answer back, if all goes well."""
        strikes, now, life = self.sim.chaos.strikes, self.sim.now, world.life
        is_answered = False

        def answer(what: object, *, again: bool = False) -> None:
            nonlocal is_answered
            if (again or not is_answered) and world.life == life and world.core is not None:
                is_answered = True
                if isinstance(what, uplink.Saved) and what.refusal is None:
                    self.ledger.acknowledge(call.request.line, what)
                if isinstance(call.request, uplink.Save):
                    world.answered_save(call.request.line, what)
                elif isinstance(what, uplink.Lease):
                    world.refused_since.pop(what.line, None)  # a new session, of which nothing was refused
                world.feed(Answered(call.id, what))

        self.sim.after(TIMEOUT_S, lambda: answer(Unreachable("no answer")))
        delay = self.rng.uniform(0.005, 0.05)
        if (force := strikes("request_late", world.slug, now)) is not None:
            delay += LATE_S * force
        if strikes("request_lost", world.slug, now) is None:
            self.sim.after(delay, lambda: self.arrive(world, call, life, answer))
        if (force := strikes("request_doubled", world.slug, now)) is not None:
            self.sim.after(delay + LATE_S * force, lambda: self.arrive(world, call, life, None))

    def arrive(
        self, world: SimulatedWorld, call: Call, life: Life, answer: Callable[..., None] | None
    ) -> None:
        """A request is here. `answer`: None for a copy, whose answer nobody waits for."""
        strikes, now = self.sim.chaos.strikes, self.sim.now
        if self.is_down:
            if answer is not None:
                answer(Unreachable("down"))
            return
        if now < world.refusing_until:
            if answer is not None:
                answer(uplink.Refusal("bad_proof", "the key of this world was revoked"))
            return
        if isinstance(call.request, uplink.Save):
            self.stolen.append(call.request)
        result = self.handle(world.slug, life, call.request)
        if answer is None or strikes("answer_lost", world.slug, now) is not None:
            return
        self.sim.after(self.rng.uniform(0.005, 0.05), lambda: answer(result))
        if (force := strikes("answer_doubled", world.slug, now)) is not None:
            self.sim.after(0.1 + LATE_S * force, lambda: answer(result, again=True))

    def handle(self, world: str, life: Life | None, request: object) -> object:
        """Let the repository answer, and look at what it did."""
        if isinstance(request, uplink.Reoffer):
            result = take_reoffer(self.repository, world, request, self.now, read_receipt)
        else:
            result = self.repository.handle(world, request, self.now)
        if isinstance(result, uplink.Refusal) and result.code == "master_fault":
            result = Unreachable("HTTP 503")  # as the uplink has it
        if self.sim.trace is not None and not isinstance(request, uplink.Report):
            self.sim.trace.append(f"{self.sim.now:8.2f} {life or world} {short(request)} → {short(result)}")
        self.ledger.after(life, result, self.sim.now)
        if isinstance(request, uplink.Release):
            self.ledger.note_release(request, result)
        return result

    # ---------------------------------------------------------------- a restore

    def backup(self) -> Repository:
        """Return a copy of the repository as it is now."""
        own = (self.repository.new_id, self.repository.sign)
        return deepcopy(self.repository, {id(each): each for each in own})

    def restore(self, backup: Repository, since: datetime) -> None:
        """Go back to a backup, and collect what worlds hold."""
        self.repository = backup
        begin_restore(backup, since=since)
        self.ledger.begin_again(backup)

    def finish(self) -> int:
        """Go into service; returns over how many gaps."""
        bridged = finish_restore(self.repository, self.now)
        self.ledger.after(None, None, self.sim.now)
        self.ledger.end_unproved_grants()
        return bridged

    # ---------------------------------------------------------------- attacks

    def attack(self, force: float) -> None:
        """A world sends what it has stolen from another: verbatim, or on top of the head it knows of."""
        if not self.stolen:
            return
        save = self.stolen[int(force * len(self.stolen)) - 1]
        line = self.repository.lines[save.line]
        slugs = [slug for slug in self.repository.worlds if slug != line.head.holder]
        attacker = slugs[int(force * 1000) % len(slugs)]
        match int(force * 100) % 4:
            case 0:
                request: object = save
            case 1:
                request = uplink.Release(save.line, line.head.epoch)
            case _:
                request = msgspec.structs.replace(
                    save, op_id=self.sim.new_id(), epoch=line.head.epoch, version=line.head.version,
                    prev_chain=line.head.chain, state=CharacterState(),
                )  # fmt: skip
        self.handle(attacker, None, request)


def read_receipt(text: str) -> Receipt:
    """Return what a receipt of this simulation says; checking signatures is the shell's."""
    return msgspec.json.decode(text, type=Receipt)


def short(message: object) -> str:
    """Return a request or an answer in a few words."""
    match message:
        case uplink.Save():
            return f"save {message.kind} e{message.epoch} v{message.version} op {str(message.op_id)[:8]}"
        case uplink.Saved():
            return f"{message.refusal.code if message.refusal else f'saved v{message.version}'}"
        case uplink.Acquire():
            return f"acquire op {str(message.op_id)[:8]}"
        case uplink.Lease():
            return f"lease {message.line_kind} e{message.epoch} v{message.version}"
        case uplink.Release():
            return f"release e{message.epoch}"
        case uplink.Renew():
            return f"renew {[ref.epoch for ref in message.leases]}"
        case uplink.Renewed():
            return f"held {len(message.held)}, lost {len(message.lost)}"
        case uplink.Refusal():
            return message.code
    return type(message).__name__.lower()
