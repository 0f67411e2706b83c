"""Writes about worlds: registration, keys and suspension, each with its audit row; clean-up of old rows."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from allauth.mfa.utils import is_mfa_enabled
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import PlaySession, StoredReceipt, World, WorldKey
from worlds.rules import gateway_fault, name_fault, name_key, slug_fault
from worlds.uplink.keys import thumbprint

log = structlog.get_logger(__name__)

KEEP_RECEIPTS = timedelta(days=14)  # DESIGN section 5, rule 11: a restored master is offered these again
KEEP_PLAY_SESSIONS = timedelta(days=30)
OPEN_BEFORE_VERIFIED = timedelta(days=30)  # DESIGN section 6
WORDS = {"slug": "address name", "name": "name"}  # of fields, for people
DELETE_AT_ONCE = 5000  # rows of one transaction, so that a large clean-up holds no lock for long


class WorldRefused(ValueError):
    """A world cannot be registered or changed so. `errors`: field name → sentences for the operator."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(text for texts in errors.values() for text in texts))
        self.errors = errors


class KeyRefused(ValueError):
    """A public key cannot be registered for this world; the message says why and what to do."""


def register_world(
    *,
    slug: str,
    name: str,
    gateway_url: str,
    owner: Account | None,
    by: Account | None,
    now: datetime,
    **about: Any,
) -> World:
    """Register a world.

    Args: about: tier, tagline, description, motd, language, region, ruleset, edition, max_players.
    Raises: WorldRefused: a bad or taken slug or name, or a bad gateway address.
    """
    faults = {"slug": slug_fault(slug), "name": name_fault(name), "gateway_url": gateway_fault(gateway_url)}
    errors = {field: [fault] for field, fault in faults.items() if fault}
    if errors:
        raise WorldRefused(errors)
    world = World(
        slug=slug, name=name, name_key=name_key(name), gateway_url=gateway_url, owner=owner, **about
    )
    try:
        with transaction.atomic():
            world.save(force_insert=True)
            detail: dict[str, object] = {"name": name, "tier": str(world.tier)}
            record_audit(action="world_registered", account=by, target=slug, detail=detail, now=now)
    except IntegrityError as error:  # the constraints decide, also between two requests at once
        field = "slug" if World.objects.filter(slug=slug).exists() else "name"
        log.info("world_refused", slug=slug, field=field)
        raise WorldRefused(
            {field: [f"A world with this or a very similar {WORDS[field]} exists; choose another."]}
        ) from error
    log.info("world_registered", slug=slug)
    return world


class TierRefused(Exception):
    """The world cannot have this tier yet; says why."""


def rename_world(*, world: World, name: str, by: Account | None, now: datetime) -> None:
    """Give a world another name.

    Raises: WorldRefused: bad or taken.
    """
    if fault := name_fault(name):
        raise WorldRefused({"name": [fault]})
    before = world.name
    try:
        with transaction.atomic():
            World.objects.filter(pk=world.pk).update(name=name, name_key=name_key(name))
            detail: dict[str, object] = {"before": before, "after": name}
            record_audit(action="world_renamed", account=by, target=world.slug, detail=detail, now=now)
    except IntegrityError as error:
        raise WorldRefused(
            {"name": ["A world with this or a very similar name exists; choose another."]}
        ) from error
    world.name, world.name_key = name, name_key(name)


def move_gateway(*, world: World, gateway_url: str, by: Account | None, now: datetime) -> bool:
    """Publish another address of the world link.

    Returns: whether it was another.
    Raises: WorldRefused: not such an address.
    """
    if fault := gateway_fault(gateway_url):
        raise WorldRefused({"gateway_url": [fault]})
    with transaction.atomic():
        row = World.objects.select_for_update().get(pk=world.pk)
        if row.gateway_url == gateway_url:
            return False
        detail: dict[str, object] = {"before": row.gateway_url, "after": gateway_url}
        World.objects.filter(pk=world.pk).update(gateway_url=gateway_url)
        record_audit(action="world_gateway_moved", account=by, target=world.slug, detail=detail, now=now)
    world.gateway_url = gateway_url
    return True


def limit_world(*, world: World, reason: str, by: Account | None, now: datetime) -> bool:
    """Let a world's writes go to its own forks from the next one on; limiting it again changes nothing.

    Returns: whether it was not limited before.
    """
    return _set_lever(world, "limited_at", now, "world_limited", reason, by, now)


def lift_limit(*, world: World, reason: str, by: Account | None, now: datetime) -> bool:
    """Let a limited world play main again, each character from its next entry on. Returns: whether it was."""
    return _set_lever(world, "limited_at", None, "world_limit_lifted", reason, by, now)


def suspend_world(*, world: World, reason: str, by: Account | None, now: datetime) -> bool:
    """Stop a world's tickets, grants and writes. Suspending a suspended world changes nothing.

    Its leases end now: they stay the world's, so that what it has not saved yet can be saved once the
    suspension is lifted, but another world may take them from now on.

    Returns: whether it was not suspended before.
    """
    with transaction.atomic():
        is_new = _set_lever(world, "suspended_at", now, "world_suspended", reason, by, now)
        if is_new:
            leases: Any = world  # Line.holder: this app knows no lines
            leases.leases.filter(lease_until__gt=now).update(lease_until=now)
    return is_new


