"""Reads about accounts. Editions are always computed from the ledger, never stored."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from allauth.account.models import EmailAddress

from accounts.models import Account, Entitlement
from accounts.rules import LIMITS, Edition, EditionLimits, LedgerEntry, edition_at


def edition_of_many(account_ids: Iterable[int], now: datetime) -> dict[int, Edition]:
    """Return the editions of accounts at an instant, by primary key, in one query however many there are."""
    keys = list(account_ids)
    ledgers: dict[int, list[LedgerEntry]] = defaultdict(list)
    for entry in Entitlement.objects.filter(account_id__in=keys):
        ledgers[entry.account_id].append(
            LedgerEntry(
                edition=Edition(entry.edition),
                is_grant=entry.is_grant,
                reference=entry.reference,
                starts_at=entry.starts_at,
                ends_at=entry.ends_at,
            )
        )
    return {key: edition_at(ledgers[key], now) for key in keys}


def editions_of(accounts: Iterable[Account], now: datetime) -> dict[int, Edition]:
    """Like edition_of_many, for accounts at hand."""
    return edition_of_many([account.pk for account in accounts], now)


def edition_of(account: Account, now: datetime) -> Edition:
    """Return the edition of one account at an instant."""
    return editions_of([account], now)[account.pk]


def limits_of(account: Account, now: datetime) -> EditionLimits:
    """Return what the account's edition allows at an instant."""
    return LIMITS[edition_of(account, now)]


def is_email_confirmed(account: Account) -> bool:
    """Return whether the person proved to have the account's mailbox."""
    return EmailAddress.objects.filter(user=account, email__iexact=account.email, verified=True).exists()
