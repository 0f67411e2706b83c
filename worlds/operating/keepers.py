"""Keepers of a world: who they are, and how they come and go. Each change leaves its audit row.

The owner is `World.owner`; managers and moderators are rows of WorldKeeper. An invitation names an address:
the account that has confirmed it may take it up, so the letter holds no secret and may be forwarded or lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import Http404

from accounts.letters import public_url, send_letter
from accounts.models import Account, AuditRecord
from accounts.selectors import is_email_confirmed
from accounts.services import record_audit
from worlds.models import KeeperInvitation, World, WorldKeeper
from worlds.operating.rules import GIVEN_ROLES, INVITED_FOR, MAX_KEEPERS, MAY, Deed, Role, may

log = structlog.get_logger(__name__)

LETTERS_A_DAY = 30  # invitations by one account: a world has 20 keepers, and one may err
_LETTER = "worlds/email/keeper_invitation"


class KeeperRefused(ValueError):
    """It cannot be done so. `field`: of the form, if it is about one."""

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True)
class KeptWorld:
    """A world, and what one keeper is to it."""

    world: World
    role: Role

    def may(self, deed: Deed) -> bool:
        """Return whether this keeper may do it."""
        return may(self.role, deed)

    @property
    def deeds(self) -> frozenset[str]:
        """What this keeper may do, for templates: `{% if "restarts" in kept.deeds %}`."""
        return frozenset(deed.value for deed in MAY[self.role])


@dataclass(frozen=True)
class KeeperRow:
    """A keeper, as the owner's list shows them. `keeper`: None for the owner, who is no row."""

    email: str
    role: Role
    since: datetime | None
    keeper: int | None = None
    is_self: bool = False


def role_of(account: Account | AnonymousUser, world: World) -> Role | None:
    """Return what an account is to a world; None: nothing, or nobody is logged in."""
    if not account.is_authenticated or not account.is_active:
        return None
    if world.owner_id is not None and world.owner_id == account.pk:
        return Role.OWNER
    role = (
        WorldKeeper.objects.filter(world=world, account_id=account.pk).values_list("role", flat=True).first()
    )
    return None if role is None else Role(role)


def world_for(account: Account | AnonymousUser, slug: str, deed: Deed) -> KeptWorld:
    """Return the world, for one who may do this to it. The one gate of every page and endpoint of keepers.

    Raises: Http404: no such world, or they keep no part of it: who asks learns nothing.
        PermissionDenied: they keep it in a role that may not.
    """
    world = World.objects.filter(slug=slug).first()
    role = None if world is None else role_of(account, world)
    if world is None or role is None:
        raise Http404("You keep no world of this name.")
    if not may(role, deed):
        raise PermissionDenied(f"As {role.value} of {world.name} you may not do this; ask its owner.")
    return KeptWorld(world, role)


def kept_worlds(account: Account) -> list[KeptWorld]:
    """Return the worlds that an account keeps, in the order of their names. Two queries."""
    owned = [KeptWorld(world, Role.OWNER) for world in World.objects.filter(owner=account)]
    rows = WorldKeeper.objects.filter(account=account).select_related("world").exclude(world__owner=account)
    kept = [KeptWorld(row.world, Role(row.role)) for row in rows]
    return sorted(owned + kept, key=lambda one: (one.world.name, one.world.slug))


def keeper_rows(world: World, by: Account) -> list[KeeperRow]:
    """Return the owner, then the others. Two queries at most."""
    owner = world.owner
    rows = [KeeperRow(owner.email, Role.OWNER, None, None, owner.pk == by.pk)] if owner else []
    keepers = (
        WorldKeeper.objects.filter(world=world).select_related("account").order_by("role", "since", "pk")
    )
    return rows + [
        KeeperRow(k.account.email, Role(k.role), k.since, k.pk, k.account_id == by.pk) for k in keepers
    ]


