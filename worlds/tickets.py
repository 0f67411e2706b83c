"""Tickets let one account enter one world, once, within 60 s. Issued for players, redeemed by worlds.

A redeemed ticket is the account's admission to that world: while it is open, the world may acquire leases
of the account's characters. Redeeming one closes the account's admissions elsewhere; running leases go on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts.models import Account
from accounts.rules import LIMITS, Edition
from accounts.selectors import edition_of, is_email_confirmed
from worlds.models import Pseudonym, Ticket, World, WorldKeeper
from worlds.operating.sanctions import ban_here, ban_text
from worlds.rules import ADMISSION_FOR, is_online, maintenance_of
from worlds.selectors import text_of_report
from worlds.signing import signing_keys
from worlds.uplink.jws import sign
from worlds.uplink.ticket import ISSUER, TICKET_LIFETIME_S, TICKET_TYPE, TicketRefused, check_ticket

log = structlog.get_logger(__name__)

KEPT_FOR = timedelta(days=1)  # a ticket's row after its end; long after it could be replayed
# Tickets of one account at once: a client needs one, a script that asks for more is stopped.
MAX_WAITING = 30  # not redeemed yet
MAX_A_MINUTE = 60  # redeemed or not: each redeemed one is a session of a world daemon for a minute


# The account by whose redeemed ticket a world may acquire now; a part of what an acquire reads.
# `admitted_since`: ADMISSION_FOR before now.
ADMITTED_ACCOUNT = """
SELECT account_id FROM worlds_ticket
WHERE jti = %(admission)s AND world_id = %(world)s AND closed_at IS NULL AND redeemed_at > %(admitted_since)s
"""


def admitted_accounts(world: World, now: datetime) -> QuerySet[Ticket, Any]:
    """Return the accounts (primary keys) by whose redeemed tickets a world may acquire now."""
    admissions = Ticket.objects.filter(world=world, closed_at=None, redeemed_at__gt=now - ADMISSION_FOR)
    return admissions.values("account")


class NoTicket(Exception):
    """The account gets no ticket; `code` says why to programs, the message to people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class MayBeBanned(Protocol):
    """What an account's ban is known by."""

    @property
    def is_active(self) -> bool: ...
    @property
    def banned_until(self) -> datetime | None: ...


@dataclass(frozen=True)
class IssuedTicket:
    """What a player's client needs to enter."""

    ticket: str
    gateway_url: str
    expires_at: datetime


def is_banned(account: MayBeBanned, now: datetime) -> bool:
    """Return whether the account may not play at this instant."""
    return not account.is_active or (account.banned_until is not None and now < account.banned_until)


def pseudonym_of(account: Account, world: World) -> Pseudonym:
    """Return the only name under which the world knows the account; made on first use."""
    try:
        with transaction.atomic():
            return Pseudonym.objects.get_or_create(account=account, world=world)[0]
    except IntegrityError:  # two first tickets at once: the other one made it
        return Pseudonym.objects.get(account=account, world=world)


def issue_ticket(*, account: Account, world: World, now: datetime) -> IssuedTicket:
    """Sign a ticket for one entry into a world.

    Raises: NoTicket: account_banned, email_not_confirmed, banned_here, edition_needed, world_suspended,
            world_maintenance, world_offline or too_many_tickets.
        NoSigningKey: the master has no key.
    """
    _check_may_enter(account, world, now)
    with transaction.atomic():
        pseudonym = pseudonym_of(account, world)
        issued = now.replace(microsecond=0)  # the claims count whole seconds
        row = Ticket.objects.create(
            jti=uuid4(),
            account=account,
            world=world,
            issued_at=issued,
            expires_at=issued + timedelta(seconds=TICKET_LIFETIME_S),
        )
    iat = int(issued.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": world.slug,
        "sub": pseudonym.value,
        "jti": row.jti,
        "iat": iat,
        "nbf": iat,
        "exp": iat + TICKET_LIFETIME_S,
        "edition": edition_of(account, now).value,
    }
    key = signing_keys(settings.CONFIG.signing_keys_dir).newest
    log.info("ticket_issued", world=world.slug, jti=str(row.jti), pseudonym=str(pseudonym.value))
    return IssuedTicket(sign(key, TICKET_TYPE, claims), world.gateway_url, row.expires_at)


