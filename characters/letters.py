"""Letters and mailboxes, in rows. Exchanges put goods into letters, and take them out.

A mailbox is of one character and one scope: main, on whatever world, or one world's forks.
"""

from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from characters.exchange_rules import DISCARD_AFTER, MAILBOX_SHOWN, RETURN_AFTER, No, decide_lease
from characters.heads import named_head, newest_falls
from characters.models import Letter, Line
from characters.refusals import Refused
from characters.writers import writer_of
from worlds.models import World
from worlds.uplink.messages import Goods, LeaseRef, Mailbox, MailboxIs, Received
from zonecluster.protocol.character import Item

log = structlog.get_logger(__name__)

HAS_GOODS = Q(taken_at=None) & (Q(money__gt=0) | ~Q(items=[]))
NEVER_HAD_GOODS = Q(money=0, items=[])


def read_mailbox(*, world: World, request: Mailbox, now: datetime) -> MailboxIs:
    """Throw letters away, and list the others, newest first; those listed are not new any more.

    Raises: Refused: world_suspended, stale.
    """
    with transaction.atomic():
        letters = _mailbox_of(world, request.lease)
        thrown = letters.filter(id__in=request.discard).exclude(HAS_GOODS).update(discarded_at=now)
        newest = letters.select_related("sender", "posted_by").order_by("-posted_at", "-id")
        # Two lists: what waits to be taken is not to be hidden behind newer words.
        lying = newest.filter(HAS_GOODS)[:MAILBOX_SHOWN]
        words = newest.exclude(HAS_GOODS)[:MAILBOX_SHOWN]
        shown = sorted([*lying, *words], key=lambda letter: (letter.posted_at, letter.id), reverse=True)
        more = letters.count() - len(shown)
        Letter.objects.filter(id__in=[letter.id for letter in shown], read_at=None).update(read_at=now)
    log.debug("mailbox_read", world=world.slug, line=str(request.lease.line), shown=len(shown), thrown=thrown)
    return MailboxIs([_received(letter) for letter in shown], more=more)


def _mailbox_of(world: World, lease: LeaseRef) -> QuerySet[Letter]:
    """Return the letters for whoever plays under a lease. Raises: Refused."""
    line = Line.objects.filter(id=lease.line).defer("state").first()
    name = (lease.line, lease.epoch)
    head = named_head(line, newest_falls([name]).get(name))
    target = decide_lease(lease, head=head, writer=writer_of(world))
    if isinstance(target, No):
        log.info("mailbox_refused", reason=target.refusal.code, world=world.slug, line=str(lease.line))
        raise Refused(target.refusal)
    assert line is not None  # it is held
    return lying_for(line.character_id, world if target.scope is not None else None)


def lying_for(character: UUID, scope: World | None) -> QuerySet[Letter]:
    """Return the letters in a mailbox. Args: scope: the world whose forks it is of; None: main."""
    return Letter.objects.filter(recipient=character, world=scope, discarded_at=None)


def goods_in(letter: Letter) -> Goods:
    """Return what lies in a letter; nothing once it was taken."""
    return Goods() if letter.taken_at else goods_of(letter)


def goods_of(letter: Letter) -> Goods:
    """Return what lies, or once lay, in a letter."""
    return Goods(items=msgspec.convert(letter.items, list[Item]), money=letter.money)


def _received(letter: Letter) -> Received:
    return Received(
        id=letter.id,
        sender=letter.sender.name,
        world=letter.posted_by.name,
        subject=letter.subject,
        text=letter.text,
        goods=goods_in(letter),
        posted_at=letter.posted_at,
        is_returned=letter.returned_at is not None,
        is_new=letter.read_at is None,
    )


def characters_with_new_letters(world: World) -> list[UUID]:
    """Return the characters in play there for whom a letter came that no answer had: one query."""
    new = Letter.objects.filter(recipient=OuterRef("character"), read_at=None, discarded_at=None)
    on_main = Q(world=None) & Exists(new.filter(world=None))
    on_forks = Q(world=world) & Exists(new.filter(world=world))
    found = Line.objects.filter(on_main | on_forks, holder=world)
    return sorted(found.values_list("character", flat=True))


def return_letters(*, now: datetime) -> int:
    """Send goods back that nobody took in 30 days: sender and recipient change places. Returns: how many.

    One statement: of two that run at once, the second finds them returned; and what is being taken at this
    moment is either taken, or the taking finds it to be somebody else's.
    """
    due = Letter.objects.filter(HAS_GOODS, returned_at=None, posted_at__lte=now - RETURN_AFTER)
    count = due.update(sender=F("recipient"), recipient=F("sender"), returned_at=now, read_at=None)
    if count:
        log.info("letters_returned", letters=count)
    return count


def discard_letters(*, now: datetime) -> int:
    """Throw away letters of 90 days in which nothing lies. Returns: how many.

    Of one that had goods, the row stays without its text: what went which way is provenance.
    """
    old = Letter.objects.exclude(HAS_GOODS).filter(posted_at__lte=now - DISCARD_AFTER)
    had_goods = old.exclude(NEVER_HAD_GOODS).exclude(discarded_at__isnull=False, text="")
    emptied = had_goods.update(discarded_at=Coalesce("discarded_at", now), text="")
    deleted, _ = old.filter(NEVER_HAD_GOODS).delete()
    if emptied + deleted:
        log.info("letters_discarded", letters=emptied + deleted)
    return emptied + deleted