def open_invitations(world: World, now: datetime) -> Sequence[KeeperInvitation]:
    """Return the invitations that can still be taken up. One query."""
    return list(KeeperInvitation.objects.filter(world=world, expires_at__gt=now))


def invitations_for(account: Account, now: datetime) -> Sequence[KeeperInvitation]:
    """Return what this account is asked to keep: only to whom the address is confirmed. Two queries."""
    if not is_email_confirmed(account):
        return []
    invitations = KeeperInvitation.objects.filter(email=account.email.lower(), expires_at__gt=now)
    return list(invitations.select_related("world"))


def invite_keeper(*, world: World, email: str, role: str, by: Account, now: datetime) -> KeeperInvitation:
    """Ask an address to keep the world, by letter. Asking again renews the invitation, with the new role.

    Raises: KeeperRefused
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise KeeperRefused(
            "This is not an e-mail address. It looks like name@example.org.", "email"
        ) from error
    if role not in GIVEN_ROLES:
        raise KeeperRefused("Choose manager or moderator.", "role")
    with transaction.atomic():
        _lock(world)
        _check_invitation(world, email, by, now)
        invitation, _ = KeeperInvitation.objects.update_or_create(
            world=world,
            email=email,
            defaults={"role": role, "by": by, "made_at": now, "expires_at": now + INVITED_FOR},
        )
        detail: dict[str, object] = {"invitation": invitation.pk, "role": role}
        record_audit(action="keeper_invited", account=by, target=world.slug, detail=detail, now=now)
        transaction.on_commit(partial(_write_to, invitation, by.email))
    return invitation


def _check_invitation(world: World, email: str, by: Account, now: datetime) -> None:
    if world.owner is not None and world.owner.email.lower() == email:
        raise KeeperRefused("This is the world's owner.", "email")
    if WorldKeeper.objects.filter(world=world, account__email__iexact=email).exists():
        raise KeeperRefused("They keep this world already. You can change their role in the list.", "email")
    others = KeeperInvitation.objects.filter(world=world, expires_at__gt=now).exclude(email=email).count()
    if WorldKeeper.objects.filter(world=world).count() + others >= MAX_KEEPERS:
        raise KeeperRefused(f"A world has at most {MAX_KEEPERS} keepers and invitations besides its owner.")
    lately = AuditRecord.objects.filter(account=by, action="keeper_invited", at__gt=now - timedelta(days=1))
    if lately.count() >= LETTERS_A_DAY:
        raise KeeperRefused(f"You have sent {LETTERS_A_DAY} invitations today. Please wait until tomorrow.")


def _write_to(invitation: KeeperInvitation, inviter: str) -> None:
    context: dict[str, object] = {
        "world": invitation.world.name,
        "role": invitation.role,
        "inviter": inviter,
        "expires_at": invitation.expires_at,
        "url": public_url("operate"),
    }
    send_letter(template=_LETTER, to=invitation.email, context=context)


def withdraw_invitation(*, world: World, invitation: int, by: Account, now: datetime) -> bool:
    """Take an invitation back. Returns: whether there was one."""
    with transaction.atomic():
        row = KeeperInvitation.objects.select_for_update().filter(world=world, pk=invitation).first()
        if row is None:
            return False
        detail: dict[str, object] = {"invitation": row.pk, "role": row.role}
        record_audit(
            action="keeper_invitation_withdrawn", account=by, target=world.slug, detail=detail, now=now
        )
        row.delete()
    return True


def answer_invitation(*, account: Account, invitation: int, accept: bool, now: datetime) -> World | None:
    """Take an invitation up, or turn it down.

    Returns: the world; None if this account has no such invitation (any more).
    Raises: KeeperRefused: the address is not confirmed.
    """
    if not is_email_confirmed(account):
        raise KeeperRefused("Confirm your e-mail address first: the letter with the link can be sent again.")
    with transaction.atomic():
        row = (
            KeeperInvitation.objects.select_for_update(of=("self",))
            .select_related("world")
            .filter(pk=invitation, email=account.email.lower(), expires_at__gt=now)
            .first()
        )
        if row is None:
            return None
        world = row.world
        _lock(world)
        if accept and world.owner_id != account.pk:
            WorldKeeper.objects.update_or_create(
                world=world, account=account, defaults={"role": row.role, "since": now}
            )
        action = "keeper_joined" if accept else "keeper_invitation_declined"
        record_audit(action=action, account=account, target=world.slug, detail={"role": row.role}, now=now)
        row.delete()
    log.info(action, world=world.slug)
    return world


def forget_invitations(*, now: datetime) -> int:
    """Delete invitations that nobody has taken up in time; return how many."""
    return KeeperInvitation.objects.filter(expires_at__lte=now).delete()[0]


def change_role(*, world: World, keeper: int, role: str, by: Account, now: datetime) -> bool:
    """Give a keeper another role. Returns: whether there is such a keeper. Raises: KeeperRefused."""
    if role not in GIVEN_ROLES:
        raise KeeperRefused("Choose manager or moderator.", "role")
    with transaction.atomic():
        row = _keeper(world, keeper)
        if row is None:
            return False
        if row.role != role:
            keeper_uid, before = str(row.account.uid), row.role
            row.role = role
            row.save(update_fields=["role"])
            detail: dict[str, object] = {"keeper": keeper_uid, "before": before, "after": role}
            record_audit(action="keeper_role_changed", account=by, target=world.slug, detail=detail, now=now)
    return True


def remove_keeper(*, world: World, keeper: int, by: Account, now: datetime) -> bool:
    """End a keeper's part in the world, for their open pages too. Returns: whether there was one."""
    with transaction.atomic():
        row = _keeper(world, keeper)
        if row is None:
            return False
        detail: dict[str, object] = {"keeper": str(row.account.uid), "role": row.role}
        action = "keeper_left" if row.account_id == by.pk else "keeper_removed"
        record_audit(action=action, account=by, target=world.slug, detail=detail, now=now)
        row.delete()
    return True


