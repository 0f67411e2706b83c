"""The real repository against a small model: any order of acquire, renew, save, release and time.

The model holds one character's lines as the rules see them, and decides by characters.rules. The repository
must give the same answers, its rows must be the model's after each step, and its chains whole at the end.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import Account
from characters.leases import acquire_lease, release_lease, renew_leases
from characters.models import Line, Version
from characters.refusals import Refused
from characters.rules import (
    LEASE,
    EarlierWrite,
    Grant,
    Head,
    Standing,
    Write,
    Writer,
    decide_grant,
    decide_save,
)
from characters.saves import IncomingSave, save_batch
from characters.services import create_character
from worlds.models import Ticket, World, WorldKey
from worlds.signing import ensure_signing_key
from worlds.uplink.keys import key_pair
from worlds.uplink.messages import Acquire, LeaseRef, Refusal, Release, Renew
from zonecluster.protocol.character import GENESIS_CHAIN, encode_state, next_chain, state_hash
from zonecluster.rules.character import new_character_state

TIERS = {"aurora": "official", "borealis": "official", "wilds": "open"}
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
worlds = st.sampled_from(sorted(TIERS))


@dataclass
class ModelLine:
    """What the model knows of one line."""

    head: Head
    money: int = 0
    versions: int = 1


@dataclass
class Known:
    """What a world last learned of a lease, true or not: what its next requests are made from."""

    line: UUID
    key: str
    epoch: int
    version: int
    chain: bytes
    sent: list[IncomingSave] = field(default_factory=list)


class Repository(RuleBasedStateMachine):
    """Three worlds, two official and one open, fight over one character."""

    @initialize()
    def begin(self):
        ensure_signing_key(settings.CONFIG.signing_keys_dir)
        self.now = START
        self.rows, self.admissions = {}, {}
        account = Account.objects.create_user(f"{uuid4()}@example.org", "a long password")
        for slug, tier in TIERS.items():
            world = World.objects.create(
                slug=f"{slug}-{uuid4().hex[:8]}", name=slug, tier=tier, gateway_url="ws://a/"
            )
            key = key_pair(Ed25519PrivateKey.generate())
            WorldKey.objects.create(world=world, kid=key.kid, public_key=key.public_bytes)
            self.rows[slug] = world
        self.account = account
        name = "".join(chr(ord("a") + int(d, 16)) for d in uuid4().hex[:16])
        self.character = create_character(account=account, name=name, by=account, now=self.now)
        main = Line.objects.get(character=self.character)
        self.lines = {"main": ModelLine(Head(version=1, chain=bytes(main.chain)))}
        self.journal = {}
        self.known: dict[str, list[Known]] = {slug: [] for slug in TIERS}
        self.acquires: dict[str, list[UUID]] = {slug: [] for slug in TIERS}
        for slug in TIERS:
            self.admit(slug)

    def admit(self, slug):
        ticket = Ticket.objects.create(
            account=self.account,
            world=self.rows[slug],
            issued_at=self.now,
            expires_at=self.now,
            redeemed_at=self.now,
        )
        self.admissions[slug] = (ticket.jti, self.now)

    def key_of(self, slug):
        return "main" if TIERS[slug] == "official" else slug

    @rule(seconds=st.sampled_from([1, 30, 119, 120, 121, 1000, 90_000]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(slug=worlds)
    def redeems(self, slug):
        self.admit(slug)

    @rule(slug=worlds, repeats=st.booleans())
    def acquires_lease(self, slug, repeats):
        spent = self.acquires[slug]
        op_id = spent[-1] if repeats and spent else uuid4()
        spent.append(op_id)
        admission, since = self.admissions[slug]
        key = self.key_of(slug)
        head = self.lines[key].head if key in self.lines else Head(owner=slug)
        expected = decide_grant(
            head,
            world=slug,
            op_id=op_id,
            incarnation=1,
            standing=Standing(is_admitted=self.now - since < timedelta(hours=24)),
            now=self.now,
        )
        request = Acquire(admission=admission, character=self.character.id, op_id=op_id)
        try:
            lease = acquire_lease(world=self.rows[slug], request=request, now=self.now)
        except Refused as refused:
            assert isinstance(expected, Refusal) and refused.refusal == expected
            return
        assert isinstance(expected, Grant)
        assert lease.epoch == expected.epoch
        if key not in self.lines:
            self.lines[key] = ModelLine(
                Head(owner=slug, version=1, chain=lease.chain), money=self.lines["main"].money
            )
            head = self.lines[key].head
        assert (lease.version, lease.chain, lease.state.money) == (
            head.version,
            head.chain,
            self.lines[key].money,
        )
        head = replace(head, lease_until=self.now + LEASE)
        if not expected.is_repeat:
            head = replace(head, holder=slug, epoch=lease.epoch, grants=head.grants + 1, acquire_op_id=op_id)
        self.lines[key].head = head
        self.known[slug].append(Known(lease.line, key, lease.epoch, lease.version, lease.chain))

    def pick(self, slug, data):
        """A lease that some world once learned of: its own, or one it stole."""
        choices = self.known[slug] * 3 + [lease for leases in self.known.values() for lease in leases]
        return data.draw(st.sampled_from(choices))

    @precondition(lambda self: any(self.known.values()))
    @rule(slug=worlds, data=st.data(), money=st.integers(0, 5), repeats=st.booleans(), broken=st.booleans())
    def saves(self, slug, data, money, repeats, broken):
        lease = self.pick(slug, data)
        save = lease.sent[-1] if repeats and lease.sent else self.new_save(lease, money)
        if broken and data.draw(st.integers(0, 3)) == 0:
            save = msgspec.structs.replace(save, prev_chain=bytes(32))
        lease.sent.append(save)
        state = bytes(save.state)
        write = Write(
            line=save.line, epoch=save.epoch, version=save.version, prev_chain=save.prev_chain,
            op_id=save.op_id, kind=save.kind, state_hash=state_hash(state), state=state,
        )  # fmt: skip
        model = self.lines[lease.key]
        expected = decide_save(
            write,
            head=model.head,
            earlier=self.journal.get(save.op_id),
            writer=Writer(slug, is_official=TIERS[slug] == "official", is_suspended=False),
        )
        saved = save_batch(world=self.rows[slug], saves=[save], now=self.now)[0]
        if isinstance(expected, Refusal):
            assert saved.refusal == expected
            return
        assert saved.refusal is None and saved.receipt
        assert saved.chain == next_chain(save.prev_chain, save.version + 1, save.op_id, write.state_hash)
        if expected == "accepted":
            self.journal[save.op_id] = EarlierWrite(
                slug, save.line, save.epoch, save.version + 1, save.prev_chain, save.kind, write.state_hash
            )
            model.head = replace(model.head, version=saved.version, chain=saved.chain)
            model.money = msgspec.json.decode(state)["money"]
            model.versions += 1
        if saved.version > lease.version:
            lease.version, lease.chain = saved.version, saved.chain

    def new_save(self, lease, money):
        state = encode_state(msgspec.structs.replace(new_character_state(), money=money))
        return IncomingSave(
            line=lease.line, epoch=lease.epoch, version=lease.version, prev_chain=lease.chain, op_id=uuid4(),
            kind="periodic", state=msgspec.Raw(state),
        )  # fmt: skip

    @precondition(lambda self: any(self.known.values()))
    @rule(slug=worlds, data=st.data())
    def renews(self, slug, data):
        lease = self.pick(slug, data)
        head = self.lines[lease.key].head
        reference = LeaseRef(lease.line, lease.epoch)
        renewed = renew_leases(world=self.rows[slug], request=Renew([reference]), now=self.now)
        is_held = (head.holder, head.epoch) == (slug, lease.epoch)
        assert (renewed.held, renewed.lost) == (([reference], []) if is_held else ([], [reference]))
        if is_held:
            self.lines[lease.key].head = replace(head, lease_until=self.now + LEASE)

    @precondition(lambda self: any(self.known.values()))
    @rule(slug=worlds, data=st.data())
    def releases(self, slug, data):
        lease = self.pick(slug, data)
        head = self.lines[lease.key].head
        was_held = release_lease(
            world=self.rows[slug], request=Release(lease.line, lease.epoch), now=self.now
        )
        assert was_held == ((head.holder, head.epoch) == (slug, lease.epoch))
        if was_held:
            self.lines[lease.key].head = replace(head, holder=None, lease_until=None)

    @invariant()
    def rows_are_the_models(self):
        slugs: dict[int | None, str] = {world.pk: slug for slug, world in self.rows.items()}
        rows = Line.objects.filter(character=self.character)
        assert {slugs.get(row.world_id, "main") for row in rows} == set(self.lines)
        for row in rows:
            model = self.lines[slugs.get(row.world_id, "main")]
            assert (slugs.get(row.holder_id), row.epoch, row.grants) == (
                model.head.holder, model.head.epoch, model.head.grants,
            )  # fmt: skip
            assert (row.lease_until, row.version, bytes(row.chain)) == (
                model.head.lease_until, model.head.version, model.head.chain,
            )  # fmt: skip

    def teardown(self):
        if not hasattr(self, "lines"):
            return
        for line in Line.objects.filter(character=self.character):
            versions = list(Version.objects.filter(line=line).order_by("version"))
            assert [row.version for row in versions] == list(range(1, line.version + 1))
            previous = GENESIS_CHAIN if line.world_id is None else bytes(versions[0].prev_chain)
            for row in versions:
                assert bytes(row.prev_chain) == previous
                previous = next_chain(previous, row.version, row.op_id, state_hash(bytes(row.state)))
                assert bytes(row.chain) == previous
            assert bytes(line.chain) == previous and bytes(line.state) == bytes(versions[-1].state)


@pytest.mark.django_db
def test_the_repository_decides_as_the_model_does():
    run_state_machine_as_test(
        Repository,
        settings=hypothesis_settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.reuse, Phase.generate],  # a failure is shown as found: shrinking it takes minutes
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
