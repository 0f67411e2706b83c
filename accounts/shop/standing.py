"""How a payment stands, from all that was told of it. Pure, and the heart of the shop.

What is told arrives twice, late, in any order. So it is kept as a set of notices, and the standing is a
function of the set: a repeat adds nothing, and no order can matter. Not here: the ledger (terms).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """What a notice tells of. Its subject is the thing with that id at the provider."""

    PAID = "paid"  # amount and currency came in
    PENDING = "pending"  # the buyer is done; the bank is not
    FAILED = "failed"  # the checkout ran out, or the bank refused
    REFUND = "refund"  # status of one refund: succeeded, pending, failed, canceled
    REFUND_TOTAL = "refund_total"  # what has gone back of one charge, all refunds together
    DISPUTE = "dispute"  # status of one dispute, in Stripe's words
    ACCEPTED = "accepted"  # staff takes what came for the whole price


class Standing(StrEnum):
    OPEN = "open"
    PENDING = "pending"
    FAILED = "failed"
    HELD = "held"
    PAID = "paid"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    CHARGED_BACK = "charged_back"


@dataclass(frozen=True)
class Notice:
    """One thing that was told. `amount` in units of `currency` (ISO 4217, capitals)."""

    kind: Kind
    subject: str
    happened_at: datetime  # by the provider's clock
    status: str = ""
    amount: Decimal = Decimal(0)
    currency: str = ""


@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class Outcome:
    """How a payment stands. `grants`: whether its buyer has what was bought."""

    standing: Standing
    grants: bool
    paid: Decimal  # in the currency asked for
    refunded: Decimal
    paid_at: datetime | None
    concern: str  # what staff should look at; empty: nothing


# A refund goes from pending to one of the others; a dispute from the first group to the last. Later wins,
# whatever arrives first.
REFUND_RANKS = {"pending": 0, "requires_action": 0, "succeeded": 1, "failed": 2, "canceled": 2}
DISPUTE_RANKS = {
    "warning_needs_response": 0,
    "warning_under_review": 0,
    "needs_response": 1,
    "under_review": 1,
    "warning_closed": 2,
    "won": 2,
    "prevented": 2,
    "lost": 2,
}


def outcome_of(notices: Iterable[Notice], price: Price) -> Outcome:
    """Return how a payment stands after a set of notices, in whatever order they came.

    * Money that came in counts, even after the checkout had run out or had failed.
    * Less than the price, or another currency, grants nothing, and waits; more grants, and staff is told.
    * All of it refunded: taken back. A part: kept.
    * A dispute takes back while it is open and when it is lost; won, it gives back. An inquiry takes nothing.
    """
    told = list(notices)
    paid, foreign, paid_at = _income(told, price.currency)
    refunded = _refunded(told, price.currency)
    disputes = {_dispute_state(each) for each in _by_subject(told, Kind.DISPUTE)}
    is_enough = paid >= price.amount or (bool(_of(told, Kind.ACCEPTED)) and (paid > 0 or foreign is not None))
    concern = _concern(paid, foreign, refunded, price, is_enough)
    if paid == 0 and foreign is None:
        standing = Standing.OPEN
        if _of(told, Kind.PENDING):
            standing = Standing.PENDING
        if _of(told, Kind.FAILED):
            standing = Standing.FAILED
    elif "lost" in disputes:
        standing = Standing.CHARGED_BACK
    elif "open" in disputes:
        standing, concern = Standing.DISPUTED, "The buyer's bank disputes it: answer at the provider."
    elif _is_back(told, paid, refunded, foreign):
        standing, concern = Standing.REFUNDED, ""
    else:
        standing = Standing.PAID if is_enough else Standing.HELD
    grants = standing is Standing.PAID
    return Outcome(standing, grants, paid, refunded, paid_at, concern)


def _of(notices: list[Notice], kind: Kind) -> list[Notice]:
    return [notice for notice in notices if notice.kind is kind]


def _by_subject(notices: list[Notice], kind: Kind) -> list[list[Notice]]:
    groups: dict[str, list[Notice]] = {}
    for notice in _of(notices, kind):
        groups.setdefault(notice.subject, []).append(notice)
    return list(groups.values())


def _total_order(notice: Notice) -> tuple[datetime, str, str, Decimal, str]:
    """Return what sorts notices so that no two different ones are equal: arrival does not count."""
    return (notice.happened_at, notice.status, notice.subject, notice.amount, notice.currency)


def _income(notices: list[Notice], currency: str) -> tuple[Decimal, Notice | None, datetime | None]:
    """Return what came in in the currency asked for, something in another one, and when the first came."""
    ours: dict[str, Decimal] = {}
    foreign = None
    came = []
    for notice in sorted(_of(notices, Kind.PAID), key=_total_order):
        if notice.amount <= 0:
            continue
        came.append(notice.happened_at)
        if notice.currency == currency:  # one charge told of by several notices is one charge
            ours[notice.subject] = max(ours.get(notice.subject, Decimal(0)), notice.amount)
        else:
            foreign = notice
    return sum(ours.values(), Decimal(0)), foreign, min(came, default=None)


def _refunded(notices: list[Notice], currency: str) -> Decimal:
    """Return how much has gone back, or is on its way."""
    gone = failed = Decimal(0)
    for group in _by_subject(notices, Kind.REFUND):
        last = max(group, key=lambda each: (REFUND_RANKS.get(each.status, 0), *_total_order(each)))
        if last.currency != currency:
            continue
        if REFUND_RANKS.get(last.status, 0) == 2:
            failed += last.amount
        else:
            gone += last.amount
    totals = [
        max(notice.amount for notice in group if notice.currency == currency)
        for group in _by_subject(notices, Kind.REFUND_TOTAL)
        if any(notice.currency == currency for notice in group)
    ]
    return max(gone, sum(totals, Decimal(0)) - failed, Decimal(0))


def _is_back(notices: list[Notice], paid: Decimal, refunded: Decimal, foreign: Notice | None) -> bool:
    """Return whether all that came went back; where only another currency came, all of that."""
    if paid == 0 and foreign is not None:
        came, _, _ = _income(notices, foreign.currency)
        return _refunded(notices, foreign.currency) >= came
    return refunded > 0 and refunded >= paid


def _dispute_state(notices: list[Notice]) -> str:
    """Return "inquiry", "open", "won" or "lost" for what was told of one dispute."""
    last = max(notices, key=lambda each: (DISPUTE_RANKS.get(each.status, 1), *_total_order(each)))
    rank = DISPUTE_RANKS.get(last.status, 1)  # a word that is new to us: the careful reading
    if rank == 2:
        return "lost" if last.status == "lost" else "won"
    return "open" if rank == 1 else "inquiry"


def _concern(paid: Decimal, foreign: Notice | None, refunded: Decimal, price: Price, is_enough: bool) -> str:
    """Return what staff should look at, as a sentence."""
    if foreign is not None:
        return f"{foreign.amount} {foreign.currency} came; asked for were {price.amount} {price.currency}."
    if 0 < paid < price.amount and not is_enough:
        return f"{paid} {price.currency} came; asked for were {price.amount}. Accept it, or refund it."
    if paid - refunded > price.amount:
        return f"{paid} {price.currency} came for {price.amount}: refund what is too much."
    return ""