def leave_world(*, world: World, account: Account, now: datetime) -> None:
    """Stop keeping a world.

    Raises: KeeperRefused: the owner, who has to hand it over first.
    """
    if world.owner_id == account.pk:
        raise KeeperRefused("You own this world. Hand it over to another keeper first.")
    row = WorldKeeper.objects.filter(world=world, account=account).first()
    if row is not None:
        remove_keeper(world=world, keeper=row.pk, by=account, now=now)


def hand_over(*, world: World, keeper: int, by: Account, now: datetime) -> bool:
    """Make a keeper the owner; who was it stays as manager.

    Returns: whether there is such a keeper.
    Raises: KeeperRefused: their address is not confirmed, or `by` is the owner no more.
    """
    with transaction.atomic():
        locked = _lock(world)
        if locked.owner_id != by.pk:
            raise KeeperRefused("You do not own this world any more.")
        row = _keeper(world, keeper)
        if row is None:
            return False
        if not is_email_confirmed(row.account):
            raise KeeperRefused("They have to confirm their e-mail address first.")
        World.objects.filter(pk=world.pk).update(owner=row.account)
        detail: dict[str, object] = {"before": str(by.uid), "after": str(row.account.uid)}
        row.account, row.role, row.since = by, Role.MANAGER.value, now
        row.save()
        record_audit(action="world_handed_over", account=by, target=world.slug, detail=detail, now=now)
    log.info("world_handed_over", world=world.slug)
    return True


def _keeper(world: World, keeper: int) -> WorldKeeper | None:
    rows = WorldKeeper.objects.select_for_update(of=("self",)).select_related("account")
    return rows.filter(world=world, pk=keeper).first()


def _lock(world: World) -> World:
    return World.objects.select_for_update(no_key=True).get(pk=world.pk)
