"""Editions on real processes: what is bought or paid back in the shop reaches a character in play."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.end_to_end.conftest import PASSWORD, Introduce, Person, patiently
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_world_life import hears
from waystone_client import MasterError, WaystoneError

pytestmark = pytest.mark.end_to_end
EFFECT_S = 15.0  # from a row of the ledger to the player: a report every 5 s, on a busy machine
GRANTS = (
    "select l.grants from characters_line l join characters_character c on c.id = l.character_id"
    " where c.name = %s"
)
LIMITS = (
    "select limits->>'may_enter_premium_zones' from worlds_playsession"
    " where ended_at is null and character_name = %s"
)


def ask_for(stack: Stack, edition: str, zone: str) -> None:
    """Have a zone of the demo world ask for an edition."""
    stack.query(
        "update worlds_zone set edition = %s where slug = %s and world_id in"
        " (select id from worlds_world where slug = 'demo') returning id",
        edition,
        zone,
    )


def announce(stack: Stack, text: str) -> None:
    stack.query(
        "insert into worlds_announcement (world_id, text, at, heard)"
        " select id, %s, now(), 0 from worlds_world where slug = 'demo' returning id",
        text,
    )


class Shopper:
    """A person on the site's own pages, with cookies and forms as a browser sends them, without scripts."""

    def __init__(self, site: httpx.AsyncClient, person: Person) -> None:
        self._site, self._person = site, person
        self._payment = ""

    async def log_in(self) -> None:
        fields = {"login": self._person.email, "password": PASSWORD}
        assert (await self._send("/account/log-in/", fields)).startswith("/")

    async def buy(self) -> None:
        """Buy a month of Premium for oneself, and pay at the till that pretends."""
        page = await self._send("/premium/checkout/", {"product": "month", "recipient": "buyer"})
        self._payment = page.removesuffix("try/")
        assert await self._send(page, {"outcome": "paid"}) == self._payment

    async def pay_back(self) -> None:
        assert await self._send(f"{self._payment}try/", {"outcome": "refund"}, self._payment) == self._payment

    async def _send(self, path: str, fields: dict[str, str], page: str = "") -> str:
        """Fill in the form of a page, which is sent to `path`. Returns: where the answer leads."""
        seen = await self._site.get(page or path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', seen.text)
        assert token, f"{page or path}: no form in {seen.status_code} {seen.text[:500]}"
        answer = await self._site.post(path, data=fields | {"csrfmiddlewaretoken": token[1]})
        if answer.status_code == 429:
            raise MasterError(429, "throttled", "", retry_after_s=5.0)
        assert answer.status_code == 302, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return answer.headers["Location"].removeprefix(str(self._site.base_url))


@asynccontextmanager
async def on_the_site(stack: Stack, person: Person) -> AsyncIterator[Shopper]:
    async with httpx.AsyncClient(base_url=stack.url, timeout=30.0) as site:
        shopper = Shopper(site, person)
        await patiently(shopper.log_in)
        yield shopper


async def test_what_is_bought_opens_the_way_in_play_and_what_is_paid_back_closes_it(
    stack: Stack, introduce: Introduce
) -> None:
    himself = await introduce("Bob")
    try:
        async with on_the_site(stack, himself) as shopper:
            bob = await himself.enter()
            assert bob.zone is not None and bob.zone.zone == "harbour"
            ask_for(stack, "premium", "mossgate")
            stack.kill("worlddaemon")  # the next one reads the zones before it says anything
            announce(stack, "The moss is for Premium now.")
            await hears(bob, "The moss is for Premium now.", within_s=60.0)
            with pytest.raises(WaystoneError):
                await bob.walk_through("mossgate", deadline_s=20.0)
            await hears(bob, "Mossgate is for Premium")
            assert bob.zone.zone == "harbour" and bob.edition is None
            before = stack.query(GRANTS, himself.character)
            await shopper.buy()
            await bob.wait_until(lambda: bob.edition is not None, EFFECT_S, "news of the edition")
            assert bob.edition is not None
            assert (bob.edition.edition, bob.edition.level_cap) == ("premium", None)
            assert bob.edition.may_enter_premium_zones
            await hears(bob, "Your account is now Premium")
            assert (await bob.walk_through("mossgate")).zone == "mossgate"
            assert stack.query(GRANTS, himself.character) == before, "one lease all the time"
            assert (await bob.walk_through("harbour")).zone == "harbour"
            stack.kill("worlddaemon")
            announce(stack, "The keeper is back.")
            await hears(bob, "The keeper is back.", within_s=60.0)
            assert stack.query(LIMITS, himself.character) == [("true",)], "the limits outlast the daemon"
            assert (await bob.walk_through("mossgate")).zone == "mossgate"
            before = stack.query(GRANTS, himself.character)  # the restarted daemon has asked anew
            await shopper.pay_back()
            await bob.wait_until(
                lambda: bob.edition is not None and bob.edition.edition == "free",
                EFFECT_S,
                "the refund",
            )
            assert bob.zone.zone == "mossgate", "nobody is put out of where they stand"
            assert (await bob.walk_through("harbour")).zone == "harbour"
            with pytest.raises(WaystoneError):
                await bob.walk_through("mossgate", deadline_s=20.0)
            assert bob.zone.zone == "harbour"
            assert stack.query(GRANTS, himself.character) == before, "still the same lease"
            goodbye = await bob.log_out()
            assert goodbye.is_saved, "nothing was done here before the restart, so nothing is missing"
    finally:
        ask_for(stack, "free", "mossgate")
