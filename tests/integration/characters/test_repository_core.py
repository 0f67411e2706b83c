"""The repository's core is the repository: the same requests to characters.core and to PostgreSQL.

Three worlds, an account with more characters than slots, and every kind of request in any order: first tries,
repeats, stolen and stale ones, batches, suspensions, bans, changes of tier. After each, both answers are the
same, receipts included, and in the end all heads and versions are.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from uuid import UUID

import msgspec
import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import Account, Entitlement
from accounts.rules import Edition
from characters import budgets, core
from characters.admissions import admit
from characters.leases import acquire_lease, head_of, release_lease, renew_leases
from characters.models import Character, Gain, Line, Valuable, Version, WorldBudget
from characters.refusals import Refused
from characters.reports import receive_report
from characters.rules import Head
from characters.saves import IncomingSave, save_batch
from characters.services import create_character
from characters.valuable_rules import Owner, kinds_of, packed
from worlds.models import Ticket, World
from worlds.signing import signing_keys
from worlds.tickets import issue_ticket, pseudonym_of
from worlds.uplink import messages as uplink
from worlds.uplink.receipt import check_receipt, sign_receipt
from zonecluster.protocol.canonical import MAX_VALUABLES
from zonecluster.protocol.character import Item, decode_state, encode_state

TIERS = {"aurora": "official", "borealis": "official", "cairn": "verified", "wilds": "open"}
BUDGET = budgets.Limits(  # small, so that it is used up
    hour=budgets.Gain(money=1500, valuables=2), day=budgets.Gain(money=4000, valuables=5)
)
NAMES = ("Rowan", "Sorrel", "Tansy", "Yarrow")
STEPS, MOST_STEPS = 70, 400


@dataclass
class Twins:
    """The repository twice, and what worlds have learned of it."""

    rng: Random
    operators: dict[str, object]
    account: Account
    core: core.Repository
    now: object
    slugs: dict[int, str]
    ids: list[UUID] = field(default_factory=list)  # that the core is to use next: those of the rows
    admissions: dict[str, UUID] = field(default_factory=dict)
    tickets: list[tuple[str, str, str]] = field(default_factory=list)  # world, token, jti
    leases: list[uplink.Lease] = field(default_factory=list)
    heads: dict[UUID, tuple[int, bytes]] = field(default_factory=dict)
    latest: str = "aurora"  # where the account was admitted last
    sent: list[tuple[str, object]] = field(default_factory=list)

    # ---------------------------------------------------------------- both at once

    def ask(self, slug: str, request: object) -> None:
        """Give a request to both; the answers must be the same."""
        real = one_by_one(self.real(slug, request))
        answer = self.core.handle(slug, request, self.now)
        assert answer == real, f"{slug}: {request}"
        self.sent.append((slug, request))
        match real:
            case uplink.Admission():
                self.admissions[slug] = real.admission
            case uplink.Lease():
                self.leases.append(real)
                self.heads[real.line] = (real.version, real.chain)
            case uplink.SavedBatch(results):
                for save, saved in zip(request.saves, results, strict=True):
                    if saved.refusal is None:
                        self.heads[save.line] = (saved.version, saved.chain)

    def real(self, slug: str, request: object) -> object:
        world = World.objects.get(slug=slug)
        lines = set(Line.objects.values_list("id", flat=True))
        before = set(self.forks().values_list("op_id", flat=True))
        try:
            answer = self.serve(world, request)
        except Refused as refused:
            return refused.refusal
        for fork in self.forks().exclude(op_id__in=before):
            self.ids += [fork.line_id, fork.op_id] if fork.line_id not in lines else [fork.op_id]
        return answer

    def forks(self):
        """Versions that the repository made by itself, in their order."""
        return Version.objects.filter(kind="fork").order_by("pk")

    def serve(self, world: World, request: object) -> object:
        match request:
            case uplink.Acquire():
                return acquire_lease(world=world, request=request, now=self.now)
            case uplink.Renew():
                return renew_leases(world=world, request=request, now=self.now)
            case uplink.SaveBatch(saves):
                incoming = [
                    IncomingSave(
                        **{
                            **msgspec.structs.asdict(save),
                            "state": msgspec.Raw(msgspec.json.encode(save.state, order="sorted")),
                        }
                    )
                    for save in saves
                ]
                return uplink.SavedBatch(save_batch(world=world, saves=incoming, now=self.now))
            case uplink.Release():
                return uplink.Released(release_lease(world=world, request=request, now=self.now))
            case uplink.Report():
                return receive_report(world=world, report=request, now=self.now)
        raise TypeError(request)

    def redeem(self) -> None:
        """Use a ticket, new or old; the core's are jtis, the real ones signed."""
        if self.rng.random() < 0.7 or not self.tickets:
            slug = self.rng.choice(sorted(TIERS))
            if self.core.worlds[slug].is_suspended or self.core.accounts[self.owner].is_banned:
                return  # no ticket is issued
            World.objects.filter(slug=slug).update(last_report_at=self.now)
            world = World.objects.get(slug=slug)
            token = issue_ticket(account=self.account, world=world, now=self.now).ticket
            jti = Ticket.objects.exclude(jti__in=list(self.core.tickets)).get().jti
            self.core.issue_ticket(account=self.owner, world=slug, jti=jti, now=self.now)
            self.core.accounts[self.owner].pseudonyms[slug] = pseudonym_of(self.account, world).value
            self.tickets.append((slug, token, str(jti)))
        slug, token, text = self.rng.choice(self.tickets[-3:])
        answer = self.core.handle(slug, uplink.Redeem(text), self.now)
        try:
            real: object = admit(
                world=World.objects.get(slug=slug), request=uplink.Redeem(token), now=self.now
            )
        except Refused as refused:
            real = refused.refusal
        if isinstance(real, uplink.Refusal) and isinstance(answer, uplink.Refusal):
            assert real.code == answer.code
            return
        assert answer == real
        self.admissions[slug], self.latest = real.admission, slug

    @property
    def owner(self) -> UUID:
        return next(iter(self.core.accounts))

    # ---------------------------------------------------------------- what may happen

    def step(self) -> None:
        """Do something."""
        deeds = (
            [self.save] * 8 + [self.acquire] * 4 + [self.redeem] * 3 + [self.renew, self.release] * 2
            + [self.again] * 3 + [self.wait, self.stand_otherwise, self.stand_otherwise, self.report]
        )  # fmt: skip
        self.rng.choice(deeds)()

    def wait(self) -> None:
        self.now += timedelta(seconds=self.rng.choice((1, 30, 61, 119, 121, 1000)))
        if self.rng.random() < 0.03:
            self.now += timedelta(hours=25)

    def new_id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)

    def acquire(self) -> None:
        slug = self.latest if self.rng.random() < 0.7 else self.rng.choice(sorted(TIERS))
        admission = self.admissions.get(self.rng.choice([slug, slug, slug, "aurora"]), self.new_id())
        characters = [*self.core.owners, self.new_id()]
        character = self.rng.choice(characters[:1] * 4 + characters)
        self.ask(slug, uplink.Acquire(admission, character, self.new_id(), self.rng.randrange(50)))

    def save(self) -> None:
        leases = [
            self.rng.choice(self.leases[-6:]) for _ in range(self.rng.choice((1, 1, 2, 3))) if self.leases
        ]
        if leases:
            saves = [self.a_save(lease) for lease in leases]
            if self.rng.random() < 0.1:
                saves.append(saves[0])
            self.ask(self.world_of(leases[-1]), uplink.SaveBatch(saves))

    def world_of(self, lease: uplink.Lease) -> str:
        holder = self.core.lines[lease.line].head.holder
        return (
            self.rng.choice([str(holder)] * 8 + sorted(TIERS)) if holder else self.rng.choice(sorted(TIERS))
        )

    def a_save(self, lease: uplink.Lease) -> uplink.Save:
        rng = self.rng
        version, chain = self.heads[lease.line]
        state = msgspec.structs.replace(lease.state, money=rng.randrange(1000), bags=self.bags_of(lease))
        if rng.random() < 0.04:
            state = msgspec.structs.replace(state, quests={f"quest-{n}": "x" * 60 for n in range(900)})
        elif rng.random() < 0.04:
            state = msgspec.structs.replace(state, bags={"bank": self.too_much()})
        return uplink.Save(
            line=lease.line if rng.random() < 0.95 else self.new_id(),
            epoch=lease.epoch,
            version=version + rng.choice((0,) * 12 + (1,)),
            prev_chain=chain if rng.random() < 0.95 else bytes(32),
            op_id=self.new_id(),
            kind=rng.choice(("periodic", "item", "logout")),
            state=state,
        )

    def too_much(self) -> list[Item]:
        """Return what no document may have."""
        if self.rng.random() < 0.5:
            return [Item("a\0", 1)]
        return [Item("seal", 1, self.new_id()) for _ in range(MAX_VALUABLES + 1)]

    def bags_of(self, lease: uplink.Lease) -> dict[str, list[Item]]:
        """Return the bags as they are, or with a thing more, less or otherwise: new, or somebody's."""
        rng = self.rng
        line, _ = self.core.held(lease.line, lease.epoch)
        bags = decode_state(line.state).bags if line is not None else {}
        if rng.random() < 0.6:
            return bags
        things = {item.id: item for bag in bags.values() for item in bag}
        if things and rng.random() < 0.3:
            del things[rng.choice(sorted(things))]
        elif things and rng.random() < 0.3:
            thing = rng.choice(sorted(things))
            things[thing] = Item("crown-of-gods", 1, thing)
        else:
            known = sorted({thing for owners in self.core.things.values() for thing in owners})
            thing = rng.choice(known) if known and rng.random() < 0.4 else self.new_id()
            things[thing] = Item("drowned-crown", 1, thing)
        return {"inventory": list(things.values())}

    def renew(self) -> None:
        if self.leases:
            lease = self.rng.choice(self.leases[-6:])
            self.ask(self.world_of(lease), uplink.Renew([uplink.LeaseRef(lease.line, lease.epoch)]))

    def release(self) -> None:
        if self.leases:
            lease = self.rng.choice(self.leases[-6:])
            self.ask(self.world_of(lease), uplink.Release(lease.line, lease.epoch))

    def again(self) -> None:
        """The same again, or with other content under the same op_id, or by another world."""
        if not self.sent:
            return
        slug, request = self.rng.choice(self.sent[-12:])
        if isinstance(request, uplink.SaveBatch) and self.rng.random() < 0.3:
            other = msgspec.structs.replace(request.saves[0], kind="quest")
            request = uplink.SaveBatch([other, *request.saves[1:]])
        self.ask(slug if self.rng.random() < 0.8 else self.rng.choice(sorted(TIERS)), request)

    def report(self) -> None:
        report = uplink.Report(gateway_url="ws://127.0.0.1:1/", started_at=self.now, clusters=[])
        self.ask(self.rng.choice(sorted(TIERS)), report)

    def stand_otherwise(self) -> None:
        """A world is suspended, or trusted otherwise; the account is banned or changes its edition."""
        slug, account = self.rng.choice(sorted(TIERS)), self.core.accounts[self.owner]
        world = self.core.worlds[slug]
        deed = self.rng.choice((0, 1, 2, 3, 4, 4))
        if account.is_banned:
            deed = 2
        elif any(one.is_suspended for one in self.core.worlds.values()):
            slug, world = next((k, v) for k, v in self.core.worlds.items() if v.is_suspended)
            deed = 0
        match deed:
            case 0:
                world.is_suspended = not world.is_suspended
                since = self.now if world.is_suspended else None
                World.objects.filter(slug=slug).update(suspended_at=since)
            case 1:
                world.tier = TIERS[slug] if world.tier != TIERS[slug] else "verified"
                World.objects.filter(slug=slug).update(tier=world.tier)
            case 2:
                account.is_banned = not account.is_banned
                until = self.now + timedelta(days=3650) if account.is_banned else None
                Account.objects.filter(pk=self.account.pk).update(banned_until=until)
                self.account.refresh_from_db()
            case 3:
                self.change_edition(account)
            case 4:
                world.is_limited = not world.is_limited
                World.objects.filter(slug=slug).update(limited_at=self.now if world.is_limited else None)

    def change_edition(self, account: core.Account) -> None:
        if account.edition is Edition.PREMIUM:
            Entitlement.objects.filter(account=self.account).delete()
            account.edition = Edition.FREE
        else:
            start = self.now - timedelta(days=1)
            Entitlement.objects.create(
                account=self.account, edition="premium", source="staff", reference="test", starts_at=start
            )
            account.edition = Edition.PREMIUM

    # ---------------------------------------------------------------- the comparison

    def check(self) -> None:
        """All rows are the core's."""
        lines = {line.id: line for line in Line.objects.filter(character__account=self.account)}
        assert set(lines) == set(self.core.lines)
        for line_id, line in lines.items():
            mine = self.core.lines[line_id]
            assert self.named(head_of(line)) == mine.head
            assert bytes(line.state) == mine.state
            rows = list(Version.objects.filter(line=line).order_by("version"))
            assert [self.plain(row) for row in rows] == self.core.versions_of(line_id)
            assert bytes(line.valuables) == packed(kinds_of(decode_state(mine.state)))
            assert (line.undecided_since is not None) == mine.is_undecided
        things = {
            (self.slugs.get(row.world_id), row.thing): Owner(row.line_id, row.letter_id)
            for row in Valuable.objects.all()
        }
        assert things == {
            (scope, thing): owner for scope, all_ in self.core.things.items() for thing, owner in all_.items()
        }
        gains = {
            (self.slugs[row.world_id], row.line_id, row.hour): budgets.Gain(
                row.xp, row.money, row.valuables, row.items
            )
            for row in Gain.objects.all()
        }
        assert gains == self.core.gains

    def named(self, head: Head) -> Head:
        values = {**vars(head), "owner": self.slugs.get(head.owner), "holder": self.slugs.get(head.holder)}
        return Head(**values)

    def plain(self, row: Version) -> core.Version:
        return core.Version(
            row.line_id, row.version, row.op_id, row.epoch, self.slugs.get(row.world_id), row.at, row.kind,
            bytes(row.prev_chain), bytes(row.chain), bytes(row.state_hash), bytes(row.state),
        )  # fmt: skip


