"""The master of the simulation: the repository's core behind an uplink that goes wrong; and an attacker."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec

from characters.collecting_core import begin_restore, finish_restore, take_reoffer
from characters.core import Repository, World
from tests.simulation.goods import GEM, with_count
from tests.simulation.ledger import Ledger, Life
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Answered, Unreachable
from worlds.uplink import messages as uplink
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import CharacterState, Item, decode_state

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.world import SimulatedWorld

TIMEOUT_S = 8.0  # the world's HTTP client gives up
LATE_S = 90.0
MALLORY = "mallory"  # an open world that has stolen what others sent
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@dataclass
class Waiting:
    """A request on its way, and who waits for the answer. `is_copy`: nobody does."""

    world: SimulatedWorld
    life: Life
    call: Call
    is_copy: bool = False
    is_answered: bool = False
    struck: Mapping[str, float] = field(default_factory=dict)  # the faults of this one, and how hard


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

    def begin(self) -> None:
        """Have trouble."""
        self.sim.chaos.watch("master_outage", "master", self.fall_silent)
        self.sim.chaos.watch("attack", MALLORY, lambda force: not self.is_down and self.attack(force))
        self.sim.chaos.watch("forgery", MALLORY, lambda force: not self.is_down and self.forge(force))
        self.sim.chaos.watch("stop", "master", self.stop_trade)
        for slug, world in self.repository.worlds.items():
            if world.tier == "official":
                self.sim.chaos.watch("limit", slug, lambda force, world=world: limit(world))

    def fall_silent(self, force: float) -> bool:
        """Be away for a while."""
        self.down_until = self.sim.now + (20 * force if force < 0.67 else 240 * force)
        return True

    def stop_trade(self, force: float) -> bool:
        """The staff stops trade everywhere for a while."""
        self.repository.stops.add((None, ""))
        self.sim.after(40 * force, self.repository.stops.discard, (None, ""))
        return True

    # ---------------------------------------------------------------- uplink

    def call(self, world: SimulatedWorld, call: Call) -> None:
        """Carry a request of a world's daemon to the master, and its answer back, if all goes well."""
        after, waiting = self.sim.after, Waiting(world, world.life, call)
        world.asked[call.id] = call.request
        after(TIMEOUT_S, self.answer, waiting, Unreachable("no answer"))
        delay = 0.005 + 0.045 * self.rng.random()
        struck = world.requests.roll()
        if struck is None:
            after(delay, self.arrive, waiting)
            return
        waiting.struck = struck
        delay += LATE_S * struck.get("request_late", 0.0)
        if "request_lost" not in struck:
            self.sim.late(delay, self.arrive, waiting)
        if "request_doubled" in struck:
            copy = Waiting(world, world.life, call, is_copy=True)
            self.sim.late(delay + LATE_S * struck["request_doubled"], self.arrive, copy)

    def arrive(self, waiting: Waiting) -> None:
        """A request is here."""
        world, request = waiting.world, waiting.call.request
        if self.is_down:
            self.answer(waiting, Unreachable("down"))
            return
        if self.sim.now < world.refusing_until:
            self.answer(waiting, uplink.Refusal("bad_proof", "the key of this world was revoked"))
            return
        if isinstance(request, uplink.Save):
            self.stolen.append(request)
        result = self.handle(world.slug, waiting.life, request)
        if waiting.is_copy or "answer_lost" in waiting.struck:
            return
        self.sim.after(0.005 + 0.045 * self.rng.random(), self.answer, waiting, result)
        if (force := waiting.struck.get("answer_doubled")) is not None:
            self.sim.late(0.1 + LATE_S * force, self.answer, waiting, result, True)

    def answer(self, waiting: Waiting, what: object, is_again: bool = False) -> None:
        """An answer is at the world that asked, if its daemon is still the same process."""
        world, request = waiting.world, waiting.call.request
        if waiting.is_copy or (waiting.is_answered and not is_again):
            return
        if world.life != waiting.life or world.core is None:
            return
        waiting.is_answered = True
        if isinstance(what, uplink.Saved) and what.refusal is None:
            self.ledger.acknowledge(request.line, what)
        elif isinstance(what, uplink.Exchanged):
            for write, saved in zip(request.writes, what.results, strict=False):
                self.ledger.acknowledge(write.line, saved)
        world.feed(Answered(waiting.call.id, what))

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
        self.ledger.goods.is_collecting = True
        self.ledger.after(None, None, self.sim.now)
        is_gone = bool(self.ledger.excused)
        self.ledger.goods.finish(
            self.repository.letters.values(), has_gaps=bridged > 0, is_world_gone=is_gone
        )
        self.ledger.end_unproved_grants()
        return bridged

    # ---------------------------------------------------------------- attacks

    def attack(self, force: float) -> bool:
        """A world sends what it has stolen from another: verbatim, or on top of the head it knows of."""
        if not self.stolen:
            return False
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
        return True

    def forge(self, force: float) -> bool:
        """A world's operator makes something of nothing, for a character that plays there."""
        held = [
            line
            for line in self.repository.lines.values()
            if line.head.owner is None
            and line.head.is_leased(self.now)
            and self.ledger.is_granted(line.id)
            and not self.repository.worlds[
                line.head.holder
            ].is_limited  # on its own forks it may write anything
        ]
        if not held:
            return False
        line = held[int(force * 1000) % len(held)]
        state, world = decode_state(line.state), line.head.holder
        save = uplink.Save(
            line.id, line.head.epoch, line.head.version, line.head.chain, self.sim.new_id(), "mail", state
        )
        if force < 0.3:  # a daemon of the same world that was forgotten, and has learned what the head is
            life, epoch = (world, self.ledger.grants[line.id].life[1] - 1), line.head.epoch - 1
            self.handle(world, life, msgspec.structs.replace(save, kind="item", epoch=epoch))
            return True
        if force < 0.6:
            lease = uplink.LeaseRef(line.id, line.head.epoch)
            names = [name for each, name in self.repository.names.items() if each != line.character]
            post = uplink.Letter(self.sim.new_id(), lease, names[0], "!", "", uplink.Goods([], 50))
            request: object = uplink.Exchange(self.sim.new_id(), [save], post)
        else:
            gems = self.ledger.goods.gems_of_others(line.id)
            if not gems:
                return False
            bags = {**state.bags, "bank": [Item(GEM, 1, gems[int(force * 1000) % len(gems)])]}
            stolen = with_count(msgspec.structs.replace(state, bags=bags), f"{GEM} forged")
            self.ledger.minted[f"{GEM} forged"] += 1
            request = msgspec.structs.replace(save, kind="item", state=stolen)
        self.handle(world, self.ledger.grants[line.id].life, request)
        return True


def limit(world: World) -> bool:
    """The staff does not trust a world any more. Returns: whether it did."""
    is_news, world.is_limited = not world.is_limited, True
    return is_news


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
