"""Any order of play, trade, mail and staff on the real repository: nothing is made, doubled or lost.

Three people on two official worlds, a verified and an open one. What is on main, in documents and in letters,
is counted after each step; a request that is repeated gets its first answer; and after each example every
invariant is asked of the database.
"""

import contextlib
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
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
from characters.exchanges import IncomingExchange, exchange
from characters.invariants import INVARIANTS, check_invariants
from characters.leases import acquire_lease, release_lease, renew_leases
from characters.letters import discard_letters, read_mailbox, return_letters
from characters.lifting import CannotLift, lift_fork
from characters.lines import Entry, append_version
from characters.models import Letter, Line, Version
from characters.refusals import Refused
from characters.restoring import LineInPlay, lines_written_by, restore_version, roll_back_line
from characters.retention import thin_batch
from characters.saves import IncomingSave, save_batch
from characters.services import create_character
from characters.valuables import bring_back
from worlds.models import Ticket, World, WorldKey
from worlds.services import lift_limit, lift_suspension, limit_world, suspend_world
from worlds.signing import ensure_signing_key
from worlds.uplink import messages
from worlds.uplink.keys import key_pair
from worlds.uplink.messages import Goods, LeaseRef
from zonecluster.protocol.character import CharacterState, Item, decode_state, encode_state

TIERS = {"aurora": "official", "borealis": "official", "cairn": "verified", "wilds": "open"}
PEOPLE = ("Alice", "Bob", "Mallory")
REASON = "for the test"
JUMP = timedelta(days=20)
worlds = st.sampled_from([*sorted(TIERS), "aurora", "aurora"])  # most play together
people = st.sampled_from(PEOPLE)
seeds = st.integers(0, 2**32)
OUTCOMES: Counter[tuple[str, str]] = Counter()  # what was asked for, and what came of it


@dataclass(frozen=True)
class Known:
    """What a world last learned of a character that it plays, true or not."""

    line: UUID
    epoch: int
    version: int
    chain: bytes
    state: CharacterState
    is_main: bool

    @property
    def ref(self):
        return LeaseRef(self.line, self.epoch)

    def write(self, state, kind):
        """The write that a world makes of this document next."""
        return IncomingSave(
            line=self.line, epoch=self.epoch, version=self.version, prev_chain=self.chain, op_id=uuid4(),
            kind=kind, state=msgspec.Raw(encode_state(state)),
        )  # fmt: skip

    def after(self, saved, state):
        """What the world knows once that was accepted."""
        is_main = self.is_main and saved.forked is None
        return replace(self, version=saved.version, chain=saved.chain, state=state, is_main=is_main)


def goods_of(state):
    """Coins, kinds, and things with an id, counted."""
    goods = Counter({"coins": state.money})
    for item in state.bags.get("inventory", []):
        goods[item.kind if item.id is None else item.id] += item.count
    return +goods


def things_in(goods):
    """The ids among goods."""
    return sorted(what for what in goods if isinstance(what, UUID))


def having(state, goods):
    """The same document with these goods."""
    items = [
        Item("crown", id=what) if isinstance(what, UUID) else Item(what, count)
        for what, count in sorted(goods.items(), key=str)
        if what != "coins" and count
    ]
    return msgspec.structs.replace(state, money=goods["coins"], bags={"inventory": items})


def as_goods(goods):
    """Goods as a letter names them."""
    items = having(CharacterState(), goods).bags["inventory"]
    return Goods(items=items, money=goods["coins"])


@dataclass
class Asked:
    """An exchange that was accepted, and its answer."""

    slug: str
    request: IncomingExchange
    answer: messages.Exchanged


@dataclass
class Everything:
    """What the machine has made and learned."""

    accounts: dict = field(default_factory=dict)
    characters: dict = field(default_factory=dict)
    rows: dict = field(default_factory=dict)
    known: dict = field(default_factory=dict)  # (world, who) → Known
    asked: list = field(default_factory=list)