def _check_may_enter(account: Account, world: World, now: datetime) -> None:
    if is_banned(account, now):
        until = f"until {account.banned_until:%Y-%m-%d %H:%M} UTC" if account.banned_until else "by the staff"
        raise NoTicket("account_banned", f"Your account is banned {until}.")
    if settings.EMAIL_CONFIRMATION_NEEDED and not is_email_confirmed(account):
        raise NoTicket(
            "email_not_confirmed",
            "Confirm your e-mail address first: open the link in our letter. Your account page sends it "
            "again.",
        )
    if (ban := ban_here(account.pk, world, now)) is not None:
        raise NoTicket("banned_here", ban_text(ban, world))
    if world.suspended_at is not None:
        raise NoTicket("world_suspended", f"{world.name} is suspended by the staff; choose another world.")
    if world.edition == Edition.PREMIUM and not LIMITS[edition_of(account, now)].may_enter_premium_worlds:
        raise NoTicket("edition_needed", f"{world.name} is for the Premium edition; upgrade to enter.")
    if (text := _maintenance(world)) is not None and not is_operator(account, world):
        raise NoTicket("world_maintenance", f"{world.name} lets nobody in at the moment: {text}")
    if not is_online(world.last_report_at, now):
        raise NoTicket("world_offline", f"{world.name} does not answer at the moment; try again in a minute.")
    redeemed = list(
        Ticket.objects.filter(account=account, expires_at__gt=now).values_list("redeemed_at", flat=True)
    )
    if redeemed.count(None) >= MAX_WAITING or len(redeemed) >= MAX_A_MINUTE:
        raise NoTicket("too_many_tickets", "You asked for too many tickets in a minute; wait for one.")


def is_operator(account: Account, world: World) -> bool:
    """Return whether an account is let in during maintenance, too: the world's keepers, and staff."""
    is_owner = world.owner_id is not None and world.owner_id == account.pk
    return (
        account.is_staff
        or is_owner
        or WorldKeeper.objects.filter(world=world, account_id=account.pk).exists()
    )


def _maintenance(world: World) -> str | None:
    report = world.report if isinstance(world.report, dict) else {}
    return maintenance_of(
        world.maintenance_since, world.maintenance_text, text_of_report(report.get("maintenance"))
    )


def redeem_ticket(*, token: str, world: World, now: datetime) -> Ticket:
    """Use a ticket: once, by the world it is for. Its row becomes the account's admission.

    Raises: TicketRefused: bad_ticket, ticket_expired, ticket_used, world_suspended or account_banned.
    """
    keys = signing_keys(settings.CONFIG.signing_keys_dir)
    claims = check_ticket(token, keys.key_of, world=world.slug, now=now)
    if world.suspended_at is not None:
        raise TicketRefused("world_suspended", "the staff suspended this world")
    with transaction.atomic():
        account = _lock_account_of(claims.jti, world)
        if is_banned(account, now):
            raise TicketRefused("account_banned", "the account is banned")
        if (ban := ban_here(account.pk, world, now)) is not None:
            raise TicketRefused("account_banned", ban_text(ban, world))
        unused = Ticket.objects.filter(jti=claims.jti, world=world, redeemed_at=None, closed_at=None)
        if unused.filter(expires_at__gt=now).update(redeemed_at=now) != 1:
            raise TicketRefused("ticket_used", "the ticket was used before; get a new one")
        elsewhere = Ticket.objects.filter(account=account, redeemed_at__isnull=False, closed_at=None)
        closed = elsewhere.exclude(world=world).update(closed_at=now)
    log.info("ticket_redeemed", world=world.slug, jti=str(claims.jti), closed_elsewhere=closed)
    return Ticket.objects.select_related("account").get(jti=claims.jti)


def _lock_account_of(jti: UUID, world: World) -> Account:
    """Return the ticket's account, locked: two redeems at once must each see what the other one opened."""
    account = Account.objects.select_for_update(no_key=True).filter(tickets__jti=jti, tickets__world=world)
    found = account.first()
    if found is None:
        raise TicketRefused("bad_ticket", "the master knows no such ticket; it may be too old")
    return found


def close_old_admissions(*, now: datetime) -> int:
    """Close admissions older than ADMISSION_FOR; return how many."""
    return Ticket.objects.filter(closed_at=None, redeemed_at__lte=now - ADMISSION_FOR).update(closed_at=now)


def delete_old_tickets(*, now: datetime) -> int:
    """Delete tickets that nobody can use any more since KEPT_FOR; return how many."""
    unused = Ticket.objects.filter(redeemed_at=None, expires_at__lt=now - KEPT_FOR)
    closed = Ticket.objects.filter(closed_at__lt=now - KEPT_FOR)
    return unused.delete()[0] + closed.delete()[0]
