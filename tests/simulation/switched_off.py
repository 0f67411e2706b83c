"""Each safety rule, switched off: one function of the real code is replaced by a broken one.

Nothing in the real code knows of this. Most of the repository's rules are switched off by giving the real
function a head on which the check cannot fail, so that all other checks stay.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import msgspec

from characters import rules
from characters.core import Repository, entries, leases
from characters.core import writes as saves
from worlds.daemon.core import (
    answers,
    arrival,
    departure,
    handoff,
    placement,
    recovery,
    replay,
    saving,
    state,
    withholding,
    writes,
)
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus

Break = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Rule:
    """A safety rule: what it says, where the design has it, and how to break it."""

    name: str
    says: str
    source: str
    breaks: Break


def _replace(stack: ExitStack, where: object, name: str, what: object) -> None:
    stack.enter_context(patch.object(where, name, what))


# ---------------------------------------------------------------- the repository's rules


def _decide_save_on(stack: ExitStack, blind: Callable[..., dict[str, Any]]) -> None:
    """Let the repository decide saves with some of what it knows changed."""

    def decide(write: Any, *, head: Any, earlier: Any, writer: Any) -> Any:
        known = {"head": head, "earlier": earlier, "writer": writer}
        return rules.decide_save(write, **(known | blind(write, head, writer)))

    _replace(stack, saves, "decide_save", decide)


def version_check(stack: ExitStack) -> None:
    _decide_save_on(
        stack, lambda write, head, _: {"head": replace(head, version=write.version, chain=write.prev_chain)}
    )


def epoch_fencing(stack: ExitStack) -> None:
    _decide_save_on(stack, lambda write, head, _: {"head": replace(head, epoch=write.epoch)})


def holder_check(stack: ExitStack) -> None:
    _decide_save_on(stack, lambda _, head, writer: {"head": replace(head, holder=writer.world)})


def op_id_idempotency(stack: ExitStack) -> None:
    _decide_save_on(stack, lambda *_: {"earlier": None})


def untrusted_worlds_fork(stack: ExitStack) -> None:
    for module, decision in ((entries, "line_kind"), (leases, "played_line")):
        _replace(stack, module, decision, lambda tier, **_: "main")
    writer = Repository.writer
    _replace(stack, Repository, "writer", lambda *asked: replace(writer(*asked), is_official=True))


def lease_in_force_stays(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        is_others = head.holder != known["world"]
        return rules.decide_grant(replace(head, lease_until=None) if is_others else head, **known)

    _replace(stack, leases, "decide_grant", decide)


def lapsed_lease_moves_only_when_asked(stack: ExitStack) -> None:
    handle = Repository.handle

    def sweep(self: Any, world: str, request: Any, now: Any) -> Any:
        for line in self.lines.values():
            if line.head.holder is not None and not line.head.is_leased(now):
                line.head = rules.released(line.head)
        return handle(self, world, request, now)

    _replace(stack, Repository, "handle", sweep)


def new_epoch_for_each_grant(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        grant = rules.decide_grant(head, **known)
        return replace(grant, epoch=head.epoch or grant.epoch) if isinstance(grant, rules.Grant) else grant

    _replace(stack, leases, "decide_grant", decide)


def repeated_acquire_is_one_grant(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        return rules.decide_grant(replace(head, acquire_op_id=None, acquire_order=0), **known)

    _replace(stack, leases, "decide_grant", decide)


def late_acquire_fences_nobody(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        return rules.decide_grant(replace(head, acquire_order=0), **known)

    _replace(stack, leases, "decide_grant", decide)


# ---------------------------------------------------------------- the world daemon's rules


def one_outstanding_write(stack: ExitStack) -> None:
    attempt = saving.WriteHead.next_attempt

    def impatient(self: Any, call: Any, now: float) -> Any:
        if self.waiting is not None and self.outstanding is not None:
            self.outstanding = self.call = None
        return attempt(self, call, now)

    _replace(stack, saving.WriteHead, "next_attempt", impatient)


def same_op_id_for_a_repeat(stack: ExitStack) -> None:
    unanswered = saving.WriteHead.unanswered

    def forgetful(self: Any, call: Any, now: float, rng: Any) -> bool:
        write = self.outstanding
        if call == self.call and write is not None and self.waiting is None:
            self.waiting = replace(write.offer, op_id=call)
            self.outstanding = self.call = self.retry_at = None
            return True
        return unanswered(self, call, now, rng)

    _replace(stack, saving.WriteHead, "unanswered", forgetful)


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

    _replace(stack, saving.WriteHead, "answered", credulous)
    _replace(stack, answers, "answered", remembering)


def freeze_before_commit(stack: ExitStack) -> None:
    def hasty(w: Any, s: Any) -> None:
        if placement.open_instance(w, w.catalog.zones[s.goal.zone]) is None:
            return
        state = departure.with_place(s.head.newest, w.catalog.world, s.goal)
        s.move(Phase.FREEZING, w.now)
        op_id = departure.offer(w, s, "handoff", state).op_id
        s.move(Phase.COMMITTING, w.now)
        s.commit_op = op_id

    _replace(stack, handoff, "cross", hasty)


def commit_before_admit(stack: ExitStack) -> None:
    def eager(w: Any, s: Any, m: Any) -> None:
        departure.offer(w, s, "handoff", departure.with_place(m.state, w.catalog.world, s.goal), m.serial)
        s.move(Phase.COMMITTING, w.now)
        s.commit_op = None
        instance = placement.open_instance(w, w.catalog.zones[s.goal.zone])
        if instance is not None:
            arrival.ask_to_admit(w, s, Phase.ARRIVING, instance, m.state, s.goal)

    _replace(stack, handoff, "on_frozen", eager)


def save_before_release(stack: ExitStack) -> None:
    save_out = departure.save_out

    def hasty(w: Any, s: Any, state: Any, serial: int) -> None:
        save_out(w, s, state, serial)
        if s.phase is Phase.SAVING_OUT:
            departure.release(w, s)

    _replace(stack, departure, "save_out", hasty)


def release_before_remove(stack: ExitStack) -> None:
    """The entity is removed at once; the state is still on its way."""
    save_out = departure.save_out

    def hasty(w: Any, s: Any, state: Any, serial: int) -> None:
        if s.home is not None:
            departure._remove_once(w, s, s.home)
        save_out(w, s, state, serial)

    _replace(stack, departure, "save_out", hasty)


# ---------------------------------------------------------------- the journal, and saves that fail


def journal_before_shown(stack: ExitStack) -> None:
    """What is new is shown when the journal is asked, not when it has answered."""
    keep = state.World.keep

    def hasty(self: Any, s: Any, save: Any, serial: int = 0, stay: int = 0) -> None:
        keep(self, s, save, serial, stay)
        if serial and s.home is not None:
            self.to_cluster(s.here.cluster, bus.Journaled(session=s.id, serial=serial, stay=stay))

    _replace(stack, state.World, "keep", hasty)


def journal_is_replayed(stack: ExitStack) -> None:
    _replace(stack, replay, "load", lambda w, unfinished: None)


def replay_with_the_same_op_id(stack: ExitStack) -> None:
    load = replay.load

    def renamed(w: Any, unfinished: Any) -> None:
        load(
            w,
            [replace(each, save=msgspec.structs.replace(each.save, op_id=w.new_id())) for each in unfinished],
        )

    _replace(stack, replay, "load", renamed)


def replay_before_the_new_epoch(stack: ExitStack) -> None:
    def hasty(w: Any, s: Any) -> None:
        if s.acquire_op is None:
            w.begin_acquire(s)

    _replace(stack, recovery, "ask_for_lease", hasty)


def unsaved_gain_nothing(stack: ExitStack) -> None:
    _replace(stack, withholding, "WITHHOLD_S", float("inf"))


def unsaved_are_put_out(stack: ExitStack) -> None:
    _replace(stack, withholding, "PUT_OUT_S", float("inf"))


def nobody_is_put_out_for_an_outage(stack: ExitStack) -> None:
    """A master that does not answer counts as one that refuses."""
    on_answer = writes.on_answer

    def strict(w: Any, s: Any, call: Any, answer: Any) -> None:
        since = s.refused_since
        on_answer(w, s, call, answer)
        if isinstance(answer, Unreachable):
            s.refused_since = w.now if since is None else since

    _replace(stack, writes, "on_answer", strict)


RULES = [
    Rule("version_check", "a save names the head that it continues", "rule 3", version_check),
    Rule("epoch_fencing", "a save carries the newest epoch", "rules 2, 3", epoch_fencing),
    Rule("holder_check", "only the holder of the lease saves", "rule 3", holder_check),
    Rule("op_id_idempotency", "a repeated op_id gets the first answer", "rule 4", op_id_idempotency),
    Rule("new_epoch_for_each_grant", "each grant has a new epoch", "rule 2", new_epoch_for_each_grant),
    Rule(
        "lease_in_force_stays",
        "a lease in force is given to no other world",
        "rule 2",
        lease_in_force_stays,
    ),
    Rule(
        "lapsed_lease_moves_only_when_asked",
        "a lapsed lease is not taken back by the clock",
        "rule 10",
        lapsed_lease_moves_only_when_asked,
    ),
    Rule(
        "repeated_acquire_is_one_grant",
        "an acquire that is repeated is the same grant",
        "rules 2, 4",
        repeated_acquire_is_one_grant,
    ),
    Rule(
        "late_acquire_fences_nobody",
        "a late acquire does not fence a newer session of its own world",
        "found by this simulation",
        late_acquire_fences_nobody,
    ),
    Rule(
        "untrusted_worlds_fork",
        "worlds that are not official write their own fork",
        "section 6",
        untrusted_worlds_fork,
    ),
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
    Rule(
        "journal_before_shown",
        "what is shown is on the world's disk",
        "rule 8",
        journal_before_shown,
    ),
    Rule(
        "journal_is_replayed",
        "a restarted daemon hands in what the journal has",
        "rule 8",
        journal_is_replayed,
    ),
    Rule(
        "replay_with_the_same_op_id",
        "... with the op_ids that were written down",
        "rules 4, 8",
        replay_with_the_same_op_id,
    ),
    Rule(
        "replay_before_the_new_epoch",
        "... before it takes the lease anew",
        "rule 8",
        replay_before_the_new_epoch,
    ),
    Rule(
        "unsaved_gain_nothing",
        "who cannot be saved gains nothing",
        "rule 9",
        unsaved_gain_nothing,
    ),
    Rule(
        "unsaved_are_put_out",
        "who cannot be saved for two minutes is put out",
        "rule 9",
        unsaved_are_put_out,
    ),
    Rule(
        "nobody_is_put_out_for_an_outage",
        "a master that does not answer refuses nothing",
        "rule 9",
        nobody_is_put_out_for_an_outage,
    ),
]
BY_NAME = {rule.name: rule for rule in RULES}


@contextmanager
def switched_off(name: str | None) -> Iterator[None]:
    """Switch a rule off for a while; None: leave them all on.

    Raises: KeyError: there is no such rule.
    """
    with ExitStack() as stack:
        if name is not None:
            BY_NAME[name].breaks(stack)
        yield
