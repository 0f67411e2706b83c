"""The write head of one character line: what the master has, what was asked of it, what waits.

Rule 7 of DESIGN.md section 5: at most one write outstanding; repeated with the same op_id and the same
content until it is answered; an answer counts only if its op_id is the outstanding one. A newer state waits
and replaces an older waiting one: every state holds the whole truth.

Rule 8: a waiting state goes to the journal before it goes to the master. What it will be as a write is known
while another is still outstanding: the chain after that one follows from its content. Pure; knows no session
and no bus.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import dropwhile
from random import Random
from typing import get_args
from uuid import UUID

import msgspec

from worlds.uplink import messages as uplink
from zonecluster.protocol.character import CharacterState, InvalidState, encode_state, next_chain, state_hash

ANSWER_TIMEOUT_S = 12.0  # the shell answers within its own 10 s; this one only guards against a lost answer
BACKOFF_S = (0.2, 5.0)  # first and longest wait after a write that was not answered


def backoff(failures: int, rng: Random) -> float:
    """Return the wait in seconds after so many failures (1..): doubling, at most 5 s, half of it jitter."""
    first, longest = BACKOFF_S
    limit = min(longest, first * 2 ** min(failures - 1, 10))
    return limit * (0.5 + rng.random() / 2)


@dataclass(frozen=True)
class Offer:
    """A state to be written."""

    op_id: UUID
    kind: str
    state: CharacterState
    serial: int = 0  # of the cluster's checkpoint, echoed to it
    stay: int = 0  # of the entity that sent it


@dataclass(frozen=True)
class Write:
    """The one outstanding write. `chain`: what the head's chain must be after it."""

    offer: Offer
    save: uplink.Save
    chain: bytes


def chain_after(save: uplink.Save) -> bytes:
    """Return what a line's chain is once it has accepted a write."""
    return next_chain(save.prev_chain, save.version + 1, save.op_id, state_hash(encode_state(save.state)))


class ExchangeUnanswered(RuntimeError):
    """Our own code wanted a second write of a line, besides an exchange or before one."""


class Outcome(StrEnum):
    """What an answer means."""

    IGNORED = "ignored"  # not the outstanding write
    ACCEPTED = "accepted"
    LATER = "later"  # ask again, same op_id
    DISCARDED = "discarded"  # this state is not acceptable; later ones may be
    LOST = "lost"  # the head is another's: the character must be dropped


KINDS = frozenset(get_args(uplink.SaveKind))
LOSING = frozenset(
    {"stale", "bad_chain", "op_id_reused", "world_suspended", "account_banned", "unknown_character"}
)
DISCARDING = frozenset({"invalid_state", "foreign_valuable"})  # this document never: the head stays good


