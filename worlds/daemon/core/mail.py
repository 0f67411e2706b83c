"""Letters, with things and coins or without: posted, listed, taken out of and thrown away.

A letter with goods is an exchange of one session with the master: the goods leave the document in the commit
that posts the letter. One without goods changes no document, so nobody is held for it. Mailboxes are the
master's; nothing of them is kept here but who was told that there is a new letter.
"""

from uuid import UUID

import msgspec

from worlds.daemon.core import exchanges, meeting, muting
from worlds.daemon.core.commerce import Asked, MailCall, Part, Verdict
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.goods import (
    Refused,
    answer,
    check_kinds,
    code_of,
    described,
    fault_of,
    master_code,
    offered,
    on_wire,
    stacks_of,
)
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol.from_client import MailDiscard, Mailing, MailList, MailSend, MailTake
from zonecluster.protocol.to_client import LetterSummary, MailIs, Notice
from zonecluster.rules.exchange import Goods, with_goods
from zonecluster.rules.items import NotPossible
from zonecluster.rules.speech import clean_speech

MOST_REQUESTS = 3  # of one player, that wait for the master
MOST_SHOWN = 50
MOST_SHOWN_BYTES = 64 * 1024  # a link holds 256 KB of what its client has not read yet
NEW_LETTER = "There is a new letter for you."
NO_SUBJECT = "A letter needs a subject."
UNKNOWN = "There is no such letter, or nothing lies in it any more."
TOO_OFTEN = "The post does not go so fast: ten letters a minute. Try again in a moment."
GOODS_INSIDE = "Something lies in that letter: take it first."


def on_message(w: World, s: Session, m: Mailing) -> None:
    """Do what a client asks for; the answer waits for the master's."""
    if not meeting.is_here(s) or s.writer is None:
        meeting.refuse_absent(w, s, m.seq)
        return
    asked = Asked(s.id, s.link, m.seq)
    try:
        _begin(w, s, m, asked)
    except (NotPossible, Refused) as error:
        code, text = fault_of(error)
        answer(w, asked, text, code)


def _begin(w: World, s: Session, m: Mailing, asked: Asked) -> None:
    """Raises: NotPossible, Refused."""
    if not w.is_master_up:
        raise Refused("master_away", exchanges.MASTER_AWAY)
    if s.mail_requests >= MOST_REQUESTS:
        raise Refused("too_many_requests", "Wait for the answers to what you have asked for.")
    if not (s.letters if isinstance(m, MailSend) else s.mailboxes).take(w.now):
        raise Refused("too_many_requests", TOO_OFTEN)
    match m:
        case MailSend():
            _send(w, s, m, asked)
        case MailList():
            _ask_for_mailbox(w, s, MailCall(asked, "list"))
        case MailTake(_, letter):
            check_kinds(w, ())
            _ask_for_mailbox(w, s, MailCall(asked, "take", letter))
        case MailDiscard(_, letter):
            _ask_for_mailbox(w, s, MailCall(asked, "discard", letter))


# ---------------------------------------------------------------- to post


def _send(w: World, s: Session, m: MailSend, asked: Asked) -> None:
    goods = offered(w, s, m.items, m.money)
    if s.is_withheld:
        raise Refused("withheld", f"{s.name} cannot be saved at the moment.")
    if (fault := muting.refusal(s)) is not None:
        raise Refused("refused", fault)
    subject = clean_speech(m.subject)
    if not subject:
        raise Refused("refused", NO_SUBJECT)
    letter = uplink.Letter(
        id=w.new_id(),
        sender=s.head.lease,
        recipient=m.to,
        subject=subject,
        text="\n".join(map(clean_speech, m.text.splitlines())),
        goods=on_wire(goods),
    )
    parts = [] if goods.is_nothing else [Part(s.id, given=goods)]
    done = f"Your letter to {m.to} is posted."
    _exchange(w, s, asked, parts, done, post=letter)


def _exchange(
    w: World,
    s: Session,
    asked: Asked,
    parts: list[Part],
    done: str,
    post: uplink.Letter | None = None,
    take: uplink.Taking | None = None,
) -> None:
    """Begin the exchange that a letter is, and answer when it has ended. Raises: Refused."""
    if parts and (fault := exchanges.why_not(w, s)):
        raise Refused(*fault)

    def on_end(w: World, verdict: Verdict) -> None:
        _count(w, asked, -1)
        answer(w, asked, done if verdict.is_done else verdict.text, code_of(verdict))

    _count(w, asked, +1)
    exchanges.begin(w, "mail", parts, on_end, post=post, take=take)


