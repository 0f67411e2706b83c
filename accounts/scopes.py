"""What an API token may do: scopes. Pure.

A session may all that its person may. A token may what its scopes name, and only at endpoints that name a
scope for the method (`scopes` of the view); anywhere else it is refused, so that forgetting opens nothing.
"""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum


class Scope(StrEnum):
    ACCOUNT_READ = "account:read"
    CHARACTERS_READ = "characters:read"
    CHARACTERS_WRITE = "characters:write"
    TICKETS = "tickets"
    WORLDS_READ = "worlds:read"
    WORLDS_WRITE = "worlds:write"


SCOPE_WORDS: dict[Scope, str] = {
    Scope.ACCOUNT_READ: "See who I am: address, edition, limits",
    Scope.CHARACTERS_READ: "See my characters",
    Scope.CHARACTERS_WRITE: "Make and delete characters",
    Scope.TICKETS: "Get tickets, and so play as me",
    Scope.WORLDS_READ: "See the worlds I keep, and their webhooks",
    Scope.WORLDS_WRITE: "Change the webhooks of worlds I keep",
}
LIFETIMES: dict[int, str] = {30: "30 days", 90: "90 days", 365: "a year"}  # in days; none lives for ever
MAX_TOKENS = 20  # of one account, in force: a token for each program, with room
SEEN_EVERY = timedelta(minutes=1)  # how exactly "last used" is kept: no write for each request


def read_scopes(names: Iterable[str]) -> list[Scope]:
    """Return the scopes of these names, in the table's order, each once.

    Raises: ValueError: an unknown one; the message names it.
    """
    wanted = set(names)
    unknown = wanted - {scope.value for scope in Scope}
    if unknown:
        raise ValueError(f"There is no scope {min(unknown)[:40]!r}; there are {', '.join(Scope)}.")
    return [scope for scope in Scope if scope.value in wanted]