def lift_suspension(*, world: World, reason: str, by: Account | None, now: datetime) -> bool:
    """Let a suspended world go on. Returns: whether it was suspended."""
    return _set_lever(world, "suspended_at", None, "world_suspension_lifted", reason, by, now)


def _set_lever(
    world: World,
    field: str,
    value: datetime | None,
    action: str,
    reason: str,
    by: Account | None,
    now: datetime,
) -> bool:
    """Set or clear one of a world's levers, with its audit row. Returns: whether that was a change."""
    with transaction.atomic():
        candidates = World.objects.filter(**{"pk": world.pk, f"{field}__isnull": value is not None})
        if not candidates.update(**{field: value}):
            return False
        record_audit(action=action, account=by, target=world.slug, detail={"reason": reason}, now=now)
    setattr(world, field, value)
    log.info(action, slug=world.slug)
    return True


def set_tier(*, world: World, tier: str, reason: str, by: Account | None, now: datetime) -> bool:
    """Trust a world more, or less. Its next writes go where the new tier says; nothing that it wrote moves.

    Returns: whether it was another.
    Raises: TierRefused: verified, and its owner has not what that asks for.
    """
    with transaction.atomic():
        row = World.objects.select_for_update(no_key=True).get(pk=world.pk)
        if row.tier == tier:
            return False
        if tier == World.Tier.VERIFIED and (missing := _missing_for_verified(row, now)):
            raise TierRefused(f"{row} cannot be verified yet: {missing}")
        World.objects.filter(pk=world.pk).update(tier=tier)
        record_audit(
            action="world_tier_set",
            account=by,
            target=row.slug,
            detail={"reason": reason},
            before={"tier": str(row.tier)},
            after={"tier": str(tier)},
            now=now,
        )
    world.tier = tier
    log.info("world_tier_set", slug=world.slug, tier=str(tier))
    return True


def _missing_for_verified(world: World, now: datetime) -> str:
    """Return what a world lacks that a verified one has (DESIGN.md section 6); nothing if nothing."""
    if now - world.created_at < OPEN_BEFORE_VERIFIED:
        return f"it is registered since {world.created_at:%Y-%m-%d}, and 30 days are asked for."
    if world.owner is None:
        return "it has no owner."
    return "" if is_mfa_enabled(world.owner) else "its owner has no second factor."


def register_world_key(*, world: World, public_key: bytes, by: Account | None, now: datetime) -> WorldKey:
    """Let a world prove itself by this Ed25519 key. Registering the same key again changes nothing.

    Args: public_key: 32 raw bytes.
    Raises: KeyRefused: not a key, revoked, or another world's.
    """
    if len(public_key) != 32:
        raise KeyRefused(f"An Ed25519 public key has 32 bytes, this has {len(public_key)}.")
    kid = thumbprint(Ed25519PublicKey.from_public_bytes(public_key))
    with transaction.atomic():
        key, is_new = WorldKey.objects.get_or_create(
            kid=kid, defaults={"world": world, "public_key": public_key, "created_at": now}
        )
        if key.world_id != world.pk:
            log.warning("world_key_refused", kid=kid, slug=world.slug, cause="belongs to another world")
            raise KeyRefused("This key belongs to another world; make a new one.")
        if key.revoked_at is not None:
            raise KeyRefused("This key was revoked; a revoked key never comes back: make a new one.")
        if is_new:
            record_audit(
                action="world_key_registered", account=by, target=world.slug, detail={"kid": kid}, now=now
            )
    return key


def revoke_world_key(*, key: WorldKey, by: Account | None, now: datetime) -> bool:
    """Refuse a key from now on. Returns: whether it was valid before."""
    with transaction.atomic():
        if not WorldKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now):
            return False
        detail: dict[str, object] = {"kid": key.kid}
        record_audit(action="world_key_revoked", account=by, target=key.world.slug, detail=detail, now=now)
    key.revoked_at = now
    log.info("world_key_revoked", slug=key.world.slug, kid=key.kid)
    return True


def delete_old_receipts(*, now: datetime) -> int:
    """Delete a world's receipts that are older than 14 days. Returns: how many."""
    return _delete("old_receipts_deleted", StoredReceipt.objects.filter(at__lt=now - KEEP_RECEIPTS))


def delete_old_play_sessions(*, now: datetime) -> int:
    """Delete play sessions that ended more than 30 days ago. Returns: how many."""
    return _delete(
        "old_play_sessions_deleted", PlaySession.objects.filter(ended_at__lt=now - KEEP_PLAY_SESSIONS)
    )


def _delete(event: str, rows: QuerySet[Any]) -> int:
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETE_AT_ONCE]):
        deleted += rows.model.objects.filter(pk__in=keys).delete()[0]
    log.info(event, rows=deleted)
    return deleted
