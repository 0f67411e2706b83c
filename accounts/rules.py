"""Editions as data, and how an edition follows from a ledger of entitlements. Pure.

Not here: where entitlements come from (services), or what a world does with limits (the world daemon).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Edition(StrEnum):
    FREE = "free"
    PREMIUM = "premium"


@dataclass(frozen=True)
class EditionLimits:
    """What an edition allows. Every limit there is stands here, and whoever enforces one reads it here."""

    character_slots: int  # more are kept, and locked
    level_cap: int | None  # None: no cap
    may_enter_premium_worlds: bool
    may_enter_premium_zones: bool  # zones of any world that ask for Premium
    queue_place: int  # of a full world: lower ones are let in first


LIMITS: dict[Edition, EditionLimits] = {
    Edition.FREE: EditionLimits(
        character_slots=3,
        level_cap=15,
        may_enter_premium_worlds=False,
        may_enter_premium_zones=False,
        queue_place=1,
    ),
    Edition.PREMIUM: EditionLimits(
        character_slots=24,
        level_cap=None,
        may_enter_premium_worlds=True,
        may_enter_premium_zones=True,
        queue_place=0,
    ),
}


@dataclass(frozen=True)
class LedgerEntry:
    """One entitlement, as the computation sees it."""

    edition: Edition
    is_grant: bool  # False: takes the grant with the same reference back (refund, chargeback, staff)
    reference: str
    starts_at: datetime
    ends_at: datetime | None


def edition_at(entries: Iterable[LedgerEntry], now: datetime) -> Edition:
    """Return the edition that a ledger gives at an instant: the best grant in force, not taken back."""
    ledger = list(entries)
    revoked = {entry.reference for entry in ledger if not entry.is_grant}
    has_premium = any(
        entry.is_grant
        and entry.edition is Edition.PREMIUM
        and entry.reference not in revoked
        and entry.starts_at <= now
        and (entry.ends_at is None or now < entry.ends_at)
        for entry in ledger
    )
    return Edition.PREMIUM if has_premium else Edition.FREE
