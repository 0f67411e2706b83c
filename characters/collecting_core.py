"""A restore of the repository, over plain values: what collecting and reoffers do to rows. For the simulator.

An integration test holds the two together.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from characters.collecting_rules import Outcome, decide_offer
from characters.core import Line, Repository, Version, Waiting
from characters.rules import LEASE, renewed
from worlds.uplink import messages as uplink
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import encode_state, next_chain, state_hash


def begin_restore(repository: Repository, *, since: datetime) -> None:
    """Raise the incarnation of a repository that is a backup's, and collect what worlds hold."""
    repository.incarnation += 1
    repository.collects_since = since


def take_reoffer(
    repository: Repository,
    world: str,
    request: uplink.Reoffer,
    now: datetime,
    read: Callable[[str], Receipt],
) -> uplink.Reoffered | uplink.Refusal:
    """Take back what continues a head. Args: read: returns what a receipt says, checked."""
    if repository.collects_since is None or request.incarnation != repository.incarnation:
        return uplink.Refusal("stale", "no such restore is under way")
    counts: dict[Outcome, int] = dict.fromkeys(("replayed", "known", "waiting", "overtaken", "unknown"), 0)
    offers = [(read(offer.receipt), offer) for offer in request.versions]
    for receipt, offer in sorted(offers, key=lambda each: (each[0].line, each[0].version)):
        counts[_take(repository, world, receipt, offer, now)] += 1
    return uplink.Reoffered(
        request.incarnation,
        counts["replayed"],
        counts["known"],
        counts["waiting"],
        counts["overtaken"] + counts["unknown"],
    )


def _take(
    repository: Repository, world: str, receipt: Receipt, offer: uplink.OfferedVersion, now: datetime
) -> Outcome:
    line, state = repository.lines.get(receipt.line), encode_state(offer.state)
    is_known = receipt.op_id in repository.journal
    outcome = decide_offer(line.head if line else None, receipt, is_known=is_known)
    if outcome == "replayed" and line is not None:
        _append(repository, line, receipt, offer.kind, state)
        epoch = max(line.head.epoch, receipt.epoch)
        line.head = replace(line.head, epoch=epoch, holder=world, lease_until=now + LEASE, acquire_op_id=None)
        known = repository.waiting.get(line.id)
        if known is not None and known.version <= receipt.version:
            del repository.waiting[line.id]
    elif outcome == "waiting":
        known = repository.waiting.get(receipt.line)
        if known is None or known.version < receipt.version:
            repository.waiting[receipt.line] = Waiting(world, receipt.version, state)
    return outcome


def _append(repository: Repository, line: Line, receipt: Receipt, kind: str, state: bytes) -> None:
    version = Version(
        line=line.id,
        version=receipt.version,
        op_id=receipt.op_id,
        epoch=receipt.epoch,
        world=receipt.world,
        at=receipt.at,
        kind=kind,
        prev_chain=line.head.chain,
        chain=receipt.chain,
        state_hash=receipt.state_hash,
        state=state,
        exchange=receipt.exchange,
        letter=receipt.letter,
    )
    repository.move_head(line, version)


def finish_restore(repository: Repository, now: datetime) -> int:
    """Go into service; over a gap in a chain the newest proved state becomes a version. Returns: how many."""
    bridged = 0
    for line_id, waiting in repository.waiting.items():
        line = repository.lines.get(line_id)
        if line is not None and waiting.version > line.head.version:
            op_id, digest, version = repository.new_id(), state_hash(waiting.state), line.head.version + 1
            chain = next_chain(line.head.chain, version, op_id, digest)
            receipt = Receipt(waiting.world, line_id, version, 0, op_id, chain, digest, now)
            _append(repository, line, receipt, "restore", waiting.state)
            bridged += 1
    for line in repository.lines.values():
        if line.head.holder is not None:
            line.head = renewed(line.head, now)
    repository.waiting.clear()
    repository.collects_since = None
    return bridged
