"""Letters after a restore from an old backup: in whatever order worlds offer, goods are there once."""

from datetime import timedelta
from itertools import permutations
from uuid import UUID, uuid4

import msgspec
import pytest
from django.db import connection

from characters.collecting import begin_restore
from characters.exchanges import IncomingExchange, exchange
from characters.invariants import INVARIANTS, check_invariants
from characters.letters import read_mailbox
from characters.models import Letter, Line, Valuable, ValuableEvent, Version
from characters.reoffers import IncomingOffer, IncomingReoffer, take_reoffer
from characters.saves import save_batch
from characters.services import create_character
from worlds.uplink import messages
from worlds.uplink.messages import Goods
from zonecluster.protocol.character import Item, decode_state, encode_state

pytestmark = pytest.mark.django_db
GEM = Item("gem", 1, UUID(int=7))
GOODS = Goods([GEM, Item("rope", 3)], 10)
RICH = {"bags": {"inventory": GOODS.items}, "money": 10}
POOR = {"bags": {}, "money": 0}


class Held:
    """A character in play, and what its world holds of it."""

    def __init__(self, operator, account, character, now):
        self.world = operator.world
        self.lease = operator.acquire(character, operator.admit(account, now), now)
        self.version, self.chain = self.lease.version, self.lease.chain
        self.offers = []

    @property
    def ref(self):
        return messages.LeaseRef(self.lease.line, self.lease.epoch)

    def write(self, make_save, kind, **changes):
        state = encode_state(msgspec.structs.replace(self.lease.state, **changes))
        return make_save(self.lease, state=state, version=self.version, prev_chain=self.chain, kind=kind)

    def took(self, write, saved):
        assert saved.refusal is None
        self.version, self.chain = saved.version, saved.chain
        self.offers.append(IncomingOffer(saved.receipt, write.kind, write.state))


@pytest.fixture
def two(aurora, borealis, alice, make_account, hero, make_save, now):
    """Rowan in aurora has a gem, 3 ropes and 10 coins; Sorrel in borealis has nothing."""
    bob = make_account("bob")
    friend = create_character(account=bob, name="Sorrel", by=bob, now=now)
    rowan, sorrel = Held(aurora, alice, hero, now), Held(borealis, bob, friend, now)
    write = rowan.write(make_save, "item", **RICH)
    rowan.took(write, save_batch(world=aurora.world, saves=[write], now=now)[0])
    rowan.offers.clear()  # this one is in the backup
    return rowan, sorrel


def post(rowan, make_save, now):
    write = rowan.write(make_save, "mail", **POOR)
    letter = messages.Letter(uuid4(), rowan.ref, "Sorrel", "Hello", "Words.", GOODS)
    request = IncomingExchange(uuid4(), [write], post=letter)
    rowan.took(write, exchange(world=rowan.world, request=request, now=now).results[0])
    return request


def take(taker, letter, make_save, now):
    write = taker.write(make_save, "mail", **RICH)
    request = IncomingExchange(uuid4(), [write], take=messages.Taking(letter, taker.ref))
    taker.took(write, exchange(world=taker.world, request=request, now=now).results[0])


def go_back(players, *, with_letters):
    """Bring all rows to where a backup had them: before the letter was posted, or before it was taken."""
    for player in players:
        kept = player.version - len(player.offers)
        Version.objects.filter(line=player.lease.line, version__gt=kept).delete()
        row = Version.objects.get(line=player.lease.line, version=kept)
        Line.objects.filter(id=player.lease.line).update(
            version=kept, chain=row.chain, state_hash=row.state_hash, state=row.state, exchange=row.exchange,
            holder=None, lease_until=None, acquire_op_id=None,
        )  # fmt: skip
    ValuableEvent.objects.all().delete()
    Valuable.objects.all().delete()  # counted again at the end of a restore
    Letter.objects.update(taken_at=None, taken_exchange=None)
    if not with_letters:
        Letter.objects.all().delete()


def offer(player, now, *, is_last=True):
    return take_reoffer(
        world=player.world, request=IncomingReoffer(2, player.offers, is_last=is_last), now=now
    )


def coins_and_things():
    """How much there is of everything, in documents and in letters that wait."""
    states = [decode_state(bytes(line.state)) for line in Line.objects.filter(world=None)]
    letters = Letter.objects.filter(taken_at=None)
    items = [item for state in states for bag in state.bags.values() for item in bag]
    items += [msgspec.convert(item, Item) for letter in letters for item in letter.items]
    money = sum(state.money for state in states) + sum(letter.money for letter in letters)
    return money, sorted(items, key=lambda item: item.kind)


WHOLE = (10, [GEM, Item("rope", 3)])


@pytest.mark.parametrize("with_letters", [True, False], ids=["backup has the letter", "backup is older"])
@pytest.mark.parametrize("order", list(permutations((0, 1))))
def test_goods_are_there_once_in_whatever_order_worlds_offer(two, make_save, now, with_letters, order):
    rowan, sorrel = two
    letter = post(rowan, make_save, now).post.id
    if with_letters:
        rowan.offers.clear()
    later = now + timedelta(seconds=1)
    take(sorrel, letter, make_save, later)
    go_back(two, with_letters=with_letters)
    begin_restore(reason="test", now=later)
    for each in order:
        offer(two[each], now, is_last=False)
        offer(two[each], now)  # offering twice changes nothing
    row = Letter.objects.get()
    assert (row.id, row.taken_at, row.recipient_id) == (letter, later, sorrel.lease.character)
    assert row.posted_at == now
    assert row.sender_id == rowan.lease.character
    assert coins_and_things() == WHOLE
    assert Valuable.objects.get(thing=GEM.id, world=None).line_id == sorrel.lease.line
    with connection.cursor() as cursor:
        assert check_invariants(cursor, INVARIANTS) == []


def test_goods_in_a_letter_that_nobody_took_go_back_to_the_sender(two, make_save, now):
    rowan, sorrel = two
    request = post(rowan, make_save, now)
    go_back(two, with_letters=False)
    begin_restore(reason="test", now=now)
    offer(rowan, now)
    offer(sorrel, now)
    assert coins_and_things() == WHOLE
    (letter,) = read_mailbox(world=rowan.world, request=messages.Mailbox(rowan.ref), now=now).letters
    assert (letter.id, letter.is_returned, letter.is_new) == (request.post.id, True, True)
    assert (letter.goods.money, sorted(item.kind for item in letter.goods.items)) == (10, ["gem", "rope"])
    assert Valuable.objects.get(thing=GEM.id, world=None).letter_id == letter.id
    again = exchange(world=rowan.world, request=request, now=now)
    assert again.results[0].version == rowan.version, "asked for again, it was accepted"
    take(rowan, letter.id, make_save, now)
    assert coins_and_things() == WHOLE
    with connection.cursor() as cursor:
        assert check_invariants(cursor, INVARIANTS) == []
