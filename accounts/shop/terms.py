"""Which spans of Premium an account has for what it bought, and what to book so that it has them. Pure.

A claim is one payment or one redeemed code. The ledger (accounts.models.Entitlement) is never changed, so a
claim that is taken back and given back again has several grants after each other, its rounds. Paid time runs
one claim after the other, never two at once, and time that was taken back is not counted as used.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Claim:
    """A payment or a redeemed code. `days` of Premium, None: for good."""

    reference: str
    days: int | None
    is_good: bool  # paid and not taken back
    since: datetime  # earlier ones run first


@dataclass(frozen=True)
class Round:
    """One grant for a claim in the ledger."""

    reference: str  # the claim's
    number: int  # 1, 2, …
    starts_at: datetime
    ends_at: datetime | None
    revoked_at: datetime | None = None
    is_final: bool = False  # staff took it back: nothing of the claim is granted any more

    @property
    def is_open(self) -> bool:
        return self.revoked_at is None

    def used(self, now: datetime) -> timedelta:
        """Return how long it was in force until now."""
        end = min(each for each in (self.ends_at, self.revoked_at, now) if each is not None)
        return max(end - self.starts_at, timedelta(0))


@dataclass(frozen=True)
class Grant:
    """Book a grant."""

    round: Round


@dataclass(frozen=True)
class Revoke:
    """Take a round back."""

    round: Round


Deed = Grant | Revoke


def deeds(
    claims: Iterable[Claim], rounds: Iterable[Round], others: Iterable[Round], now: datetime
) -> list[Deed]:
    """Return what to book now so that the ledger says what the claims do. Nothing if it does already.

    Args: others: Premium in force now that is no claim's (staff's): claims begin after it.
    """
    by_claim: dict[str, list[Round]] = {}
    for each in sorted(rounds, key=lambda each: each.number):
        by_claim.setdefault(each.reference, []).append(each)
    found: list[Deed] = []
    running: list[Round] = []  # begun and in force
    waiting: list[tuple[Claim, Round | None]] = []  # to be laid one after the other; the round, if it has one
    for claim in sorted(claims, key=lambda each: (each.since, each.reference)):
        past = by_claim.get(claim.reference, [])
        current = next((each for each in past if each.is_open), None)
        is_good = claim.is_good and not any(each.is_final for each in past)
        if current is not None and not is_good:
            found.append(Revoke(current))
        elif is_good and current is not None and current.starts_at <= now:
            running.append(current)
        elif is_good and (current is not None or _left(claim, past, now) != timedelta(0)):
            waiting.append((claim, current))
    cursor = _covered_until([*running, *others], now)
    for claim, current in waiting:
        past = by_claim.get(claim.reference, [])
        start = cursor or now  # Premium for good covers all: it then runs beside it
        wanted = _round(claim, past, start, now)
        if current is not None and (current.starts_at, current.ends_at) == (wanted.starts_at, wanted.ends_at):
            wanted = current
        else:
            if current is not None:
                found.append(Revoke(current))
            found.append(Grant(wanted))
        cursor = wanted.ends_at if cursor is not None else None
    return found


def _left(claim: Claim, past: list[Round], now: datetime) -> timedelta | None:
    """Return how much of a claim has not been used; None: without end."""
    if claim.days is None:
        return None
    used = sum((each.used(now) for each in past), timedelta(0))
    return max(timedelta(days=claim.days) - used, timedelta(0))


def _round(claim: Claim, past: list[Round], start: datetime, now: datetime) -> Round:
    left = _left(claim, past, now)
    number = max((each.number for each in past), default=0) + 1
    return Round(claim.reference, number, start, None if left is None else start + left)


def _covered_until(running: list[Round], now: datetime) -> datetime | None:
    """Return until when rounds that have begun cover the time from now on; None: for good."""
    if any(each.ends_at is None for each in running):
        return None
    ends = [each.ends_at for each in running if each.ends_at is not None and each.ends_at > now]
    return max([now, *ends])


def after(rounds: Iterable[Round], booked: Iterable[Deed], now: datetime) -> list[Round]:
    """Return the rounds after deeds were booked: what the ledger then says."""
    found = {(each.reference, each.number): each for each in rounds}
    for deed in booked:
        key = (deed.round.reference, deed.round.number)
        found[key] = deed.round if isinstance(deed, Grant) else replace(found[key], revoked_at=now)
    return list(found.values())
