"""Exchanges and mailboxes to the repository's core and to PostgreSQL: as in test_repository_core.

Good ones, such with something wrong in them, repeats, stolen ones; limits, budgets, trade stops, months that
pass. After each, both answers are the same; in the end all heads, versions, letters and owners are.
"""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from characters import core
from characters.core.letters import discard_letters as discard_in_core
from characters.core.letters import return_letters as return_in_core
from characters.exchanges import IncomingExchange, exchange
from characters.letters import discard_letters, goods_of, read_mailbox, return_letters
from characters.models import Letter, Line, TradeStop
from characters.saves import IncomingSave
from tests.integration.characters.test_repository_core import NAMES, TIERS, Twins, make_twins
from worlds.models import World
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Goods
from zonecluster.protocol.character import CharacterState, Item, decode_state

__all__ = ["make_twins"]
STEPS, ENOUGH = 90, 4
KINDS = ("gem", "rope", "bread")


class Traders(Twins):
    """Twins that trade and write letters most of the time."""

    exchanged = 0

    # ---------------------------------------------------------------- both at once

    def serve(self, world, request):
        match request:
            case uplink.Exchange(exchange_id, writes, post, take):
                raw = [
                    IncomingSave(
                        **{
                            **msgspec.structs.asdict(write),
                            "state": msgspec.Raw(msgspec.json.encode(write.state, order="sorted")),
                        }
                    )
                    for write in writes
                ]
                return exchange(
                    world=world, request=IncomingExchange(exchange_id, raw, post, take), now=self.now
                )
            case uplink.Mailbox():
                answer = read_mailbox(world=world, request=request, now=self.now)
                slugs = dict(World.objects.values_list("name", "slug"))  # the core knows no names of worlds
                letters = [
                    msgspec.structs.replace(letter, world=slugs[letter.world]) for letter in answer.letters
                ]
                return msgspec.structs.replace(answer, letters=letters)
        return super().serve(world, request)

    def ask(self, slug, request):
        super().ask(slug, request)
        if isinstance(request, uplink.Exchange):
            self.after_exchange(request)

    def after_exchange(self, request):
        for write in request.writes:
            found = self.core.journal.get(write.op_id)
            if found is not None and found.exchange == request.id:
                self.exchanged += 1
                fall = self.core.falls.get(write.op_id)
                is_named = fall is not None and fall.line == write.line
                version = fall.version + 1 if is_named else found.version
                head = self.core.named_head(write.line, write.epoch)
                if head is not None and head.version == version:
                    self.heads[write.line] = (head.version, head.chain)

    # ---------------------------------------------------------------- what may happen

    def step(self):
        deeds = (
            [self.trade] * 7 + [self.write_letter] * 5 + [self.take] * 6 + [self.look] * 3 + [self.earn] * 5
            + [self.acquire] * 5 + [self.redeem] * 2 + [self.again] * 4
            + [self.wait, self.release, self.report, self.months, self.stop, self.stand_otherwise]
        )  # fmt: skip
        self.rng.choice(deeds)()

    def acquire(self):
        """As its world wants, mostly: any of the characters, where the account is admitted."""
        admission = self.admissions.get(self.latest, self.new_id())
        character = self.rng.choice(list(self.core.owners))
        self.ask(self.latest, uplink.Acquire(admission, character, self.new_id(), self.rng.randrange(50)))

    def played(self):
        """The newest lease of each line that is held."""
        newest = {lease.line: lease for lease in self.leases}
        return [lease for lease in newest.values() if self.core.held(lease.line, lease.epoch)[0].head.holder]

    def holder(self, lease):
        holder = self.core.held(lease.line, lease.epoch)[0].head.holder
        return str(holder) if self.rng.random() < 0.97 else self.rng.choice(sorted(TIERS))

    def state_of(self, lease) -> CharacterState:
        return decode_state(self.core.held(lease.line, lease.epoch)[0].state)

    def earn(self):
        """Something to trade with: plain things, a gem of one's own, coins."""
        if not (leases := self.played()):
            return
        lease, rng = self.rng.choice(leases), self.rng
        state = self.state_of(lease)
        new = Item("gem", 1, self.new_id()) if rng.random() < 0.4 else Item(rng.choice(KINDS), 1)
        bag = [*state.bags.get("inventory", []), new][-8:]
        state = msgspec.structs.replace(state, bags={"inventory": bag}, money=state.money + rng.randrange(20))
        self.ask(self.holder(lease), uplink.SaveBatch([self.write(lease, state, "item")]))

    def write(self, lease, state, kind):
        version, chain = self.heads[lease.line]
        rng = self.rng
        return uplink.Save(
            line=lease.line,
            epoch=lease.epoch,
            version=version + (rng.random() < 0.02),
            prev_chain=chain if rng.random() < 0.98 else bytes(32),
            op_id=self.new_id(),
            kind=kind,
            state=state,
        )

    def split(self, state) -> tuple[CharacterState, Goods]:
        """Part a document from some of its goods."""
        rng, bag = self.rng, state.bags.get("inventory", [])
        goes = [item for item in bag if rng.random() < 0.4]
        money = rng.randrange(state.money + 1) if rng.random() < 0.7 else 0
        left = list(bag)
        for item in goes:
            left.remove(item)
        return msgspec.structs.replace(state, bags={"inventory": left}, money=state.money - money), Goods(
            goes, money
        )

    def join(self, state, goods) -> CharacterState:
        """Add goods to a document; now and then not quite these."""
        rng = self.rng
        items, money = list(goods.items), goods.money
        match rng.randrange(40):
            case 0:
                money += 1
            case 1:
                items.append(Item(rng.choice(KINDS), 1))
            case 2 if items:
                items.pop()
        bag = [*state.bags.get("inventory", []), *items]
        if rng.random() < 0.02:
            state = msgspec.structs.replace(state, skills={"mining": 1})
        return msgspec.structs.replace(state, bags={"inventory": bag}, money=state.money + money)

    def exchange_id(self):
        """A new one; seldom one that was there before."""
        known = [line.exchange for line in self.core.lines.values() if line.exchange is not None]
        return self.rng.choice(known) if known and self.rng.random() < 0.03 else self.new_id()

    def trade(self):
        leases = self.played()
        if len(leases) < 2:
            return
        one = self.rng.choice(leases)
        same = [each for each in leases if each is not one]
        near = [each for each in same if self.holder(each) == self.holder(one)]
        other = self.rng.choice(near or same)
        mine, gift = self.split(self.state_of(one))
        theirs, price = self.split(self.state_of(other))
        writes = [
            self.write(one, self.join(mine, price), "trade"),
            self.write(other, self.join(theirs, gift), "trade"),
        ]
        self.ask(self.holder(one), uplink.Exchange(self.exchange_id(), writes))

    def write_letter(self):
        if not (leases := self.played()):
            return
        rng, lease = self.rng, self.rng.choice(leases)
        left, goods = self.split(self.state_of(lease))
        if rng.random() < 0.3:
            goods = Goods()
        known = list(self.core.letters)
        letter = uplink.Letter(
            id=rng.choice(known) if known and rng.random() < 0.05 else self.new_id(),
            sender=uplink.LeaseRef(lease.line, lease.epoch),
            recipient=rng.choice([*NAMES, *NAMES, "Nobody"]),
            subject="Hello",
            goods=goods,
        )
        writes = [self.write(lease, self.join(left, Goods()), "mail")] if goods != Goods() else []
        self.ask(self.holder(lease), uplink.Exchange(self.exchange_id(), writes, post=letter))

    def take(self):
        if not (leases := self.played()) or not self.core.letters:
            return
        rng = self.rng
        letters = list(self.core.letters.values())
        full = [letter for letter in letters if letter.has_goods]
        letter = rng.choice(full if full and rng.random() < 0.9 else letters)
        his = [lease for lease in leases if lease.character == letter.recipient]
        lease = rng.choice(his if his and rng.random() < 0.9 else leases)
        state = self.join(self.state_of(lease), letter.goods)
        taking = uplink.Taking(
            letter.id if rng.random() < 0.97 else self.new_id(), uplink.LeaseRef(lease.line, lease.epoch)
        )
        request = uplink.Exchange(self.exchange_id(), [self.write(lease, state, "mail")], take=taking)
        self.ask(self.holder(lease), request)

    def look(self):
        if not (leases := self.played()):
            return
        lease = self.rng.choice(leases)
        throw = [letter for letter in self.core.letters if self.rng.random() < 0.1]
        self.ask(self.holder(lease), uplink.Mailbox(uplink.LeaseRef(lease.line, lease.epoch), throw))

    def months(self):
        """Weeks pass, and the tasks run."""
        if self.rng.random() < 0.5:
            self.now += timedelta(days=self.rng.choice((20, 35, 95)))
        for real, mine in ((return_letters, return_in_core), (discard_letters, discard_in_core)):
            assert real(now=self.now) == mine(self.core, self.now)

    def stop(self):
        """The staff stops trade of something somewhere, or takes that back."""
        if self.core.stops:
            TradeStop.objects.all().delete()
            self.core.stops.clear()
            return
        slug = self.rng.choice([None, *sorted(TIERS)])
        kind = self.rng.choice(["", "gem", "rope"])
        world = World.objects.get(slug=slug) if slug else None
        TradeStop.objects.create(world=world, item_kind=kind, reason="test")
        self.core.stops.add((slug, kind))

    # ---------------------------------------------------------------- the comparison

    def check(self):
        super().check()
        rows = {row.id: self.plain_letter(row) for row in Letter.objects.all()}
        assert rows == self.core.letters
        exchanges = dict(Line.objects.values_list("id", "exchange"))
        assert exchanges == {line.id: line.exchange for line in self.core.lines.values()}

    def plain(self, row):
        return replace(super().plain(row), exchange=row.exchange, letter=row.letter)

    def plain_letter(self, row):
        return core.Letter(
            row.id, self.slugs.get(row.world_id), row.sender_id, row.recipient_id,
            self.slugs[row.posted_by_id], row.subject, row.text, goods_of(row), row.posted_at,
            bytes(row.digest), row.exchange, row.taken_at, row.taken_exchange, row.returned_at, row.read_at,
            row.discarded_at,
        )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(8))
def test_core_and_services_exchange_alike(make_twins, seed):
    twins = make_twins(seed)
    traders = Traders(**vars(twins))
    traders.redeem()
    for _ in range(4):
        traders.acquire()
    for number in range(4 * STEPS):
        traders.step()
        if number % 8 == 7:
            traders.check()
        if number >= STEPS and traders.exchanged >= ENOUGH:
            traders.check()
            return
    raise AssertionError(f"{traders.exchanged} exchanged in {4 * STEPS} steps: too few to compare")
