"""Logging in where an account has a second step: the library sends the code, the terminal asks for it."""

import json
from collections.abc import Callable

import httpx
import pytest

from waystone_client import Master, MasterError
from waystone_client.terminal import entrance
from waystone_client.terminal.entrance import Wishes, come_in

PASSWORD = "lichen on the north side"  # noqa: S105  (of people who exist only in tests)
RIGHT = "123456"
ALICE = {"uid": "7d9b2a52-5f3d-4a36-9f1e-0c5a3a1d7a11", "email": "alice@example.org", "edition": "free"}
SESSION = {"token": "t", "expires_at": "2026-12-01T00:00:00Z", "account": ALICE}
WORLD = {
    "slug": "demo",
    "name": "Lanternrest",
    "tagline": "",
    "tier": "official",
    "edition": "free",
    "players": 0,
    "max_players": 10,
    "is_online": True,
    "is_suspended": False,
}
CAST = {
    "edition": "free",
    "slots": 1,
    "free_slots": 0,
    "characters": [
        {"id": ALICE["uid"], "name": "Alice", "level": 1, "is_locked": False, "version": 1},
    ],
}


class Site:
    """The endpoints of a log-in, for one account with a second step; keeps the bodies that were sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.master = Master("http://master.example")
        self.master._http = httpx.AsyncClient(
            transport=httpx.MockTransport(self._answer), base_url="http://master.example/api/v1/"
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.removeprefix("/api/v1/"):
            case "sessions/":
                return self._log_in(json.loads(request.content))
            case "worlds/demo/":
                return httpx.Response(200, json=WORLD)
        return httpx.Response(200, json=CAST)

    def _log_in(self, body: dict[str, str]) -> httpx.Response:
        self.sent.append(body)
        if body["password"] != PASSWORD:
            return httpx.Response(401, json={"code": "wrong_credentials", "detail": "Not together."})
        if "code" not in body:
            return httpx.Response(401, json={"code": "code_needed", "detail": "Send `code` as well."})
        if body["code"] != RIGHT:
            return httpx.Response(401, json={"code": "wrong_code", "detail": "That code is not right."})
        return httpx.Response(201, json=SESSION)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def answers(monkeypatch) -> Callable[..., list[str]]:
    """Type these lines, one for each question; returns the questions as they come."""

    def give(*lines: str) -> list[str]:
        waiting, asked = list(lines), []

        def answer(question: str) -> str:
            asked.append(question)
            return waiting.pop(0)

        monkeypatch.setattr(entrance, "ask", answer)
        monkeypatch.setattr(entrance, "ask_secret", answer)
        return asked

    return give


async def test_the_library_sends_a_code_only_if_it_was_given_one(site):
    with pytest.raises(MasterError) as refused:
        await site.master.log_in(ALICE["email"], PASSWORD)
    assert refused.value.code == "code_needed" and "code" not in site.sent[0]
    session = await site.master.log_in(ALICE["email"], PASSWORD, RIGHT)
    assert (session.token, site.master.token, site.sent[1]["code"]) == ("t", "t", RIGHT)


async def test_the_terminal_asks_for_the_code_and_again_after_a_wrong_one(site, answers):
    asked, said = answers("000000", RIGHT), []
    wishes = Wishes(ALICE["email"], PASSWORD, "demo", "Alice")
    world, character = await come_in(site.master, wishes, said.append)
    assert (world.slug, character) == ("demo", "Alice")
    assert len(asked) == 2 and all("recovery code" in question for question in asked)
    assert said == ["This account has a second step.", "That code is not right."]
    assert [body.get("code") for body in site.sent] == [None, "000000", RIGHT]


async def test_a_wrong_password_is_asked_for_again_before_any_code(site, answers):
    asked, said = answers("wrong", PASSWORD, RIGHT), []
    await come_in(site.master, Wishes(ALICE["email"], "", "demo", "Alice"), said.append)
    assert [question.split()[0] for question in asked] == ["Password:", "Password:", "Code"]
    assert said[0] == "Not together."


async def test_the_terminal_gives_up_after_three_codes_and_never_asks_for_the_password_anew(site, answers):
    asked = answers("", "000000", "000001")
    with pytest.raises(MasterError) as refused:
        await come_in(site.master, Wishes(ALICE["email"], PASSWORD, "demo"), lambda _: None)
    assert refused.value.code == "wrong_code"
    assert len(asked) == 3 and len(site.sent) == 4