@dataclass
class WriteHead:
    """The right to write one line, and the last accepted version. Times in seconds."""

    line: UUID
    epoch: int
    version: int
    chain: bytes
    state: CharacterState
    after: UUID | None = None  # the newest exchange of the line: a document that knows another one is old
    exchange: Write | None = None  # this line's part of an exchange that the master was asked for
    outstanding: Write | None = None
    waiting: Offer | None = None
    planned: Write | None = None  # the waiting state as a write, as the journal was asked to keep it
    may_go: bool = False  # the journal has the planned write, or cannot have it
    kept: set[UUID] = field(default_factory=set)  # op_ids of unaccepted writes that the journal has
    call: UUID | None = None  # attempt in flight
    called_at: float = 0.0
    retry_at: float | None = None
    failures: int = 0

    @classmethod
    def of_lease(cls, lease: uplink.Lease) -> "WriteHead":
        """Return the head that a lease names."""
        return cls(lease.line, lease.epoch, lease.version, lease.chain, lease.state, lease.exchange)

    @property
    def lease(self) -> uplink.LeaseRef:
        """The lease, as requests name it."""
        return uplink.LeaseRef(line=self.line, epoch=self.epoch)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was offered is accepted, and no exchange unanswered."""
        return self.outstanding is None and self.waiting is None and self.exchange is None

    @property
    def newest(self) -> CharacterState:
        """The newest state that is known, accepted or not. Of an unanswered exchange: the one before it."""
        if self.waiting is not None:
            return self.waiting.state
        return self.outstanding.offer.state if self.outstanding is not None else self.state

    def offer(self, offer: Offer) -> None:
        """Put a state in line.

        Raises: InvalidState: larger than a document may be. ExchangeUnanswered.
        """
        if self.exchange is not None:
            raise ExchangeUnanswered("no write follows on an exchange that may or may not have been accepted")
        encode_state(offer.state)
        if self.waiting is not None and offer.kind == "periodic":
            offer = replace(offer, kind=self.waiting.kind)
        self.waiting = offer

    def to_journal(self) -> uplink.Save | None:
        """Return the waiting state as a write, if the journal has not been asked to keep it yet."""
        if self.waiting is None:
            return None
        before = self.outstanding
        version, chain = (self.version, self.chain) if before is None else (self.version + 1, before.chain)
        planned = self.planned
        if planned is not None and planned.offer is self.waiting and planned.save.prev_chain == chain:
            return None
        if planned is not None:
            self.kept.discard(planned.offer.op_id)
        self.planned, self.may_go = self._as_write(self.waiting, version, chain), False
        return self.planned.save

    def journaled(self, save: uplink.Save, *, is_kept: bool) -> None:
        """The journal has a write, or cannot take it: either way it may go to the master."""
        is_planned = self.planned is not None and self.planned.save is save
        is_outstanding = self.outstanding is not None and self.outstanding.save is save
        self.may_go = self.may_go or is_planned
        if is_kept and (is_planned or is_outstanding):
            self.kept.add(save.op_id)

    def unfinished(self) -> list[uplink.Save]:
        """Return the writes that the master has not accepted, in their order."""
        self.to_journal()
        writes = [self.outstanding, self.planned if self.waiting is not None else None]
        return [write.save for write in writes if write is not None]

    def not_kept(self) -> list[uplink.Save]:
        """Return the unfinished writes from the first on that the journal does not have, if there is one.

        Those behind it, too: in the journal a write takes the place of those that come after it.
        """
        return list(dropwhile(lambda save: save.op_id in self.kept, self.unfinished()))

    def next_attempt(self, call: UUID, now: float) -> uplink.Save | None:
        """Return the write to send now, if any; `call` names the attempt."""
        if self.call is not None and now - self.called_at > ANSWER_TIMEOUT_S:
            self.call, self.retry_at = None, now
        if self.outstanding is None and self.waiting is not None and self.planned is not None and self.may_go:
            self.outstanding, self.failures = self.planned, 0
            self.waiting = self.planned = None
            self.may_go, self.retry_at = False, now
        if self.outstanding is None or self.call is not None or self.retry_at is None or now < self.retry_at:
            return None
        self.call, self.called_at, self.retry_at = call, now, None
        return self.outstanding.save

    # ---------------------------------------------------------------- exchanges

    def begin_exchange(self, offer: Offer) -> uplink.Save:
        """Make this line's write of an exchange: nothing else is written until its outcome is known.

        Raises: InvalidState: larger than a document may be. ExchangeUnanswered: there is another write.
        """
        if not self.is_idle:
            raise ExchangeUnanswered("an exchange begins from the head: another write is not answered yet")
        self.exchange = self._as_write(offer, self.version, self.chain)
        return self.exchange.save

    def exchanged(self, answer: uplink.Saved, exchange: UUID) -> Outcome:
        """The master accepted the exchange; on ACCEPTED the head has moved as was thought here."""
        write, self.exchange = self.exchange, None
        if write is None or answer.op_id != write.offer.op_id:
            return Outcome.IGNORED
        if answer.version != self.version + 1 or answer.chain != write.chain:
            return Outcome.LOST
        self.version, self.chain, self.state = answer.version, answer.chain, write.offer.state
        self.after = exchange
        return Outcome.ACCEPTED

    def resume_exchange(self, save: uplink.Save) -> None:
        """The head has moved, perhaps by this write: nothing else is written until that is known."""
        self.outstanding = self.waiting = self.planned = self.call = self.retry_at = None
        offer = Offer(save.op_id, save.kind, save.state)
        self.exchange = Write(offer, save, chain_after(save))

    def void_exchange(self) -> None:
        """The exchange will never be accepted: the head is what it was."""
        self.exchange = None

    def _as_write(self, offer: Offer, version: int, chain: bytes) -> Write:
        kind = offer.kind if offer.kind in KINDS else "periodic"
        save = uplink.Save(
            line=self.line,
            epoch=self.epoch,
            version=version,
            prev_chain=chain,
            op_id=offer.op_id,
            kind=msgspec.convert(kind, uplink.SaveKind),
            state=offer.state,
        )
        return Write(offer, save, chain_after(save))

    def unanswered(self, call: UUID, now: float, rng: Random) -> bool:
        """Note that an attempt got no answer. Returns: whether it was the attempt in flight."""
        if call != self.call:
            return False
        self.failures += 1
        self.call, self.retry_at = None, now + backoff(self.failures, rng)
        return True

    def answered(self, answer: uplink.Saved, now: float, rng: Random) -> Outcome:
        """Take an answer; on ACCEPTED the head has moved and the next state may go."""
        write = self.outstanding
        if write is None or answer.op_id != write.offer.op_id:
            return Outcome.IGNORED
        if answer.refusal is not None:
            return self._refused(answer.refusal, now, rng)
        if answer.version != self.version + 1 or answer.chain != write.chain:
            return Outcome.LOST
        self.version, self.chain, self.state = answer.version, answer.chain, write.offer.state
        self.outstanding = self.call = self.retry_at = None
        self.failures = 0
        self.kept.discard(answer.op_id)
        return Outcome.ACCEPTED

    def _refused(self, refusal: uplink.Refusal, now: float, rng: Random) -> Outcome:
        if refusal.code in LOSING:
            return Outcome.LOST
        if refusal.code in DISCARDING:
            self.outstanding = self.call = self.retry_at = None
            return Outcome.DISCARDED
        self.failures += 1  # a fault of the master or of our proof: not of this write
        self.call, self.retry_at = None, now + backoff(self.failures, rng)
        return Outcome.LATER


__all__ = [
    "DISCARDING",
    "LOSING",
    "ExchangeUnanswered",
    "InvalidState",
    "Offer",
    "Outcome",
    "Write",
    "WriteHead",
    "backoff",
    "chain_after",
]
