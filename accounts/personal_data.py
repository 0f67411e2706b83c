"""What the platform holds of a person: each app says what it has, how it is handed out, how it is forgotten.

An app makes a `Holding` and passes it to `hold` when it is loaded (AppConfig.ready). Exports
(accounts.exporting) and deletion (accounts.leaving) ask all of them, so neither has to know the apps above.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account

Rows = Iterable[dict[str, object]]  # of a file in the export; values as JSON takes them


def _nothing(account: Account, now: datetime) -> None:
    """Forget nothing: what is held names nobody once the account does not."""


def _none(account: Account) -> list[str]:
    return []


@dataclass(frozen=True)
class Holding:
    """What one app holds of an account.

    files: file name without ending → its rows, read when they are written.
    forget: takes out what names the person; called in the transaction of the deletion.
    obstacles: sentences for the person, why the account cannot go yet.
    """

    name: str
    files: Callable[[Account], dict[str, Rows]]
    forget: Callable[[Account, datetime], None] = _nothing
    obstacles: Callable[[Account], list[str]] = _none


holdings: dict[str, Holding] = {}


def hold(holding: Holding) -> None:
    """Take an app's holding in; again, it replaces the earlier one."""
    holdings[holding.name] = holding


def obstacles_of(account: Account) -> list[str]:
    """Return why the account cannot be deleted yet, one sentence each."""
    return [text for holding in holdings.values() for text in holding.obstacles(account)]
