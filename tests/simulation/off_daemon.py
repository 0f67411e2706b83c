"""Rules of the world daemon's sessions, saves and handoffs, each broken."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from tests.simulation.breaking import Rule, replace_in
from worlds.daemon.core import (
    answers,
    arrival,
    departure,
    handoff,
    placement,
    saving,
)
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink


def one_outstanding_write(stack: ExitStack) -> None:
    attempt = saving.WriteHead.next_attempt

    def impatient(self: Any, call: Any, now: float) -> Any:
        if self.waiting is not None and self.outstanding is not None:
            self.outstanding = self.call = None
        return attempt(self, call, now)

    replace_in(stack, saving.WriteHead, "next_attempt", impatient)


def same_op_id_for_a_repeat(stack: ExitStack) -> None:
    unanswered = saving.WriteHead.unanswered

    def forgetful(self: Any, call: Any, now: float, rng: Any) -> bool:
        write = self.outstanding
        if call == self.call and write is not None and self.waiting is None:
            self.waiting = replace(write.offer, op_id=call)
            self.outstanding = self.call = self.retry_at = None
            return True
        return unanswered(self, call, now, rng)

    replace_in(stack, saving.WriteHead, "unanswered", forgetful)


def answer_matched_by_op_id(stack: ExitStack) -> None:
    """Any good answer counts for the outstanding write, also a late one of an earlier call."""
    answered, known, own = saving.WriteHead.answered, {}, answers.answered

    def credulous(self: Any, answer: Any, now: float, rng: Any) -> Any:
        write = self.outstanding
        if write is not None and answer.refusal is None:
            answer = uplink.Saved(write.offer.op_id, self.version + 1, write.chain, answer.receipt)
        return answered(self, answer, now, rng)

    def remembering(w: Any, call: Any, answer: Any) -> None:
        w.calls[call] = known.setdefault(call, w.calls.get(call))
        own(w, call, answer)

    replace_in(stack, saving.WriteHead, "answered", credulous)
    replace_in(stack, answers, "answered", remembering)


def freeze_before_commit(stack: ExitStack) -> None:
    def hasty(w: Any, s: Any) -> None:
        if placement.open_instance(w, w.catalog.zones[s.goal.zone]) is None:
            return
        state = departure.with_place(s.head.newest, w.catalog.world, s.goal)
        s.move(Phase.FREEZING, w.now)
        op_id = departure.offer(w, s, "handoff", state).op_id
        s.move(Phase.COMMITTING, w.now)
        s.commit_op = op_id

    replace_in(stack, handoff, "cross", hasty)


def commit_before_admit(stack: ExitStack) -> None:
    def eager(w: Any, s: Any, m: Any) -> None:
        departure.offer(w, s, "handoff", departure.with_place(m.state, w.catalog.world, s.goal), m.serial)
        s.move(Phase.COMMITTING, w.now)
        s.commit_op = None
        instance = placement.open_instance(w, w.catalog.zones[s.goal.zone])
        if instance is not None:
            arrival.ask_to_admit(w, s, Phase.ARRIVING, instance, m.state, s.goal)

    replace_in(stack, handoff, "on_frozen", eager)


def save_before_release(stack: ExitStack) -> None:
    save_out = departure.save_out

    def hasty(w: Any, s: Any, state: Any, serial: int) -> None:
        save_out(w, s, state, serial)
        if s.phase is Phase.SAVING_OUT:
            departure.release(w, s)

    replace_in(stack, departure, "save_out", hasty)


def release_before_remove(stack: ExitStack) -> None:
    """The entity is removed at once; the state is still on its way."""
    save_out = departure.save_out

    def hasty(w: Any, s: Any, state: Any, serial: int) -> None:
        if s.home is not None:
            departure.remove_once(w, s, s.home)
        save_out(w, s, state, serial)

    replace_in(stack, departure, "save_out", hasty)


DAEMON = [
    Rule("one_outstanding_write", "one write of a character at a time", "rule 7", one_outstanding_write),
    Rule(
        "same_op_id_for_a_repeat", "a write is repeated with its op_id", "rules 4, 7", same_op_id_for_a_repeat
    ),
    Rule(
        "answer_matched_by_op_id",
        "an answer counts for the write of its op_id",
        "rule 7",
        answer_matched_by_op_id,
    ),
    Rule(
        "freeze_before_commit",
        "a handoff freezes before it commits",
        "section 4, step 8",
        freeze_before_commit,
    ),
    Rule(
        "commit_before_admit",
        "a handoff commits before it admits",
        "section 4, step 8",
        commit_before_admit,
    ),
    Rule(
        "save_before_release",
        "a log-out saves before it releases",
        "section 4, step 9",
        save_before_release,
    ),
    Rule(
        "release_before_remove",
        "the entity stays until the lease is given back",
        "section 4, step 9",
        release_before_remove,
    ),
]
