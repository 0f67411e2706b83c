"""Leases: which world may write which line. Granted, renewed and taken back here, and nowhere else.

`now` is the master's clock. A lease that lapses changes nothing by itself: it moves when another acquire is
granted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast, get_args
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction

from accounts.rules import LIMITS
from accounts.selectors import edition_of_many
from characters.grants import Facts, Hero, facts_of, lock_character, lock_line, write_grant
from characters.heads import head_of, newest_falls
from characters.journal import receipt_of
from characters.lines import fork_main_line
from characters.models import Character, Line, Version
from characters.refusals import Refused
from characters.rules import (
    LEASE,
    LEASE_S,
    Grant,
    Head,
    Standing,
    WhyFork,
    decide_grant,
    granted,
    locked,
    played_line,
    why_fork,
)
from worlds.models import World
from worlds.signing import signing_keys
from worlds.tickets import is_banned
from worlds.uplink.messages import Acquire, Lease, LeaseRef, Refusal, Release, Renew, Renewed, SaveKind
from zonecluster.protocol.character import decode_state

FEWEST_SLOTS = min(limits.character_slots for limits in LIMITS.values())

log = structlog.get_logger(__name__)


def acquire_lease(*, world: World, request: Acquire, now: datetime) -> Lease:
    """Grant a world the line that it plays of a character, under a new epoch. The same op_id: the same grant.

    The first acquire of a world that does not write main makes its fork.

    Raises: Refused: world_suspended, unknown_character, stale, held_elsewhere, not_admitted, account_banned
        or character_locked.
    """
    try:
        with transaction.atomic():
            lease, is_repeat = _acquire(world, request, now)
    except Refused as error:
        log.info(
            "lease_refused",
            reason=error.refusal.code,
            world=world.slug,
            character=str(request.character),
            op_id=str(request.op_id),
        )
        raise
    log.info(
        "lease_granted",
        world=world.slug,
        character=str(lease.character),
        line=str(lease.line),
        epoch=lease.epoch,
        op_id=str(request.op_id),
        is_repeat=is_repeat,
    )
    return lease


def _acquire(world: World, request: Acquire, now: datetime) -> tuple[Lease, bool]:
    """Return the lease, and whether it was granted before."""
    hero = lock_character(request.character)
    if hero is None:
        raise Refused(Refusal("unknown_character", "there is no such character"))
    facts = facts_of(hero=hero, world=world, admission=request.admission, now=now)
    kind = played_line(
        world.tier,
        is_limited=world.limited_at is not None,
        holds_main=facts.holds_main,
        holds_fork=facts.holds_fork,
        is_undecided=facts.is_undecided,
    )
    line = lock_line(hero=hero, fork_of=None if kind == "main" else world)
    decision = decide_grant(
        head_of(line) if line is not None else Head(owner=world.pk),
        world=world.pk,
        op_id=request.op_id,
        order=request.order,
        incarnation=facts.incarnation,
        standing=_standing(hero, facts, world, now),
        now=now,
    )
    if isinstance(decision, Refusal):
        raise Refused(decision)
    if line is None:
        character = Character.objects.get(pk=hero.id)
        line = fork_main_line(character=character, world=world, now=now)
        log.info("line_forked", world=world.slug, character=str(hero.id), line=str(line.id))
    return _grant(hero, line, decision, world, request, now), decision.is_repeat


def _standing(hero: Hero, facts: Facts, world: World, now: datetime) -> Standing:
    return Standing(
        is_suspended=world.suspended_at is not None,
        is_admitted=facts.admitted == hero.account,
        is_banned=is_banned(hero, now) or facts.is_banned_here,
        is_locked=_is_locked(hero, facts, now),
    )


def _is_locked(hero: Hero, facts: Facts, now: datetime) -> bool:
    if len(facts.characters) <= FEWEST_SLOTS:
        return False  # whatever the edition, which takes a query
    edition = edition_of_many([hero.account], now)[hero.account]
    return hero.id in locked(facts.characters, LIMITS[edition].character_slots, facts.kept_open)


def _grant(hero: Hero, line: Line, grant: Grant, world: World, request: Acquire, now: datetime) -> Lease:
    head = granted(head_of(line), grant, world=world.pk, op_id=request.op_id, order=request.order, now=now)
    kind, receipt = _newest_write(write_grant(line, head), world)
    return Lease(
        character=hero.id,
        name=hero.name,
        line=line.id,
        line_kind="main" if line.world_id is None else "fork",
        epoch=grant.epoch,
        lease_s=LEASE_S,
        version=line.version,
        chain=bytes(line.chain),
        state=decode_state(bytes(line.state)),
        exchange=line.exchange,
        receipt=receipt,
        kind=kind,
        why_fork="" if line.world_id is None else _why_fork(line, world),
    )


def _why_fork(line: Line, world: World) -> WhyFork:
    is_undecided = line.undecided_since is not None
    return why_fork(world.tier, is_limited=world.limited_at is not None, is_undecided=is_undecided)


def _newest_write(row: Version, world: World) -> tuple[SaveKind | None, str]:
    """Return kind and receipt of a head that this world wrote: it may have died before it had the answer."""
    if row.world_id != world.pk or row.kind not in get_args(SaveKind):
        return None, ""
    key = signing_keys(settings.CONFIG.signing_keys_dir).newest
    return cast(SaveKind, row.kind), receipt_of(world, key, row)


# Rows are locked in the order of their ids, so that a renewal and a batch of saves cannot block each other
# for good. A world that may no longer write main (its tier was taken) does not keep main's leases either.
_RENEW = """
WITH asked AS (
    SELECT * FROM unnest(%(lines)s::uuid[], %(epochs)s::bigint[]) AS given(line, epoch)
), held AS (
    SELECT line.id FROM characters_line AS line
    JOIN asked ON asked.line = line.id AND asked.epoch = line.epoch
    JOIN worlds_world AS world ON world.id = line.holder_id
    WHERE line.holder_id = %(world)s
      AND (line.world_id = world.id OR (line.world_id IS NULL AND world.tier IN ('official', 'verified')))
    ORDER BY line.id
    FOR NO KEY UPDATE OF line
)
UPDATE characters_line AS line SET lease_until = %(until)s
FROM held, asked
WHERE line.id = held.id AND asked.line = line.id AND line.epoch = asked.epoch AND line.holder_id = %(world)s
RETURNING line.id, line.epoch
"""


def renew_leases(*, world: World, request: Renew, now: datetime) -> Renewed:
    """Prolong all leases of the batch that are this world's still, lapsed ones too, in one statement.

    Raises: Refused: world_suspended.
    """
    if world.suspended_at is not None:
        log.info("renewal_refused", reason="world_suspended", world=world.slug, leases=len(request.leases))
        raise Refused(
            Refusal("world_suspended", "the staff suspended this world; its leases are not renewed")
        )
    until = now + LEASE
    kept = _renew(world, request.leases, until)
    kept |= _renew_fallen(
        world, [lease for lease in request.leases if (lease.line, lease.epoch) not in kept], until
    )
    held = [lease for lease in request.leases if (lease.line, lease.epoch) in kept]
    lost = [lease for lease in request.leases if (lease.line, lease.epoch) not in kept]
    _log_renewal(world, held, lost)
    return Renewed(lease_s=LEASE_S, held=held, lost=lost)


def _renew(world: World, leases: Sequence[LeaseRef], until: datetime) -> set[tuple[UUID, int]]:
    """Run the statement; return the line and epoch of each lease that was prolonged."""
    with connection.cursor() as cursor:
        cursor.execute(
            _RENEW,
            {
                "lines": [lease.line for lease in leases],
                "epochs": [lease.epoch for lease in leases],
                "world": world.pk,
                "until": until,
            },
        )
        return set(cursor.fetchall())


def _renew_fallen(world: World, leases: Sequence[LeaseRef], until: datetime) -> set[tuple[UUID, int]]:
    """Prolong the forks to which leases of main have gone over; return the leases as the world names them."""
    falls = newest_falls([(lease.line, lease.epoch) for lease in leases])
    forks = {name: LeaseRef(fall.write.line_id, fall.write.epoch) for name, fall in falls.items()}
    kept = _renew(world, list(forks.values()), until) if forks else set()
    return {name for name, fork in forks.items() if (fork.line, fork.epoch) in kept}


def _log_renewal(world: World, held: Sequence[LeaseRef], lost: Sequence[LeaseRef]) -> None:
    log.debug("leases_renewed", world=world.slug, held=len(held))
    for lease in lost:
        log.info("renewal_refused", reason="stale", world=world.slug, line=str(lease.line), epoch=lease.epoch)


def release_lease(*, world: World, request: Release, now: datetime) -> bool:
    """Take a lease back that the world gives up; fenced by its epoch. Works for a suspended world too.

    Returns: False if this was not the lease in force: nothing changed.
    """
    was_held = _release(world, request.line, request.epoch)
    if not was_held and (falls := newest_falls([(request.line, request.epoch)])):
        (fall,) = falls.values()
        was_held = _release(world, fall.write.line_id, fall.write.epoch)
    log.info(
        "lease_released", world=world.slug, line=str(request.line), epoch=request.epoch, was_held=was_held
    )
    return was_held


def _release(world: World, line: UUID, epoch: int) -> bool:
    mine = Line.objects.filter(id=line, epoch=epoch, holder=world)
    return mine.update(holder=None, lease_until=None) == 1
