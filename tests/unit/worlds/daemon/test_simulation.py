"""The daemon's core in a hostile world, by many seeds; and proof that the simulation finds broken rules."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest

from tests.unit.worlds.daemon.model_master import Violation
from tests.unit.worlds.daemon.simulation import Faults, Simulation, play_through
from worlds.daemon.core import (
    answers,
    arrival,
    departure,
    exchanges,
    handoff,
    placement,
    queueing,
    recovery,
    steps,
    writes,
)
from worlds.daemon.core.commerce import Exchange
from worlds.daemon.core.saving import ExchangeUnanswered, WriteHead
from worlds.daemon.core.session import IllegalMove, Phase, Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "100"))
SEEDS_TO_FIND = 150  # a broken rule shows within so many seeds, or the simulation is no good
HARSH = Faults(
    lost=0.15, doubled=0.15, slow=0.2, unanswered=0.2, repeated_answer=0.3, cluster_deaths=0.04,
    cluster_stalls=0.02, cluster_jams=0.03, daemon_deaths=0.01, gateway_deaths=0.01, master_outages=0.03,
    database_slow=0.1, misbehave=0.3,
)  # fmt: skip

# Clusters that live but do not answer are the hardest for a handoff; without what excuses ghosts for seconds.
BLOCKED = replace(HARSH, cluster_jams=0.1, cluster_stalls=0.0, daemon_deaths=0.0)

# What breaks an exchange: answers that are lost, writes that come late, refusals that pass, deaths.
TRADING = Faults(
    lost=0.03, doubled=0.03, slow=0.03, unanswered=0.08, late=0.12, refused=0.4, lease_thefts=0.0,
    cluster_deaths=0.01, daemon_deaths=0.015, misbehave=0.05,
)  # fmt: skip


@pytest.mark.parametrize("faults", [Faults(), HARSH], ids=["bad", "harsh"])
def test_rules_hold_in_a_hostile_world(faults: Faults) -> None:
    """One place per character, one write at a time, nothing stuck, nothing older than saved or reported."""
    totals: dict[str, int] = {}
    for seed in range(SEEDS // 2):
        try:
            simulation = play_through(seed, faults)
        except (Violation, IllegalMove) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        for name, number in simulation.counts.items():
            totals[name] = totals.get(name, 0) + number
    for fault in ("cluster deaths", "cluster stalls", "daemon deaths", "gateway deaths", "lease thefts"):
        assert totals[fault] > 0, f"the simulation did not make {fault}"
    for deed in ("sides of trades done", "sides of trades ended", "letters posted", "letters taken"):
        assert totals[deed] > 0, f"there were no {deed}"


def test_the_queue_of_a_full_world_is_kept_through_everything() -> None:
    """Four players, two places: nobody too many is in, nobody waits beside a free place, no row stays."""
    totals: dict[str, int] = {}
    for seed in range(SEEDS // 5):
        try:
            simulation = play_through(seed, Faults(), places=2)
        except (Violation, IllegalMove) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        for name, number in simulation.counts.items():
            totals[name] = totals.get(name, 0) + number
    assert totals["places told"] > 0 and totals["queue_loaded"] > 0, "the queue outlasted no daemon"


def test_same_seed_gives_the_same_run() -> None:
    """A seed that is printed on failure can be run again."""
    first, second = play_through(7, HARSH), play_through(7, HARSH)
    heads = [[(line.version, line.chain) for line in sim.master.lines.values()] for sim in (first, second)]
    assert heads[0] == heads[1]
    assert first.counts == second.counts


# ---------------------------------------------------------------- broken on purpose


def finds(faults: Faults = BLOCKED, **options: int) -> bool:
    """Whether some seed breaks a rule."""
    for seed in range(SEEDS_TO_FIND):
        try:
            play_through(seed, faults, **options)
        except (Violation, IllegalMove, ExchangeUnanswered):
            return True
    return False


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("must_wait", lambda w, s: False),
        ("may_come_in", lambda w, s: False),
        ("_replace", lambda w, older: None),
        ("forget_gone", lambda w, queue: set()),
    ],
)
def test_a_broken_queue_is_found(
    monkeypatch: pytest.MonkeyPatch, rule: str, broken: Callable[..., object]
) -> None:
    monkeypatch.setattr(queueing, rule, broken)
    assert finds(Faults(), places=2)


def two_writes_at_once(patch: pytest.MonkeyPatch) -> None:
    attempt = WriteHead.next_attempt

    def impatient(self: WriteHead, call: object, now: float) -> object:
        if self.waiting is not None and self.outstanding is not None:
            self.outstanding = self.call = None
        return attempt(self, call, now)

    patch.setattr(WriteHead, "next_attempt", impatient)


def new_op_id_for_a_repeat(patch: pytest.MonkeyPatch) -> None:
    unanswered = WriteHead.unanswered

    def forgetful(self: WriteHead, call: object, now: float, rng: object) -> bool:
        write = self.outstanding
        if call == self.call and write is not None and self.waiting is None:
            self.waiting, self.outstanding = type(write.offer)(call, "periodic", write.offer.state), None
        return unanswered(self, call, now, rng)

    patch.setattr(WriteHead, "unanswered", forgetful)


def any_answer_counts(patch: pytest.MonkeyPatch) -> None:
    """Late and doubled answers reach the write head, which believes them."""
    answered = WriteHead.answered

    def credulous(self: WriteHead, answer: object, now: float, rng: object) -> object:
        write = self.outstanding
        if write is not None and answer.refusal is None and answer.version == self.version:
            self.outstanding = self.call = None
            return writes.Outcome.DISCARDED
        return answered(self, answer, now, rng)

    patch.setattr(WriteHead, "answered", credulous)
    let_late_answers_through(patch)


def let_late_answers_through(patch: pytest.MonkeyPatch) -> None:
    known: dict[object, object] = {}
    own = answers.answered

    def with_memory(w: object, call: object, answer: object) -> None:
        w.calls[call] = known.setdefault(call, w.calls.get(call))
        own(w, call, answer)

    patch.setattr(answers, "answered", with_memory)


def commit_without_freezing(patch: pytest.MonkeyPatch) -> None:
    def hasty(w: object, s: object) -> None:
        if placement.open_instance(w, w.catalog.zones[s.goal.zone]) is None:
            return
        state = departure.with_place(s.writer.newest, w.catalog.world, s.goal)
        s.move(Phase.FREEZING, w.now)
        s.commit_op = departure.offer(w, s, "handoff", state).op_id
        s.move(Phase.COMMITTING, w.now)

    patch.setattr(handoff, "cross", hasty)


def admit_before_commit(patch: pytest.MonkeyPatch) -> None:
    def eager(w: object, s: object, m: object) -> None:
        departure.offer(w, s, "handoff", departure.with_place(m.state, w.catalog.world, s.goal), m.serial)
        instance = placement.open_instance(w, w.catalog.zones[s.goal.zone])
        s.move(Phase.COMMITTING, w.now)
        s.commit_op = None
        if instance is not None:
            arrival.ask_to_admit(w, s, Phase.ARRIVING, instance, m.state, s.goal)

    patch.setattr(handoff, "on_frozen", eager)


def return_without_asking_the_target(patch: pytest.MonkeyPatch) -> None:
    def trusting(w: object, s: object) -> None:
        s.move(Phase.RETURNING, w.now)
        handoff.returned(w, s)

    patch.setattr(handoff, "arrival_failed", trusting)


def believe_late_checkpoints(patch: pytest.MonkeyPatch) -> None:
    def credulous(w: object, s: object, m: object) -> None:
        if s.phase is Phase.PLAYING and s.writer is not None and m.cluster == s.home.cluster:
            departure.offer(w, s, m.kind, m.state, m.serial)

    patch.setattr(writes, "on_checkpoint", credulous)


def recover_from_the_head_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WriteHead, "newest", property(lambda self: self.state))


def stay_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "_overdue", lambda w, s: None)


def save_documents_of_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departure, "is_outdated", lambda w, s, after, what: False)


def exchange_without_holding(patch: pytest.MonkeyPatch) -> None:
    gather = exchanges._gather

    def hasty(w: World, x: Exchange) -> None:
        for part in x.parts:
            s = w.find(part.session)
            part.held = s.head.newest if s is not None and s.writer is not None else None
        gather(w, x)

    patch.setattr(exchanges, "_gather", hasty)


def settle_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    commit = exchanges._commit

    def hopeful(w: World, x: Exchange) -> None:
        commit(w, x)
        for s in exchanges._sessions(w, x):
            exchanges.settle(w, s, None)

    patch.setattr(exchanges, "_commit", hopeful)


def believe_a_refusal_without_a_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(exchanges, "FINAL", frozenset(get_args(uplink.RefusalCode)))


def another_exchange_for_a_repeat(patch: pytest.MonkeyPatch) -> None:
    later = exchanges._ask_later

    def forgetful(w: World, x: Exchange, answer: object) -> None:
        later(w, x, answer)
        for s in exchanges._sessions(w, x):
            s.head.void_exchange()
        if all(s.head.is_idle for s in exchanges._sessions(w, x)) and len(exchanges._sessions(w, x)) == 2:
            exchanges._commit(w, x)

    patch.setattr(exchanges, "_ask_later", forgetful)


def admit_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    recover = recovery.recover

    def impatient(w: World, s: Session) -> None:
        asked, s.exchange = s.exchange, None
        recover(w, s)
        s.exchange = asked

    patch.setattr(recovery, "recover", impatient)


@pytest.mark.parametrize(
    ("break_rule", "faults"),
    [
        (save_documents_of_before, replace(TRADING, daemon_deaths=0.05)),
        (exchange_without_holding, TRADING),
        (settle_before_the_answer, TRADING),
        (believe_a_refusal_without_a_fence, TRADING),
        (another_exchange_for_a_repeat, TRADING),
        (admit_before_the_answer, replace(TRADING, cluster_deaths=0.1, slow=0.2, unanswered=0.15)),
    ],
)
def test_a_broken_rule_of_exchanges_is_found(
    break_rule: Callable[[pytest.MonkeyPatch], None], faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_rule(monkeypatch)
    assert finds(faults), "the simulation is blind to this rule"


@pytest.mark.parametrize(
    "break_rule",
    [
        two_writes_at_once,
        new_op_id_for_a_repeat,
        any_answer_counts,
        commit_without_freezing,
        admit_before_commit,
        return_without_asking_the_target,
        believe_late_checkpoints,
        recover_from_the_head_alone,
        stay_for_ever,
    ],
)
def test_a_broken_rule_is_found(
    break_rule: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_rule(monkeypatch)
    assert finds(), "the simulation is blind to this rule"


def test_late_answers_do_no_harm_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the match of op_ids that protects, not that late answers are rare."""
    let_late_answers_through(monkeypatch)
    for seed in range(30):
        play_through(seed, HARSH)


def test_clusters_that_do_not_heed_the_order_are_found() -> None:
    assert finds(has_fence=False), "the simulation is blind to late orders"


def test_simulation_is_fair() -> None:
    """Without faults nobody is ever refused, dropped or recovered."""
    simulation = play_through(1, Faults(*([0.0] * len(Faults.__dataclass_fields__))))
    assert isinstance(simulation, Simulation)
    for event in ("session_dropped", "handoff_failed", "cluster_lost", "deadline_passed", "save_lost"):
        assert simulation.counts[event] == 0, event
