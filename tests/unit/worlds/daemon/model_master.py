"""The repository, modelled for the simulation by DESIGN.md section 5; and what counts as a broken rule."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
    name: str = "Al"
    exchange: UUID | None = None


def things_of(state: CharacterState) -> Counter[tuple[str, UUID | None]]:
    """Return what goes from one document to another here. Money does not: it stands for what is gained."""
    total: Counter[tuple[str, UUID | None]] = Counter()
    for bag in state.bags.values():
        for item in bag:
            total[item.kind, item.id] += item.count
    return total


def things_in(goods: uplink.Goods) -> Counter[tuple[str, UUID | None]]:
    return things_of(CharacterState(bags={"letter": goods.items}))


class Master:
    """The repository, by DESIGN.md section 5."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: dict[UUID, Line] = {}  # by character
        self.tickets: dict[str, tuple[UUID, UUID]] = {}  # account, character
        self.down_until = -1.0
        self.letters: dict[UUID, tuple[UUID, uplink.Received]] = {}  # to whom, and what
        self.refuses = 0.0  # of exchanges, for no reason that lasts

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
                name = self.lines[character].name
                summary = CharacterSummary(id=character, name=name, level=1, line="main")
                return uplink.Admission(self.new_id(), account, "free", uplink.Limits(15), [summary])
            case uplink.Acquire():
                return self.acquire(request)
            case uplink.Renew(leases):
                held = [r for r in leases if (one := self.by_line(r.line)).is_held and one.epoch == r.epoch]
                return uplink.Renewed(120.0, held, [r for r in leases if r not in held])
            case uplink.Save():
                return self.save(request)
            case uplink.Exchange():
                return self.exchange(request)
            case uplink.Mailbox():
                return self.mailbox(request)
            case uplink.Release(line, epoch):
                one = self.by_line(line)
                was_held = one.is_held and one.epoch == epoch
                one.is_held = one.is_held and not was_held
                return uplink.Released(was_held)
            case uplink.Report():
                letters = sorted({to for to, letter in self.letters.values() if letter.is_new})
                return uplink.Reported("official", False, [], letters=letters)
        raise TypeError(request)

    def acquire(self, request: uplink.Acquire) -> uplink.Lease | uplink.Refusal:
        one = self.lines[request.character]
        if one.acquire_op == request.op_id and not one.is_held:
            return uplink.Refusal("stale", "That lease was released.")
        if one.acquire_op != request.op_id:
            one.epoch, one.is_held, one.acquire_op = one.epoch + 1, True, request.op_id
        return uplink.Lease(
            request.character, one.name, one.id, "main", one.epoch, 120.0, one.version, one.chain, one.state,
            one.exchange, receipt="of this world, which is the only one",
        )  # fmt: skip

    def save(self, save: uplink.Save) -> uplink.Saved:
        one = self.by_line(save.line)
        if save.op_id in one.answers:
            known, answer = one.answers[save.op_id]
            if known != save:
                return uplink.Saved(save.op_id, refusal=uplink.Refusal("op_id_reused", "Other content."))
            return answer
        if refusal := self.why_not(one, save):
            return uplink.Saved(save.op_id, refusal=refusal)
        if things_of(save.state) != things_of(one.state):
            raise Violation(f"a save has made or lost things: {things_of(one.state)} {things_of(save.state)}")
        return self.append(one, save)

    def why_not(self, one: Line, save: uplink.Save) -> uplink.Refusal | None:
        if not one.is_held or (save.epoch, save.version) != (one.epoch, one.version):
            return uplink.Refusal("stale", "The head has moved.")
        if save.prev_chain != one.chain:
            return uplink.Refusal("bad_chain", "Another history.")
        return None

    def append(self, one: Line, save: uplink.Save) -> uplink.Saved:
        if save.state.money < one.state.money:
            raise Violation(f"a saved state went back from {one.state.money} to {save.state.money}")
        hash_of_state = state_hash(encode_state(save.state))
        one.chain = next_chain(one.chain, one.version + 1, save.op_id, hash_of_state)
        one.version, one.state = one.version + 1, save.state
        answer = uplink.Saved(save.op_id, one.version, one.chain, "receipt")
        one.answers[save.op_id] = (save, answer)
        return answer

    def exchange(self, request: uplink.Exchange) -> uplink.Exchanged:
        """All of it, or nothing. What does not conserve was never to be asked for."""
        lines = [self.by_line(save.line) for save in request.writes]
        known = [line.answers.get(save.op_id) for line, save in zip(lines, request.writes, strict=True)]
        if any(known):
            if [each and each[0] for each in known] != request.writes:
                raise Violation("an exchange was asked for again with other content")
            return uplink.Exchanged([each[1] for each in known if each])
        for line, save in zip(lines, request.writes, strict=True):
            if refusal := self.why_not(line, save):
                return uplink.Exchanged(refusal=refusal, line=line.id)
        if self.rng.random() < self.refuses:
            return uplink.Exchanged(refusal=uplink.Refusal("trade_off", "Not now."))
        letter = self.letters.get(request.take.letter) if request.take else None
        if request.take and (letter is None or not letter[1].goods.items):
            return uplink.Exchanged(refusal=uplink.Refusal("unknown_letter", "No such letter."))
        before = sum(map(things_of, (line.state for line in lines)), Counter())
        after = sum(map(things_of, (save.state for save in request.writes)), Counter())
        before += things_in(letter[1].goods) if letter else Counter()
        after += things_in(request.post.goods) if request.post else Counter()
        if before != after:
            raise Violation(f"an exchange makes or loses things: {before} {after}")
        for line in lines:
            line.exchange = request.id
        if letter:
            self.letters[letter[1].id] = letter[0], self.received(letter[1].id, uplink.Goods(), is_new=False)
        if request.post and request.post.id not in self.letters:
            self.post(request.post)
        return uplink.Exchanged(
            [self.append(line, save) for line, save in zip(lines, request.writes, strict=True)]
        )

    def post(self, letter: uplink.Letter) -> None:
        to = next(each for each, line in self.lines.items() if line.name == letter.recipient)
        self.letters[letter.id] = to, self.received(letter.id, letter.goods, is_new=True)

    def received(self, letter: UUID, goods: uplink.Goods, *, is_new: bool) -> uplink.Received:
        at = datetime(2026, 11, 23, tzinfo=UTC)
        return uplink.Received(letter, "Al", "Demo", "Subject", "", goods, at, is_new=is_new)

    def mailbox(self, request: uplink.Mailbox) -> uplink.MailboxIs:
        mine = {key: letter for key, (to, letter) in self.letters.items()
                if self.lines[to].id == request.lease.line}  # fmt: skip
        for key, letter in mine.items():
            to, _ = self.letters[key]
            if key in request.discard and not letter.goods.items:
                del self.letters[key]
            else:
                self.letters[key] = to, self.received(key, letter.goods, is_new=False)
        return uplink.MailboxIs([letter for key, letter in mine.items() if key in self.letters])

    def things(self) -> Counter[tuple[str, UUID | None]]:
        """Return all that anybody has, and that lies in letters."""
        total = sum((things_of(line.state) for line in self.lines.values()), Counter())
        return total + sum((things_in(letter.goods) for _, letter in self.letters.values()), Counter())
