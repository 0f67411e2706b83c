"""Mailboxes over plain values, as characters.letters has them over rows."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from characters.core.records import Letter, Line
from characters.core.store import Store
from characters.exchange_rules import DISCARD_AFTER, MAILBOX_SHOWN, RETURN_AFTER, No, decide_lease
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Goods, Refusal


def mailbox(store: Store, world: str, request: uplink.Mailbox, now: datetime) -> uplink.MailboxIs | Refusal:
    """Throw letters away, and list the others, newest first."""
    lease = request.lease
    target = decide_lease(lease, head=store.named_head(lease.line, lease.epoch), writer=store.writer(world))
    if isinstance(target, No):
        return target.refusal
    character = store.lines[lease.line].character
    for letter in lying_for(store, character, target.scope):
        if letter.id in request.discard and not letter.has_goods:
            letter.discarded_at = now
    letters = lying_for(store, character, target.scope)
    goods = [letter for letter in letters if letter.has_goods][:MAILBOX_SHOWN]
    words = [letter for letter in letters if not letter.has_goods][:MAILBOX_SHOWN]
    shown = [letter for letter in letters if letter in goods or letter in words]
    received = [_received(store, letter) for letter in shown]
    for letter in shown:
        letter.read_at = letter.read_at or now
    return uplink.MailboxIs(received, more=len(letters) - len(shown))


def lying_for(store: Store, character: UUID, scope: object) -> list[Letter]:
    """Return the letters in a mailbox, newest first."""
    found = [
        letter
        for letter in store.letters.values()
        if (letter.recipient, letter.world, letter.discarded_at) == (character, scope, None)
    ]
    return sorted(found, key=lambda letter: (letter.posted_at, letter.id), reverse=True)


def _received(store: Store, letter: Letter) -> uplink.Received:
    return uplink.Received(
        id=letter.id,
        sender=store.names[letter.sender],
        world=letter.posted_by,
        subject=letter.subject,
        text=letter.text,
        goods=letter.goods if letter.has_goods else Goods(),
        posted_at=letter.posted_at,
        is_returned=letter.returned_at is not None,
        is_new=letter.read_at is None,
    )


def new_letters(store: Store, held: Iterable[Line]) -> list[UUID]:
    """Return the characters of these lines whose mailboxes have a letter that is in no answer yet."""
    return sorted(
        line.character
        for line in held
        if any(letter.read_at is None for letter in lying_for(store, line.character, line.head.owner))
    )


def return_letters(store: Store, now: datetime) -> int:
    """Send goods back that nobody has taken, as the task does; returns how many."""
    due = [
        letter
        for letter in store.letters.values()
        if letter.has_goods and letter.returned_at is None and letter.posted_at <= now - RETURN_AFTER
    ]
    for letter in due:
        letter.sender, letter.recipient = letter.recipient, letter.sender
        letter.returned_at, letter.read_at = now, None
    return len(due)


def discard_letters(store: Store, now: datetime) -> int:
    """Throw letters away in which nothing lies, as the task does; returns how many."""
    old = [
        letter
        for letter in store.letters.values()
        if not letter.has_goods and letter.posted_at <= now - DISCARD_AFTER
    ]
    count = 0
    for letter in old:
        if letter.goods == Goods():
            del store.letters[letter.id]
            count += 1
        elif letter.discarded_at is None or letter.text:
            letter.discarded_at, letter.text = letter.discarded_at or now, ""
            count += 1
    return count
