"""The repository, modelled for the simulation by DESIGN.md section 5; and what counts as a broken rule."""

from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from worlds.uplink import messages as uplink
from zonecluster.protocol.character import GENESIS_CHAIN, CharacterState, encode_state, next_chain, state_hash
from zonecluster.protocol.to_client import CharacterSummary


class Violation(AssertionError):
    """A rule that must hold did not."""


@dataclass
class Line:
    """A line at the master."""

    id: UUID
    epoch: int = 0
    is_held: bool = False
    acquire_op: UUID | None = None
    version: int = 0
    chain: bytes = GENESIS_CHAIN
    state: CharacterState = field(default_factory=CharacterState)
    answers: dict[UUID, tuple[uplink.Save, uplink.Saved]] = field(default_factory=dict)


class Master:
    """The repository, by DESIGN.md section 5."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: dict[UUID, Line] = {}  # by character
        self.tickets: dict[str, tuple[UUID, UUID]] = {}  # account, character
        self.down_until = -1.0

    def new_id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)

    def by_line(self, line: UUID) -> Line:
        return next(one for one in self.lines.values() if one.id == line)

    def answer(self, request: object) -> object:
        match request:
            case uplink.Redeem(ticket):
                if ticket not in self.tickets:
                    return uplink.Refusal("ticket_used", "The ticket was used.")
                account, character = self.tickets.pop(ticket)
                summary = CharacterSummary(id=character, name="Al", level=1, line="main")
                return uplink.Admission(self.new_id(), account, "free", uplink.Limits(15), [summary])
            case uplink.Acquire():
                return self.acquire(request)
            case uplink.Renew(leases):
                held = [r for r in leases if (one := self.by_line(r.line)).is_held and one.epoch == r.epoch]
                return uplink.Renewed(120.0, held, [r for r in leases if r not in held])
            case uplink.Save():
                return self.save(request)
            case uplink.Release(line, epoch):
                one = self.by_line(line)
                was_held = one.is_held and one.epoch == epoch
                one.is_held = one.is_held and not was_held
                return uplink.Released(was_held)
            case uplink.Report():
                return uplink.Reported("official", False, [])
        raise TypeError(request)

    def acquire(self, request: uplink.Acquire) -> uplink.Lease | uplink.Refusal:
        one = self.lines[request.character]
        if one.acquire_op == request.op_id and not one.is_held:
            return uplink.Refusal("stale", "That lease was released.")
        if one.acquire_op != request.op_id:
            one.epoch, one.is_held, one.acquire_op = one.epoch + 1, True, request.op_id
        return uplink.Lease(
            request.character, "Al", one.id, "main", one.epoch, 120.0, one.version, one.chain, one.state
        )

    def save(self, save: uplink.Save) -> uplink.Saved:
        one = self.by_line(save.line)
        if save.op_id in one.answers:
            known, answer = one.answers[save.op_id]
            if known != save:
                return uplink.Saved(save.op_id, refusal=uplink.Refusal("op_id_reused", "Other content."))
            return answer
        if not one.is_held or (save.epoch, save.version) != (one.epoch, one.version):
            return uplink.Saved(save.op_id, refusal=uplink.Refusal("stale", "The head has moved."))
        if save.prev_chain != one.chain:
            return uplink.Saved(save.op_id, refusal=uplink.Refusal("bad_chain", "Another history."))
        if save.state.money < one.state.money:
            raise Violation(f"a saved state went back from {one.state.money} to {save.state.money}")
        hash_of_state = state_hash(encode_state(save.state))
        one.chain = next_chain(one.chain, one.version + 1, save.op_id, hash_of_state)
        one.version, one.state = one.version + 1, save.state
        answer = uplink.Saved(save.op_id, one.version, one.chain, "receipt")
        one.answers[save.op_id] = (save, answer)
        return answer
