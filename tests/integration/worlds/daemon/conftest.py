"""A world at a live master, with its key, a player and a character."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils import timezone

from accounts.models import Account
from characters.models import Character
from characters.services import create_character
from worlds.daemon.core.effects import Call
from worlds.daemon.master import MasterClient, new_http
from worlds.models import World, WorldKey
from worlds.rules import name_key
from worlds.signing import ensure_signing_key
from worlds.tickets import issue_ticket
from worlds.uplink.keys import KeyPair, key_pair


@dataclass
class Realm:
    """A world's side of things."""

    world: World
    key: KeyPair
    account: Account
    character: Character
    master_url: str

    def ticket(self) -> str:
        return issue_ticket(account=self.account, world=self.world, now=timezone.now()).ticket

    def ask(self, *requests: Any, key: KeyPair | None = None, url: str | None = None) -> list[Any]:
        """Ask the master as the daemon does, one after the other; return the answers."""

        async def run(client: MasterClient) -> list[Any]:
            return [(await client.carry_out([Call(uuid4(), request)]))[0].answer for request in requests]

        return self.with_client(run, key=key, url=url)

    def with_client(
        self,
        run: Callable[[MasterClient], Awaitable[Any]],
        *,
        key: KeyPair | None = None,
        url: str | None = None,
    ) -> Any:
        async def main() -> Any:
            async with new_http(url or self.master_url) as http:
                return await run(MasterClient(http, self.world.slug, key or self.key))

        return asyncio.run(main())


@pytest.fixture
def realm(transactional_db: None, live_server: Any) -> Realm:
    ensure_signing_key(settings.CONFIG.signing_keys_dir)
    key = key_pair(Ed25519PrivateKey.generate())
    world = World.objects.create(
        slug="aurora", name="Aurora", name_key=name_key("Aurora"), tier="official",
        gateway_url="ws://127.0.0.1:1/", last_report_at=timezone.now(),
    )  # fmt: skip
    WorldKey.objects.create(world=world, kid=key.kid, public_key=key.public_bytes)
    alice = Account.objects.create_user("alice@example.org", "a long password")
    hero = create_character(account=alice, name="Rowan", by=alice, now=timezone.now())
    return Realm(world, key, alice, hero, live_server.url)
