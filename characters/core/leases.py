"""Leases over plain values, as characters.leases has them over rows."""

from datetime import datetime
from typing import cast, get_args

from accounts.rules import LIMITS
from characters.core.records import Line
from characters.core.store import Store
from characters.rules import (
    LEASE_S,
    Head,
    Standing,
    WhyFork,
    decide_grant,
    granted,
    is_lease_of,
    locked,
    may_renew,
    played_line,
    released,
    renewed,
    why_fork,
)
from worlds.rules import ADMISSION_FOR
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import decode_state


def acquire(store: Store, world: str, request: uplink.Acquire, now: datetime) -> uplink.Lease | Refusal:
    """Grant a world the line that it plays of a character."""
    if request.character not in store.owners:
        return Refusal("unknown_character", "there is no such character")
    owner = _played(store, world, request)
    line = store.line_of(request.character, owner)
    decision = decide_grant(
        line.head if line else Head(owner=owner),
        world=world,
        op_id=request.op_id,
        order=request.order,
        incarnation=store.incarnation,
        standing=_standing(store, world, request, now),
        now=now,
    )
    if isinstance(decision, Refusal):
        return decision
    if line is None:
        line = store.fork(request.character, world, now)
    line.head = granted(line.head, decision, world=world, op_id=request.op_id, order=request.order, now=now)
    return _lease(store, world, line)


def _lease(store: Store, world: str, line: Line) -> uplink.Lease:
    newest = store.journal[line.newest]
    is_mine = newest.world == world and newest.kind in get_args(uplink.SaveKind)
    return uplink.Lease(
        character=line.character,
        name=store.names[line.character],
        line=line.id,
        line_kind="main" if line.head.owner is None else "fork",
        epoch=line.head.epoch,
        lease_s=LEASE_S,
        version=line.head.version,
        chain=line.head.chain,
        state=decode_state(line.state),
        exchange=line.exchange,
        receipt=store.receipt_of(newest) if is_mine else "",
        kind=cast(uplink.SaveKind, newest.kind) if is_mine else None,
        why_fork="" if line.head.owner is None else _why_fork(store, world, line),
    )


def _why_fork(store: Store, world: str, line: Line) -> WhyFork:
    standing = store.worlds[world]
    return why_fork(standing.tier, is_limited=standing.is_limited, is_undecided=line.is_undecided)


def _played(store: Store, world: str, request: uplink.Acquire) -> str | None:
    """Return whose line an acquire is about; None: main."""
    standing, fork = store.worlds[world], store.line_of(request.character, world)
    kind = played_line(
        standing.tier,
        is_limited=standing.is_limited,
        holds_main=store.main_of(request.character).head.holder == world,
        holds_fork=fork is not None and fork.head.holder == world,
        is_undecided=fork is not None and fork.is_undecided,
    )
    return None if kind == "main" else world


def _standing(store: Store, world: str, request: uplink.Acquire, now: datetime) -> Standing:
    owner = store.owners[request.character]
    account, ticket = store.accounts[owner], store.tickets.get(request.admission)
    is_admitted = (
        ticket is not None
        and (ticket.account, ticket.world, ticket.closed_at) == (owner, world, None)
        and ticket.redeemed_at is not None
        and ticket.redeemed_at > now - ADMISSION_FOR
    )
    over = locked(account.characters, LIMITS[account.edition].character_slots, account.kept_open)
    return Standing(
        is_suspended=store.worlds[world].is_suspended,
        is_admitted=is_admitted,
        is_banned=account.is_banned,
        is_locked=request.character in over,
    )


def renew(store: Store, world: str, request: uplink.Renew, now: datetime) -> uplink.Renewed | Refusal:
    """Prolong what the world still holds."""
    writer = store.writer(world)
    if writer.is_suspended:
        return Refusal("world_suspended", "the staff suspended this world; its leases are not renewed")
    held: list[uplink.LeaseRef] = []
    lost: list[uplink.LeaseRef] = []
    for ref in request.leases:
        line, epoch = store.held(ref.line, ref.epoch)
        if line is not None and may_renew(line.head, epoch=epoch, writer=writer):
            line.head = renewed(line.head, now)
            held.append(ref)
        else:
            lost.append(ref)
    return uplink.Renewed(lease_s=LEASE_S, held=held, lost=lost)


def release(store: Store, world: str, request: uplink.Release) -> uplink.Released:
    """Take a lease back that the world gives up."""
    line, epoch = store.held(request.line, request.epoch)
    if line is None or not is_lease_of(line.head, world=world, epoch=epoch):
        return uplink.Released(was_held=False)
    line.head = released(line.head)
    return uplink.Released(was_held=True)