def _count(w: World, asked: Asked, change: int) -> None:
    s = w.find(asked.session)
    if s is not None:
        s.mail_requests += change


# ---------------------------------------------------------------- mailboxes


def _ask_for_mailbox(w: World, s: Session, ask: MailCall) -> None:
    discard = [ask.letter] if ask.what == "discard" and ask.letter is not None else []
    _count(w, ask.asked, +1)
    w.mail_calls[w.call(None, uplink.Mailbox(lease=s.head.lease, discard=discard))] = ask


def on_answer(w: World, ask: MailCall, found: uplink.MailboxIs | uplink.Refusal | Unreachable) -> None:
    """The master told a mailbox, or did not."""
    _count(w, ask.asked, -1)
    try:
        _take_answer(w, ask, found)
    except (NotPossible, Refused) as error:
        code, text = fault_of(error)
        answer(w, ask.asked, text, code)


def _take_answer(w: World, ask: MailCall, found: uplink.MailboxIs | uplink.Refusal | Unreachable) -> None:
    """Raises: NotPossible, Refused."""
    if isinstance(found, uplink.Refusal) and found.code != "master_fault":
        raise Refused(master_code(found.code), found.detail)
    if not isinstance(found, uplink.MailboxIs):
        raise Refused("master_away", exchanges.MASTER_AWAY)
    s = w.find(ask.asked.session)
    if s is not None:
        w.told_of_mail.discard(s.chosen)  # what comes from now on is new
    letter = next((one for one in found.letters if one.id == ask.letter), None)
    match ask.what:
        case "list":
            w.to_link(ask.asked.link, _shown(w, ask.asked.seq, found))
        case "discard":
            if letter is not None:
                raise Refused("goods_inside", GOODS_INSIDE)
            answer(w, ask.asked, "That letter is not in your mailbox any more.")
        case "take":
            _take(w, s, ask, letter)


def _take(w: World, s: Session | None, ask: MailCall, letter: uplink.Received | None) -> None:
    """Raises: NotPossible, Refused."""
    if letter is None or letter.goods == uplink.Goods():
        raise Refused("unknown_letter", UNKNOWN)
    if s is None or s.writer is None:
        return  # nobody waits for an answer any more
    check_kinds(w, letter.goods.items)
    goods = Goods(tuple(letter.goods.items), letter.goods.money)
    with_goods(s.head.newest, goods, w.catalog.kinds)  # looked at again when the document is held
    done = f"You took: {described(w.catalog, goods)}."
    take = uplink.Taking(letter=letter.id, recipient=s.head.lease)
    _exchange(w, s, ask.asked, [Part(s.id, got=goods)], done, take=take)


def _shown(w: World, seq: int, found: uplink.MailboxIs) -> MailIs:
    """Return as many letters as a link should be burdened with."""
    letters: list[LetterSummary] = []
    left = MOST_SHOWN_BYTES
    for letter in found.letters[:MOST_SHOWN]:
        summary = LetterSummary(
            id=letter.id,
            sender=letter.sender,
            world=letter.world,
            subject=letter.subject,
            text=letter.text,
            items=stacks_of(w.catalog, letter.goods.items),
            money=letter.goods.money,
            posted_at=letter.posted_at.timestamp(),
            is_returned=letter.is_returned,
            is_new=letter.is_new,
        )
        left -= len(msgspec.json.encode(summary))
        if left < 0:
            break
        letters.append(summary)
    return MailIs(seq, letters, more=found.more + len(found.letters) - len(letters))


# ---------------------------------------------------------------- news


def on_news(w: World, characters: list[UUID]) -> None:
    """The master says whose mailbox has something new: told once, until the mailbox is looked at."""
    waiting = set(characters)
    w.told_of_mail &= waiting
    for character in sorted(waiting - w.told_of_mail):
        s = w.who_plays(character)
        if s is not None and meeting.is_here(s) and s.link is not None:
            w.told_of_mail.add(character)
            w.to_link(s.link, Notice(NEW_LETTER))
