"""Who is let in as which host: keys, join codes that are good once, revocation."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_world
from worlds.hosts.handshake import AgentSide, Claimed, DaemonSide, HostRefused, Identity
from worlds.hosts.registry import admit, make_join_code, revoke
from worlds.models import Host
from worlds.uplink.keys import KeyPair, key_pair

pytestmark = pytest.mark.django_db
ALICE, MALLORY = (key_pair(Ed25519PrivateKey.generate()) for _ in range(2))
PIN = b"p" * 32


@pytest.fixture
def host() -> Host:
    world = make_world("lantern", host_status={"door": {"address": "10.0.0.1:1", "fingerprint": PIN.hex()}})
    return Host.objects.create(world=world, name="second", public_key=ALICE.public_bytes)


def claim(key: KeyPair, host: str = "second", join: bytes | None = None) -> Claimed:
    """Return what an agent claims with a key, by its name or by a join code."""
    identity = Identity("lantern", "" if join else host, key.private.sign, key.public_bytes, join)
    side, door = (
        AgentSide(identity, PIN, bytes(32)),
        DaemonSide("lantern", PIN, bytes(32), is_own_machine=False),
    )
    door.receive(side.to_send())
    side.receive(door.to_send())
    (made,) = door.receive(side.to_send())
    assert isinstance(made, Claimed)
    return made


def let_in(made: Claimed) -> tuple[str, bytes]:
    return admit(world="lantern", claim=made, now=timezone.now())


def code_of(host: Host):
    return make_join_code(host=host, reason="a machine", by=None, now=timezone.now())


def test_the_key_on_record_is_let_in_and_no_other(host):
    assert let_in(claim(ALICE)) == ("second", ALICE.public_bytes)
    with pytest.raises(HostRefused, match="not the key of host second") as refused:
        let_in(claim(MALLORY))
    assert refused.value.host == "second"
    with pytest.raises(HostRefused, match="no host third"):
        let_in(claim(ALICE, "third"))


def test_a_host_of_another_world_is_none_of_this(host):
    Host.objects.update(world=make_world("other"))
    with pytest.raises(HostRefused, match="no host second"):
        let_in(claim(ALICE))


def test_a_join_code_is_good_once_and_the_old_key_is_void_from_then_on(host):
    code = code_of(host)
    assert let_in(claim(ALICE)), "until it is used, the old key is good"
    assert let_in(claim(MALLORY, join=code.secret)) == ("second", MALLORY.public_bytes)
    assert let_in(claim(MALLORY)) == ("second", MALLORY.public_bytes)
    for late in (claim(ALICE), claim(ALICE, join=code.secret), claim(MALLORY, join=code.secret)):
        with pytest.raises(HostRefused):
            let_in(late)
    joined = AuditRecord.objects.get(action="host_joined")
    assert joined.target == "lantern/second" and joined.detail["key"] == MALLORY.public_bytes.hex()


def test_a_new_code_voids_the_one_before_and_codes_end_after_an_hour(host):
    first, second = code_of(host), code_of(host)
    with pytest.raises(HostRefused, match="not known, used up, or older"):
        let_in(claim(MALLORY, join=first.secret))
    Host.objects.update(join_until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(HostRefused, match="not known, used up, or older"):
        let_in(claim(MALLORY, join=second.secret))
    host.refresh_from_db()
    assert bytes(host.public_key) == ALICE.public_bytes


def test_a_code_brings_no_key_that_its_agent_does_not_have(host):
    """Mallory has seen Alice's public key and a code; without Alice's private key the code stays unused."""
    code = code_of(host)
    forged = replace(claim(ALICE, join=code.secret), signature=MALLORY.private.sign(b"x"))
    with pytest.raises(HostRefused, match="does not have the key"):
        let_in(forged)
    assert let_in(claim(ALICE, join=code.secret))


def test_who_is_revoked_is_not_let_in(host):
    code = code_of(host)
    assert revoke(host=host, reason="stolen", by=None, now=timezone.now())
    for made in (claim(ALICE), claim(ALICE, join=code.secret)):
        with pytest.raises(HostRefused):
            let_in(made)
    assert not revoke(host=host, reason="again", by=None, now=timezone.now())
    assert AuditRecord.objects.filter(action="host_revoked", detail__reason="stolen").count() == 1
