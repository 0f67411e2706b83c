"""Rules of the repository, each broken.

Most are switched off by giving the real function a head on which the check cannot fail, so that all other
checks stay.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from characters import rules
from characters.core import Repository, entries, leases
from characters.core import writes as saves
from tests.simulation.breaking import Rule, replace_in


def _decide_save_on(stack: ExitStack, blind: Callable[..., dict[str, Any]]) -> None:
    """Let the repository decide saves with some of what it knows changed."""

    def decide(write: Any, *, head: Any, earlier: Any, writer: Any, **more: Any) -> Any:
        known = {"head": head, "earlier": earlier, "writer": writer, **more}
        return rules.decide_save(write, **(known | blind(write, head, writer)))

    replace_in(stack, saves, "decide_save", decide)


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
        replace_in(stack, module, decision, lambda tier, **_: "main")
    writer = Repository.writer
    replace_in(stack, Repository, "writer", lambda *asked: replace(writer(*asked), is_official=True))


def lease_in_force_stays(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        is_others = head.holder != known["world"]
        return rules.decide_grant(replace(head, lease_until=None) if is_others else head, **known)

    replace_in(stack, leases, "decide_grant", decide)


def lapsed_lease_moves_only_when_asked(stack: ExitStack) -> None:
    handle = Repository.handle

    def sweep(self: Any, world: str, request: Any, now: Any) -> Any:
        for line in self.lines.values():
            if line.head.holder is not None and not line.head.is_leased(now):
                line.head = rules.released(line.head)
        return handle(self, world, request, now)

    replace_in(stack, Repository, "handle", sweep)


def new_epoch_for_each_grant(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        grant = rules.decide_grant(head, **known)
        return replace(grant, epoch=head.epoch or grant.epoch) if isinstance(grant, rules.Grant) else grant

    replace_in(stack, leases, "decide_grant", decide)


def repeated_acquire_is_one_grant(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        return rules.decide_grant(replace(head, acquire_op_id=None, acquire_order=0), **known)

    replace_in(stack, leases, "decide_grant", decide)


def late_acquire_fences_nobody(stack: ExitStack) -> None:
    def decide(head: Any, **known: Any) -> Any:
        return rules.decide_grant(replace(head, acquire_order=0), **known)

    replace_in(stack, leases, "decide_grant", decide)


REPOSITORY = [
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
]
