"""Rules of exchanges (ADR 10), each broken: the repository's, the daemon's, the cluster's."""

from contextlib import ExitStack
from typing import Any, get_args

import msgspec

from characters.core import exchanges as master
from characters.core import judging, leases, repository
from characters.valuable_rules import Change
from tests import model_cluster
from tests.simulation.breaking import Rule, replace_in
from worlds.daemon.core import departure, exchanges, handoff, saving, writes
from worlds.uplink import messages as uplink

# ---------------------------------------------------------------- the repository's


def exchange_is_one_commit(stack: ExitStack) -> None:
    """Two commits instead of one: now and then the master's process dies between them."""
    own, exchange = master._carry_out, repository.exchange

    def one_by_one(store: Any, world: str, request: Any, parts: Any, target: Any, now: Any) -> None:
        is_cut_short = len(parts) == 2 and request.id.int % 8 == 0
        own(store, world, request, parts[:1] if is_cut_short else parts, target, now)

    def cut_short(*asked: Any) -> Any:
        try:
            return exchange(*asked)
        except KeyError:  # no answer about a write that is not there
            return uplink.Refusal("master_fault", "the master has just died")

    replace_in(stack, master, "_carry_out", one_by_one)
    replace_in(stack, repository, "exchange", cut_short)


def exchange_conserves(stack: ExitStack) -> None:
    own = master.decide_goods

    def blind(parts: Any, **known: Any) -> Any:
        refused = own(parts, **known)
        is_counted = refused is not None and refused.refusal.code == "not_conserved"
        return None if is_counted else refused

    replace_in(stack, master, "decide_goods", blind)


def repeated_exchange_gets_the_first_answer(stack: ExitStack) -> None:
    replace_in(stack, master, "earlier_of", lambda store, write: None)


def valuables_have_one_owner(stack: ExitStack) -> None:
    def anything(line: Any, had: Any, has: Any, owners: Any) -> Change:
        return Change(made=tuple(set(has) - set(had)), gone=tuple(set(had) - set(has)))

    replace_in(stack, judging, "decide_claim", anything)


def letter_is_taken_once(stack: ExitStack) -> None:
    own = master._carry_out

    def forgetful(store: Any, world: str, request: Any, *rest: Any) -> None:
        own(store, world, request, *rest)
        if request.take is not None:
            store.letters[request.take.letter].taken_at = None

    replace_in(stack, master, "_carry_out", forgetful)


def exchange_falls_together(stack: ExitStack) -> None:
    """Of two writes of a limited world only the first falls to the fork."""
    own = master._carry_out

    def apart(store: Any, world: str, request: Any, parts: Any, target: Any, now: Any) -> None:
        if len(parts) == 2 and target.falls:
            own(store, world, request, parts[:1], target, now)
            if parts[1].head.owner is None:
                part = parts[1]
                store.append(store.lines[part.write.line], part.write, world, now, exchange=request.id)
                return
            parts = parts[1:]
        own(store, world, request, parts, target, now)

    replace_in(stack, master, "_carry_out", apart)


def lease_tells_the_newest_exchange(stack: ExitStack) -> None:
    own = leases.acquire

    def silent(*asked: Any) -> Any:
        answer = own(*asked)
        is_lease = isinstance(answer, uplink.Lease)
        return msgspec.structs.replace(answer, exchange=None) if is_lease else answer

    replace_in(stack, repository, "acquire", silent)


# ---------------------------------------------------------------- the daemon's


def hold_before_commit(stack: ExitStack) -> None:
    """What the head has is exchanged; nobody's cluster is asked to hold."""
    own = exchanges._gather

    def hasty(w: Any, x: Any) -> None:
        x.repeat_at = float("inf")
        for part in x.parts:
            s = w.find(part.session)
            if s is not None and s.writer is not None and s.head.is_idle:
                part.held = s.head.state
        own(w, x)

    replace_in(stack, exchanges, "_gather", hasty)


def held_document_is_saved_first(stack: ExitStack) -> None:
    """The exchange begins from the head, whatever the cluster had besides."""
    own = exchanges.on_held

    def hasty(w: Any, m: Any) -> None:
        s = w.sessions.get(m.session)
        head = s.head.state if s is not None and s.writer is not None and s.head.is_idle else None
        own(w, msgspec.structs.replace(m, state=head) if head is not None else m)

    replace_in(stack, exchanges, "on_held", hasty)


def old_documents_are_not_saved(stack: ExitStack) -> None:
    replace_in(stack, departure, "is_outdated", lambda w, s, after, what: False)