class Economy(RuleBasedStateMachine):
    """See the module. A long example has months, retention and letters that come back."""

    @initialize(is_long=st.booleans())
    def begin(self, is_long):
        ensure_signing_key(settings.CONFIG.signing_keys_dir)
        self.now = timezone.now() - timedelta(days=100 if is_long else 3)
        self.chance = Random(0)
        self.all = Everything()
        for slug, tier in TIERS.items():
            world = World.objects.create(
                slug=f"{slug}-{uuid4().hex[:8]}",
                name=f"{slug} {uuid4().hex[:8]}",
                tier=tier,
                gateway_url="ws://a/",
            )
            key = key_pair(Ed25519PrivateKey.generate())
            WorldKey.objects.create(world=world, kid=key.kid, public_key=key.public_bytes)
            self.all.rows[slug] = world
        for who in PEOPLE:
            self.make_person(who)
            self.enter("aurora", who)
        self.expected = self.on_main()

    def make_person(self, who):
        account = Account.objects.create_user(f"{uuid4()}@example.org")
        name = who + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:8])
        character = create_character(account=account, name=name, by=account, now=self.now)
        line = Line.objects.get(character=character)
        crown = uuid4()
        stock = having(decode_state(bytes(line.state)), Counter({"coins": 20, "moss": 9, crown: 1}))
        with transaction.atomic():
            made = append_version(line=line, entry=Entry("restore", encode_state(stock), None), now=self.now)
            bring_back(line=line, had=(), has={crown: "crown"}, op_id=made.op_id, now=self.now)
        self.all.accounts[who], self.all.characters[who] = account, character

    def on_main(self):
        """Everything in main documents and in letters between them."""
        total = Counter()
        for line in Line.objects.filter(character__in=self.all.characters.values(), world=None):
            total += goods_of(decode_state(bytes(line.state)))
        for letter in Letter.objects.filter(
            recipient__in=self.all.characters.values(), world=None, taken_at=None
        ):
            items = msgspec.convert(letter.items, list[Item])
            total += goods_of(CharacterState(money=letter.money, bags={"inventory": items}))
        return total

    @invariant()
    def nothing_is_made_or_lost_on_main(self):
        assert self.on_main() == self.expected

    def teardown(self):
        if hasattr(self, "expected"):
            with connection.cursor() as cursor:
                assert check_invariants(cursor, INVARIANTS) == []

    # ------------------------------------------------------------ time, coming and going

    @rule(seconds=st.sampled_from([1, 30, 121, 3600]))
    def time_passes(self, seconds):
        self.now = min(self.now + timedelta(seconds=seconds), timezone.now())

    @precondition(lambda self: self.now + JUMP < timezone.now())
    @rule()
    def weeks_pass(self):
        self.now += JUMP

    @rule(seed=seeds, slug=worlds)
    def people_play(self, seed, slug):
        """A handful of things in a row: one at a time, an example would have few trades."""
        self.chance = Random(seed)
        deeds = (self.save, self.trade, self.trade, self.post, self.take)
        for deed in self.chance.choices(deeds, k=8):
            deed(slug)

    @rule(seed=seeds)
    def something_odd_happens(self, seed):
        self.chance = Random(seed)
        odd = (self.leave, self.renew, self.steal, self.repeat, self.nightly_work)
        self.chance.choice(odd)()

    @rule(slug=worlds, who=people)
    def enters(self, slug, who):
        self.enter(slug, who)

    def enter(self, slug, who):
        ticket = Ticket.objects.create(
            account=self.all.accounts[who], world=self.all.rows[slug], issued_at=self.now,
            expires_at=self.now, redeemed_at=self.now,
        )  # fmt: skip
        request = messages.Acquire(
            admission=ticket.jti, character=self.all.characters[who].pk, op_id=uuid4(), order=0
        )
        try:
            lease = acquire_lease(world=self.world(slug), request=request, now=self.now)
        except Refused as refused:
            assert refused.refusal.code in ("held_elsewhere", "world_suspended")
            return
        self.all.known[slug, who] = Known(
            lease.line, lease.epoch, lease.version, lease.chain, lease.state, lease.line_kind == "main"
        )

    def world(self, slug):
        return World.objects.get(pk=self.all.rows[slug].pk)

    def playing(self, slug=None, count=1):
        """Some of those that a world believes to be in play there; none if there are too few."""
        found = sorted(key for key in self.all.known if slug in (None, key[0]))
        return self.chance.sample(found, count) if len(found) >= count else []

    def leave(self):
        for key in self.playing():
            known = self.all.known[key]
            release_lease(
                world=self.world(key[0]), request=messages.Release(known.line, known.epoch), now=self.now
            )
            if self.chance.random() < 0.5:  # else it goes on as a daemon that does not know
                del self.all.known[key]

    def renew(self):
        for key in self.playing():
            ref = self.all.known[key].ref
            try:
                renewed = renew_leases(world=self.world(key[0]), request=messages.Renew([ref]), now=self.now)
            except Refused as refused:
                assert refused.refusal.code == "world_suspended"
                return
            if renewed.lost:
                del self.all.known[key]

    # ------------------------------------------------------------ saves

    def save(self, slug):
        for key in self.playing(slug):
            known = self.all.known[key]
            before = goods_of(known.state)
            after = Counter(before)
            after["coins"] = max(0, before["coins"] + self.chance.randint(-3, 3))
            if self.chance.random() < 0.3:
                after[uuid4()] = 1
            if self.chance.random() < 0.2 and (things := things_in(before)):
                del after[self.chance.choice(things)]
            state = having(known.state, +after)
            save = known.write(state, "item")
            (saved,) = save_batch(world=self.world(key[0]), saves=[save], now=self.now)
            (again,) = save_batch(world=self.world(key[0]), saves=[save], now=self.now)
            assert (saved.version, saved.chain) == (again.version, again.chain)
            self.tally("save", saved.refusal, saved.forked)
            if saved.refusal is not None:
                self.forget(key, saved.refusal)
                continue
            self.all.known[key] = known = known.after(saved, state)
            if known.is_main:
                self.expected = self.expected - before + after

    def tally(self, what, refusal, forked=None):
        outcome = "fell" if forked else refusal.code if refusal else "done"
        OUTCOMES[what, outcome] += 1

    def forget(self, key, refusal):
        """A world drops what is stale."""
        assert refusal.code in ("stale", "world_suspended", "foreign_valuable"), refusal
        if refusal.code == "stale":
            self.all.known.pop(key, None)

    def steal(self):
        """Write somebody else's thing into a document."""
        for thief, owner in itertools.pairwise(self.playing(count=2)):
            known, victim = self.all.known[thief], self.all.known[owner]
            stolen = Counter(set(things_in(goods_of(victim.state))) - set(things_in(goods_of(known.state))))
            if not stolen or thief[1] == owner[1] or not known.is_main or not victim.is_main:
                continue
            save = known.write(having(known.state, goods_of(known.state) + stolen), "item")
            (saved,) = save_batch(world=self.world(thief[0]), saves=[save], now=self.now)
            self.tally("theft", saved.refusal, saved.forked)
            if saved.forked is not None:
                del self.all.known[thief]  # it plays its fork now, where everything may be there

    # ------------------------------------------------------------ exchanges

    def pick(self, state):
        """Some of what somebody has."""
        goods = goods_of(state)
        chosen = self.chance.sample(sorted(goods, key=str), min(len(goods), self.chance.randint(0, 3)))
        return Counter({what: self.chance.randint(1, min(goods[what], 3)) for what in chosen})

    def unfairness(self):
        """How many coins come out of nothing, or go there."""
        return self.chance.choice([0, 0, 0, 0, 1, -1])

    def trade(self, slug):
        keys = self.playing(slug, 2)
        if not keys:
            return
        one, other = (self.all.known[key] for key in keys)
        given, taken, unfair = self.pick(one.state), self.pick(other.state), self.unfairness()
        one_has = goods_of(one.state) - given + taken
        unfair = unfair if one_has["coins"] + unfair >= 0 else 0
        one_has["coins"] += unfair
        states = having(one.state, one_has), having(other.state, goods_of(other.state) - taken + given)
        writes = [each.write(state, "trade") for each, state in zip((one, other), states, strict=True)]
        done = self.carry_out("trade", slug, IncomingExchange(id=uuid4(), writes=writes), keys, states)
        assert not (done and unfair)

    def carry_out(self, what, slug, request, keys, states):
        """Ask for an exchange; learn from the answer. Returns: whether it was accepted."""
        versions = Version.objects.count()
        try:
            answer = exchange(world=self.world(slug), request=request, now=self.now)
        except Refused as refused:
            assert refused.refusal.code == "bad_request"
            return False
        self.tally(what, answer.refusal, any(saved.forked for saved in answer.results))
        if answer.refusal is not None:
            assert Version.objects.count() == versions
            if answer.refusal.code == "stale":
                for key in keys:
                    if answer.line in (None, self.all.known[key].line):
                        self.all.known.pop(key)
            return False
        for key, saved, state in zip(keys, answer.results, states, strict=True):
            known = self.all.known[key]
            self.all.known[key] = known.after(saved, state)
        if any(saved.forked for saved in answer.results):
            self.expected = self.on_main()  # what was on main of those that fell stays there
        self.all.asked.append(Asked(slug, request, answer))
        return True

    def repeat(self):
        """Ask for an exchange again, whatever has happened since."""
        if not self.all.asked:
            return
        asked = self.chance.choice(self.all.asked)
        versions = Version.objects.count()
        answer = exchange(world=self.world(asked.slug), request=asked.request, now=self.now)
        self.tally("repeat", answer.refusal)
        assert Version.objects.count() == versions
        if answer.refusal is None:
            told = [(saved.op_id, saved.version, saved.chain) for saved in answer.results]
            assert told == [(saved.op_id, saved.version, saved.chain) for saved in asked.answer.results]
        else:  # thinned meanwhile, 14 days late
            assert answer.refusal.code in ("stale", "op_id_reused", "world_suspended"), answer.refusal
            assert answer.refusal.code == "world_suspended" or self.was_thinned(asked)

    def was_thinned(self, asked):
        op_ids = [write.op_id for write in asked.request.writes]
        return Version.objects.filter(op_id__in=op_ids).count() < len(op_ids) or not op_ids

    def post(self, slug):
        for key in self.playing(slug):
            known, given, unfair = (
                self.all.known[key],
                self.pick(self.all.known[key].state),
                self.unfairness(),
            )
            state = having(known.state, goods_of(known.state) - (Counter() if unfair else given))
            letter = messages.Letter(
                id=uuid4(), sender=known.ref, recipient=self.all.characters[self.chance.choice(PEOPLE)].name,
                subject="Hello", goods=as_goods(given),
            )  # fmt: skip
            writes = [known.write(state, "mail")] if given else []
            request = IncomingExchange(id=uuid4(), writes=writes, post=letter)
            done = self.carry_out("post", slug, request, [key][: len(writes)], [state][: len(writes)])
            assert not (done and unfair and given)

    def take(self, slug):
        for key in self.playing(slug):
            known, unfair = self.all.known[key], self.unfairness()
            try:
                mailbox = read_mailbox(
                    world=self.world(slug), request=messages.Mailbox(known.ref), now=self.now
                )
            except Refused as refused:
                self.forget(key, refused.refusal)
                continue
            full = [letter for letter in mailbox.letters if letter.goods != Goods()]
            if not full:
                continue
            letter = self.chance.choice(full)
            inside = CharacterState(money=letter.goods.money, bags={"inventory": letter.goods.items})
            state = having(
                known.state, goods_of(known.state) + goods_of(inside) + Counter({"coins": max(unfair, 0)})
            )
            request = IncomingExchange(
                id=uuid4(), writes=[known.write(state, "mail")], take=messages.Taking(letter.id, known.ref)
            )
            done = self.carry_out("take", slug, request, [key], [state])
            assert not (done and unfair > 0)

    # ------------------------------------------------------------ background work and staff

    def nightly_work(self):
        return_letters(now=self.now)
        discard_letters(now=self.now)
        thin_batch(after=None, now=self.now)

    @rule(
        seed=seeds,
        deed=st.sampled_from(["limit", "suspend", "lift_levers", "bring_back", "lift_a_fork", "roll_back"]),
        slug=worlds,
    )
    def staff_acts(self, seed, deed, slug):
        """What the staff brings back may make and lose coins and moss; but no valuable twice."""
        self.chance = Random(seed)
        getattr(self, deed)(self.world(slug))
        self.expected = self.on_main()

    def limit(self, world):
        limit_world(world=world, reason=REASON, by=None, now=self.now)

    def suspend(self, world):
        suspend_world(world=world, reason=REASON, by=None, now=self.now)

    def lift_levers(self, world):
        for row in self.all.rows.values():
            row.refresh_from_db()
            lift_limit(world=row, reason=REASON, by=None, now=self.now)
            lift_suspension(world=row, reason=REASON, by=None, now=self.now)

    def bring_back(self, world):
        versions = Version.objects.filter(line__character__in=self.all.characters.values()).order_by("pk")
        with contextlib.suppress(LineInPlay):
            restore_version(version=self.chance.choice(list(versions)), reason=REASON, by=None, now=self.now)

    def lift_a_fork(self, world):
        mine = Line.objects.filter(character__in=self.all.characters.values(), world__isnull=False)
        for fork in self.chance.sample(list(mine.order_by("pk")), min(1, mine.count())):
            with contextlib.suppress(CannotLift):
                lift_fork(fork=fork, reason=REASON, by=None, now=self.now)

    def roll_back(self, world):
        since = self.now - timedelta(minutes=self.chance.choice([1, 60, 10_000]))
        for line in lines_written_by(world, since):
            roll_back_line(line_id=line, world=world, since=since, reason=REASON, by=None, now=self.now)


DONE = {"save", "trade", "post", "take", "repeat"}
REFUSED = {("trade", "not_conserved"), ("theft", "foreign_valuable")}


def has_seen_everything() -> bool:
    """Return whether each deed was done, and each crime refused, at least once."""
    return {what for what, outcome in OUTCOMES if outcome == "done"} >= DONE and set(OUTCOMES) >= REFUSED


@pytest.mark.django_db
def test_nothing_is_made_doubled_or_lost():
    settings = hypothesis_settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # a failure is shown as found: shrinking it takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    for _ in range(6):  # chance may leave something out of a round; of six, it does not
        run_state_machine_as_test(Economy, settings=settings)
        if has_seen_everything():
            return
    pytest.fail(f"not everything was tried: {OUTCOMES}")
