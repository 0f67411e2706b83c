"""The master's REST API: accounts, worlds, characters, tickets. One Master per log-in."""

from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct

from waystone_client.errors import MasterError
from zonecluster.protocol.unreadable import UNREADABLE

T = TypeVar("T")


class World(Struct, frozen=True):
    """A world in the list."""

    slug: str
    name: str
    tagline: str
    tier: str
    edition: str
    players: int
    max_players: int
    is_online: bool
    is_suspended: bool
    region: str = ""
    language: str = ""
    ruleset: str = ""
    maintenance: str | None = None  # why only its operators are let in


class WorldList(Struct, frozen=True):
    """One page of the world list; `count` is of all pages."""

    count: int
    page: int
    page_size: int
    results: list[World]


class Character(Struct, frozen=True):
    """One of the account's characters. `places`: world slug → zone slug."""

    id: UUID
    name: str
    level: int
    is_locked: bool
    version: int
    places: dict[str, str] = {}
    playing_in: str | None = None


class CharacterList(Struct, frozen=True):
    """The account's characters, and how many more it may have."""

    edition: str
    slots: int
    free_slots: int
    characters: list[Character]


class Ticket(Struct, frozen=True):
    """Lets the account enter one world once, until `expires_at`; `gateway_url` is where."""

    ticket: str
    gateway_url: str
    expires_at: datetime


class Account(Struct, frozen=True):
    """Who is logged in."""

    uid: UUID
    email: str
    edition: str


class Session(Struct, frozen=True):
    """A log-in."""

    token: str
    expires_at: datetime
    account: Account


class Master:
    """A connection to the master. Every method raises MasterError when it is refused or not answered."""

    def __init__(self, url: str, *, token: str = "", timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._http = httpx.AsyncClient(base_url=f"{self.url}/api/v1/", timeout=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the log-in stays good."""
        await self._http.aclose()

    async def register(self, email: str, password: str) -> None:
        """Make an account. The answer is the same for an address that has one already."""
        await self._call("POST", "accounts/", {"email": email, "password": password})

    async def log_in(self, email: str, password: str, code: str = "") -> Session:
        """Log in; later calls are made as this account.

        `code` is of the second step, from an app or one of the recovery codes. An account that has one
        refuses without it (MasterError with the code `code_needed`), and a wrong one (`wrong_code`).
        """
        sent = {"email": email, "password": password} | ({"code": code} if code else {})
        answer = await self._call("POST", "sessions/", sent)
        session = _read(answer, Session)
        self.token = session.token
        return session

    async def log_out(self) -> None:
        """End the log-in; its token is worthless then."""
        await self._call("DELETE", "sessions/current/")
        self.token = ""

    async def me(self) -> Account:
        """Say who is logged in."""
        return _read(await self._call("GET", "me/"), Account)

    async def worlds(self, **filters: str | int) -> WorldList:
        """List worlds; filters: search, language, region, ruleset, tier, edition, online, order, page."""
        return _read(await self._call("GET", "worlds/", parameters=filters), WorldList)

    async def world(self, slug: str) -> World:
        """Tell about one world."""
        return _read(await self._call("GET", f"worlds/{slug}/"), World)

    async def characters(self) -> CharacterList:
        """List the account's characters."""
        return _read(await self._call("GET", "characters/"), CharacterList)

    async def create_character(self, name: str) -> Character:
        """Make a character; the name is unique on the whole platform."""
        return _read(await self._call("POST", "characters/", {"name": name}), Character)

    async def ticket(self, world: str) -> Ticket:
        """Get a ticket to a world: good for 60 s, once."""
        return _read(await self._call("POST", f"worlds/{world}/tickets/"), Ticket)

    async def _call(
        self, method: str, path: str, body: Any = None, parameters: dict[str, Any] | None = None
    ) -> httpx.Response:
        headers = {"X-Session-Token": self.token} if self.token else {}
        try:
            response = await self._http.request(method, path, json=body, params=parameters, headers=headers)
        except httpx.HTTPError as error:
            reason = f"The master at {self.url} does not answer ({type(error).__name__})."
            raise MasterError(0, "master_unreachable", reason) from error
        if response.is_success:
            return response
        raise _problem(response)


def _read(response: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except UNREADABLE as error:
        raise MasterError(
            response.status_code, "bad_answer", f"The master's answer cannot be read: {error}"
        ) from error


def _problem(response: httpx.Response) -> MasterError:
    """Turn problem+json, or whatever came instead, into an exception."""
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    retry_after = response.headers.get("Retry-After", "")
    return MasterError(
        response.status_code,
        str(problem.get("code", "error")),
        str(problem.get("detail", f"The master answered {response.status_code} {response.reason_phrase}.")),
        problem.get("errors"),
        float(retry_after) if retry_after.isdigit() else None,
    )
