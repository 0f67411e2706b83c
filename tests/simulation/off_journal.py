"""Rules of the world's journal, and of saves that fail, each broken."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import msgspec

from tests.simulation.breaking import Rule, replace_in
from worlds.daemon.core import (
    recovery,
    replay,
    state,
    withholding,
    writes,
)
from worlds.daemon.core.events import Unreachable
from zonecluster.protocol import bus


def journal_before_shown(stack: ExitStack) -> None:
    """What is new is shown when the journal is asked, not when it has answered."""
    keep = state.World.keep

    def hasty(self: Any, s: Any, save: Any, serial: int = 0, stay: int = 0) -> None:
        keep(self, s, save, serial, stay)
        if serial and s.home is not None:
            self.to_cluster(s.here.cluster, bus.Journaled(session=s.id, serial=serial, stay=stay))

    replace_in(stack, state.World, "keep", hasty)


def journal_is_replayed(stack: ExitStack) -> None:
    replace_in(stack, replay, "load", lambda w, unfinished: None)


def replay_with_the_same_op_id(stack: ExitStack) -> None:
    load = replay.load

    def renamed(w: Any, unfinished: Any) -> None:
        load(
            w,
            [replace(each, save=msgspec.structs.replace(each.save, op_id=w.new_id())) for each in unfinished],
        )

    replace_in(stack, replay, "load", renamed)


def replay_before_the_new_epoch(stack: ExitStack) -> None:
    def hasty(w: Any, s: Any) -> None:
        if s.acquire_op is None:
            w.begin_acquire(s)

    replace_in(stack, recovery, "ask_for_lease", hasty)


def unsaved_gain_nothing(stack: ExitStack) -> None:
    replace_in(stack, withholding, "WITHHOLD_S", float("inf"))


def unsaved_are_put_out(stack: ExitStack) -> None:
    replace_in(stack, withholding, "PUT_OUT_S", float("inf"))


def nobody_is_put_out_for_an_outage(stack: ExitStack) -> None:
    """A master that does not answer counts as one that refuses."""
    on_answer = writes.on_answer

    def strict(w: Any, s: Any, call: Any, answer: Any) -> None:
        since = s.refused_since
        on_answer(w, s, call, answer)
        if isinstance(answer, Unreachable):
            s.refused_since = w.now if since is None else since

    replace_in(stack, writes, "on_answer", strict)


JOURNAL = [
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