def no_write_while_unanswered(stack: ExitStack) -> None:
    """A checkpoint that comes while the master is asked is a write like others."""
    offer = saving.WriteHead.offer

    def hasty(self: Any, *what: Any, **more: Any) -> Any:
        exchange, self.exchange = self.exchange, None
        try:
            return offer(self, *what, **more)
        finally:
            self.exchange = exchange

    def keep(w: Any, s: Any) -> None:
        exchange, s.exchange = s.exchange, None
        keep_saved(w, s)
        s.exchange = exchange

    keep_saved = writes.keep_saved
    is_idle = property(lambda self: self.outstanding is None and self.waiting is None)
    replace_in(stack, saving.WriteHead, "offer", hasty)
    replace_in(stack, saving.WriteHead, "is_idle", is_idle)
    replace_in(stack, writes, "keep_saved", keep)
    replace_in(stack, exchanges, "is_held", lambda w, s: False)


def log_out_waits_for_the_answer(stack: ExitStack) -> None:
    save_out = departure.save_out

    def hasty(w: Any, s: Any, state: Any, serial: int) -> None:
        s.head.void_exchange()
        save_out(w, s, state, serial)

    replace_in(stack, departure, "save_out", hasty)


def handoff_waits_for_the_settle(stack: ExitStack) -> None:
    """A player in an exchange goes to another zone, with the document from before it."""
    cross = handoff.on_portal

    def hasty(w: Any, s: Any, m: Any) -> None:
        exchange, is_unsettled = s.exchange, s.is_unsettled
        s.exchange, s.is_unsettled = None, False
        cross(w, s, m)
        s.exchange, s.is_unsettled = exchange, is_unsettled

    replace_in(stack, handoff, "on_portal", hasty)


def refusals_are_fenced(stack: ExitStack) -> None:
    """A refusal is believed, though a copy of an attempt may come when it would be accepted."""
    replace_in(stack, exchanges, "FINAL", frozenset(get_args(uplink.RefusalCode)))


# ---------------------------------------------------------------- the cluster's


def hold_ends_with_settle(stack: ExitStack) -> None:
    """A cluster waits for a second, and lets the player go on."""
    hold = model_cluster.ModelCluster.hold

    def impatient(self: Any, entity: Any, exchange: Any) -> None:
        hold(self, entity, exchange)
        held = entity.held
        self.world.sim.after(1.0, lambda: setattr(entity, "held", None) if entity.held is held else None)

    replace_in(stack, model_cluster.ModelCluster, "hold", impatient)


ADR = "[ADR 10](adr/0010-exchange.md)"
EXCHANGE = [
    Rule(
        "exchange_is_one_commit",
        "an exchange is one commit of all lines in it",
        "rule 6",
        exchange_is_one_commit,
    ),
    Rule("exchange_conserves", "the master checks that an exchange conserves", ADR, exchange_conserves),
    Rule(
        "repeated_exchange_gets_the_first_answer",
        "an exchange that is repeated gets the first answer",
        "rules 4, 6",
        repeated_exchange_gets_the_first_answer,
    ),
    Rule("valuables_have_one_owner", "a valuable has one owner", ADR, valuables_have_one_owner),
    Rule("letter_is_taken_once", "a letter is taken once", ADR, letter_is_taken_once),
    Rule(
        "exchange_falls_together",
        "if one write of an exchange falls to the fork, all do",
        f"{ADR}, section 6",
        exchange_falls_together,
    ),
    Rule(
        "lease_tells_the_newest_exchange",
        "a lease tells the newest exchange of its line",
        ADR,
        lease_tells_the_newest_exchange,
    ),
    Rule("hold_before_commit", "clusters hold before an exchange is committed", ADR, hold_before_commit),
    Rule(
        "held_document_is_saved_first",
        "what is held is saved before the exchange begins",
        ADR,
        held_document_is_saved_first,
    ),
    Rule(
        "old_documents_are_not_saved",
        "a document that does not know the newest exchange is not saved",
        ADR,
        old_documents_are_not_saved,
    ),
    Rule(
        "no_write_while_unanswered",
        "no other write while an exchange is unanswered",
        f"rule 7, {ADR}",
        no_write_while_unanswered,
    ),
    Rule(
        "log_out_waits_for_the_answer",
        "a log-out waits for the outcome of an exchange",
        ADR,
        log_out_waits_for_the_answer,
    ),
    Rule(
        "handoff_waits_for_the_settle",
        "a handoff waits until the outcome of an exchange is settled",
        ADR,
        handoff_waits_for_the_settle,
    ),
    Rule(
        "refusals_are_fenced",
        "after a refusal no attempt at an exchange can be accepted any more",
        "found by this simulation",
        refusals_are_fenced,
    ),
    Rule("hold_ends_with_settle", "a cluster goes on only when it is settled", ADR, hold_ends_with_settle),
]