def one_by_one(answer: object) -> object:
    """Return an answer with each receipt signed for itself: the services sign those of a batch at once."""
    if not isinstance(answer, uplink.SavedBatch):
        return answer
    keys = signing_keys(settings.CONFIG.signing_keys_dir)
    results = [
        msgspec.structs.replace(
            result, receipt=sign_receipt(keys.newest, check_receipt(result.receipt, keys.key_of))
        )
        if result.receipt
        else result
        for result in answer.results
    ]
    return uplink.SavedBatch(results)


@pytest.fixture
def make_twins(make_operator, alice):
    """Both repositories, with one account of three characters, Premium, then a fourth."""

    def make(seed: int) -> Twins:
        operators = {slug: make_operator(slug, tier=tier) for slug, tier in TIERS.items()}
        key = signing_keys(settings.CONFIG.signing_keys_dir).newest
        ids: list[UUID] = []
        mine = core.Repository(new_id=lambda: ids.pop(0), sign=lambda receipt: sign_receipt(key, receipt))
        for slug, tier in TIERS.items():
            mine.worlds[slug] = core.World(tier, limits=BUDGET)
            hour = {f"{name}_hour": most for name, most in vars(BUDGET.hour).items()}
            day = {f"{name}_day": most for name, most in vars(BUDGET.day).items()}
            WorldBudget.objects.create(world=operators[slug].world, **hour, **day)
        now = timezone.now()
        owner = UUID(int=1)
        mine.accounts[owner] = core.Account(edition=Edition.FREE)
        slugs = {operator.world.pk: slug for slug, operator in operators.items()}
        twins = Twins(Random(seed), operators, alice, mine, now, slugs, ids)
        twins.change_edition(mine.accounts[owner])
        for number, name in enumerate(NAMES):
            at = now + timedelta(milliseconds=number)
            character = create_character(account=alice, name=name, by=alice, now=at)
            line = Line.objects.get(character=character)
            ids += [line.id, line.versions.get().op_id]
            mine.create_character(account=owner, character=character.id, name=name, now=at)
        assert Character.objects.filter(account=alice).count() == len(NAMES)
        return twins

    return make


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(12))
def test_core_and_services_are_one_repository(make_twins, seed):
    twins = make_twins(seed)
    twins.redeem()
    twins.acquire()
    for number in range(MOST_STEPS):
        twins.step()
        if number % 5 == 4:
            twins.check()
        saved = len(twins.core.journal) - len(NAMES)
        if number >= STEPS and saved >= 3:
            return
    raise AssertionError(f"{saved} writes in {MOST_STEPS} steps: too few to compare")


@pytest.mark.django_db
def test_the_comparison_is_not_blind(make_twins):
    """A core that forgets one write is noticed."""
    twins = make_twins(1)
    line = next(iter(twins.core.lines.values()))
    line.state = encode_state(msgspec.structs.replace(decode_state(line.state), money=9))
    with pytest.raises(AssertionError):
        twins.check()
