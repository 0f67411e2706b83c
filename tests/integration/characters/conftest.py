"""Worlds with keys, accounts, and a world's side of the uplink, for the repository's tests."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Entitlement
from characters.leases import acquire_lease
from characters.saves import IncomingSave, save_batch
from characters.services import create_character
from tests.integration.characters.trading import COIN, ROPE, Playing, equip
from worlds.models import World, WorldKey
from worlds.signing import ensure_signing_key
from worlds.tickets import issue_ticket, redeem_ticket
from worlds.uplink import messages
from worlds.uplink.keys import KeyPair, key_pair
from worlds.uplink.proof import sign_request
from zonecluster.protocol.character import encode_state


@dataclass
class Operator:
    """A world's side of the uplink: its row at the master and its private key."""

    world: World
    key: KeyPair

    def post(self, verb, body, *, key=None, slug=None, now=None, client=None):
        """Send a signed request by HTTP; body: bytes or a struct."""
        data = body if isinstance(body, bytes) else messages.encoder.encode(body)
        path = f"/api/v1/uplink/{verb}/"
        token = sign_request(
            key or self.key, slug or self.world.slug, "POST", path, data, now or timezone.now()
        )
        return (client or Client()).post(
            path, data, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
        )

    def admit(self, account, now):
        """Let the account in by a ticket; return the admission's id."""
        World.objects.filter(pk=self.world.pk).update(last_report_at=now)
        self.world.refresh_from_db()
        issued = issue_ticket(account=account, world=self.world, now=now)
        return redeem_ticket(token=issued.ticket, world=self.world, now=now).jti

    def acquire(self, character, admission, now, op_id=None):
        """Acquire the lease of a character."""
        request = messages.Acquire(admission=admission, character=character.id, op_id=op_id or uuid4())
        return acquire_lease(world=self.world, request=request, now=now)

    def save(self, lease, now, **changes):
        """Save once after a lease, with money as the change; return the outcome."""
        return save_batch(world=self.world, saves=[a_save(lease, **changes)], now=now)[0]


def a_save(lease, *, money=1, state=None, **changes) -> IncomingSave:
    """Return a good save after a lease (or anything with its fields), changed as told."""
    document = encode_state(msgspec.structs.replace(lease.state, money=money)) if state is None else state
    fields = {
        "line": lease.line, "epoch": lease.epoch, "version": lease.version, "prev_chain": lease.chain,
        "op_id": uuid4(), "kind": "periodic", "state": msgspec.Raw(document),
    }  # fmt: skip
    return IncomingSave(**{**fields, **changes})


@pytest.fixture(autouse=True)
def _signing_key():
    ensure_signing_key(settings.CONFIG.signing_keys_dir)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def make_account(db):
    def make(name, *, premium=False, staff=False):
        account = Account.objects.create_user(f"{name}@example.org", "a long password", is_staff=staff)
        if premium:
            start = timezone.now() - timedelta(days=1)
            Entitlement.objects.create(
                account=account, edition="premium", source="staff", reference="test", starts_at=start
            )
        return account

    return make


@pytest.fixture
def alice(make_account):
    return make_account("alice")


@pytest.fixture
def mallory(make_account):
    return make_account("mallory")


@pytest.fixture
def make_operator(db):
    def make(slug, tier="official", **fields):
        key = key_pair(Ed25519PrivateKey.generate())
        fields = {
            "name": slug.title(),
            "gateway_url": "ws://127.0.0.1:1/",
            "last_report_at": timezone.now(),
            **fields,
        }
        world = World.objects.create(slug=slug, tier=tier, **fields)
        WorldKey.objects.create(world=world, kid=key.kid, public_key=key.public_bytes)
        return Operator(world, key)

    return make


@pytest.fixture
def aurora(make_operator):
    """An official world."""
    return make_operator("aurora")


@pytest.fixture
def borealis(make_operator):
    """Another official world."""
    return make_operator("borealis")


@pytest.fixture
def wilds(make_operator):
    """An open world."""
    return make_operator("wilds", tier="open")


@pytest.fixture
def hero(alice, now):
    return create_character(account=alice, name="Rowan", by=alice, now=now)


@pytest.fixture
def make_save():
    return a_save


@pytest.fixture
def nobody() -> UUID:
    return uuid4()


@pytest.fixture
def play(now):
    """Let a character of an account enter a world."""

    def enter(operator, account, character, at=None) -> Playing:
        at = at or now
        lease = operator.acquire(character, operator.admit(account, at), at)
        return Playing(operator, lease, lease.version, lease.chain, lease.state)

    return enter


@pytest.fixture
def bob(make_account):
    return make_account("bob")


@pytest.fixture
def friend(bob, now):
    return create_character(account=bob, name="Sorrel", by=bob, now=now)


@pytest.fixture
def two(play, aurora, alice, bob, hero, friend, now):
    """Rowan has a gem with an id, 3 ropes and 100 coins, Sorrel 50 coins; both are in aurora."""
    rowan, sorrel = play(aurora, alice, hero), play(aurora, bob, friend)
    equip(rowan, rowan.having(COIN, ROPE, money=100), now)
    equip(sorrel, sorrel.having(money=50), now)
    return rowan, sorrel
