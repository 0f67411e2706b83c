"""A restore of the repository, over plain values: what collecting and reoffers do to rows. For the simulator.

An integration test holds the two together.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from characters.collecting_rules import Outcome, decide_offer
from characters.conservation import goods_between
from characters.core import Letter, Line, Repository, Version, Waiting
from characters.core.store import line_scope, things_in
from characters.exchange_rules import REPLAYED
from characters.rules import LEASE, released, renewed
from characters.valuable_rules import Holding, Owner, recounted, without
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Goods
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import decode_state, encode_state, next_chain, state_hash


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
        before = line.state
        _append(repository, line, receipt, offer.kind, state)
        _replay_letter(repository, world, line, before, receipt, now)
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


def _replay_letter(
    repository: Repository, world: str, line: Line, before: bytes, receipt: Receipt, now: datetime
) -> None:
    """Do to the letter what a version did, as letter_replay does."""
    if receipt.letter is None:
        return
    lost, gained = goods_between(decode_state(before), decode_state(line.state))
    letter = repository.letters.get(receipt.letter)
    if letter is None:
        goods = gained if gained != Goods() else lost
        letter = _made(world, line, receipt, goods)
        repository.letters[letter.id] = letter
        if gained == Goods():
            letter.exchange, letter.returned_at = receipt.exchange, now
    elif gained == Goods() and letter.exchange is None:  # its taking came first
        letter.exchange, letter.sender, letter.posted_by = receipt.exchange, line.character, world
        letter.posted_at = receipt.at
    if gained != Goods():
        if letter.recipient != line.character:
            if letter.sender == letter.recipient:  # made again as lost: it had come to its recipient
                letter.returned_at = None
            else:  # it went back to its sender since the backup
                letter.sender, letter.returned_at = letter.recipient, receipt.at
            letter.recipient = line.character
        letter.taken_at, letter.taken_exchange = receipt.at, receipt.exchange
        letter.read_at = letter.read_at or receipt.at


def _made(world: str, line: Line, receipt: Receipt, goods: Goods) -> Letter:
    assert receipt.letter is not None
    owner = str(line.head.owner) if line.head.owner is not None else None
    return Letter(
        id=receipt.letter,
        world=owner,
        sender=line.character,
        recipient=line.character,
        posted_by=world,
        subject="lost",
        text="",
        goods=goods,
        posted_at=receipt.at,
        digest=REPLAYED,
        exchange=None,
    )


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
    _recount_owners(repository, now)
    for line in repository.lines.values():
        if line.head.holder is not None:
            line.head = renewed(line.head, now)
    repository.waiting.clear()
    repository.collects_since = None
    return bridged


def _recount_owners(repository: Repository, now: datetime) -> None:
    """Count anew who has which valuable, as recounting does."""
    holdings: dict[str | None, list[Holding]] = defaultdict(list)
    for line in repository.lines.values():
        if things := things_in(line):
            at = repository.journal[line.newest].at
            holdings[line_scope(line)].append(Holding(Owner(line=line.id), at, things))
    for letter in repository.letters.values():
        if letter.has_goods and letter.discarded_at is None:
            ids = {item.id for item in letter.goods.items if item.id is not None}
            holdings[letter.world].append(Holding(Owner(letter=letter.id), letter.posted_at, ids))
    for scope in sorted(holdings.keys() | repository.things.keys(), key=str):
        before = repository.things.get(scope, {})
        owners, lost = recounted(holdings[scope], before, is_main=scope is None)
        for loser, given_up in sorted(lost.items(), key=str):
            if loser.line is not None:
                _give_up(repository, repository.lines[loser.line], given_up, now)
            elif loser.letter is not None:  # a newer head has a thing of it: it was emptied
                letter = repository.letters[loser.letter]
                letter.taken_at, letter.taken_exchange = now, letter.id
                letter.read_at = letter.read_at or now
        repository.things[scope] = owners


def _give_up(repository: Repository, line: Line, things: set[UUID], now: datetime) -> None:
    state = encode_state(without(decode_state(line.state), things))
    op_id, digest, number = repository.new_id(), state_hash(state), line.head.version + 1
    chain, before = next_chain(line.head.chain, number, op_id, digest), line.head.chain
    version = Version(line.id, number, op_id, 0, None, now, "restore", before, chain, digest, state)
    repository.move_head(line, version)
    line.head = released(line.head)
