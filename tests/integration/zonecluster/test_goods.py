"""Buying, selling, looting, laying down and picking up as commands of players, over the bus."""

import asyncio
from uuid import UUID, uuid4

import msgspec
import pytest

from tests.zone_cluster import HARBOUR, ClusterUnderTest
from worlds.models import ItemKind, Zone
from zonecluster.daemon.cluster import COMMIT_TICKS
from zonecluster.daemon.goods import MAX_NEWS, MAX_SHOWN
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Item
from zonecluster.protocol.from_client import (
    Buy,
    Drop,
    Equip,
    Inventory,
    Loot,
    Merge,
    Move,
    PickUp,
    Sell,
    Split,
    Unequip,
    Wares,
    json_decoder,
)
from zonecluster.protocol.to_client import (
    InventoryIs,
    NearbyEntity,
    Offered,
    Result,
    Stack,
    Surroundings,
    WaresAre,
)
from zonecluster.simulation.instance import Stand
from zonecluster.simulation.tables import ITEM

CROWN = UUID(int=7)
RICH = CharacterState(money=100)


@pytest.fixture
def world(world):
    """The world with a vendor and a chest beside the entry of its harbour."""
    for slug, fields in {
        "bread": {"stack_size": 20, "value": 2, "weight": 0.5},
        "cap": {"slot": "head"},
        "crown": {"slot": "head", "is_valuable": True},
    }.items():
        ItemKind.objects.create(world=world, slug=slug, name=slug.title(), **fields)
    marta = {
        "slug": "marta",
        "name": "Marta",
        "place": [101.0, 101.0, 0.0],
        "wares": [["bread", 3, 1], ["crown", 50, 40], ["cap", 0, 2]],
    }
    crate = {
        "slug": "crate",
        "name": "Crate",
        "place": [99.0, 100.0],
        "refill_s": 60,
        "coins": [5, 5],
        "loot": [["bread", 1.0, 2, 2], ["crown", 1.0, 1, 1]],
    }
    Zone.objects.filter(world=world, slug="harbour").update(vendors=[marta], chests=[crate])
    return world


class Dealer:
    """A player, and what it is told."""

    def __init__(
        self,
        cluster: ClusterUnderTest,
        name: str,
        state: CharacterState,
        link: int,
        instance: int = HARBOUR,
    ) -> None:
        self.cluster, self.link = cluster, link
        self.session = cluster.admit(name, instance, link=link, state=state).session
        self.seq = 0

    @property
    def player(self):
        return self.cluster.player(self.session)

    def send(self, kind: type, *fields, **named) -> int:
        """Give a command, and let a tick run; returns its seq."""
        self.seq += 1
        self.cluster.do(bus.SessionCommand(self.session, kind(self.seq, *fields, **named)))
        self.cluster.tick()
        return self.seq

    def answers(self, seq: int) -> list[Result]:
        return [m for m in self.cluster.to_gateway(Result, self.link) if m.seq == seq]

    def checkpoints(self) -> list[bus.Checkpoint]:
        return [m for m in self.cluster.to_daemon(bus.Checkpoint) if m.session == self.session]

    def journal(self) -> None:
        """Let the newest document go out, and the daemon say that it is on the disk."""
        for _ in range(COMMIT_TICKS):
            self.cluster.tick()
        self.cluster.do(bus.Journaled(self.session, self.player.serial, self.player.stay))

    def accept(self) -> None:
        """Have the master accept the newest document."""
        self.cluster.do(bus.Saved(self.session, self.player.serial, self.player.stay))

    def done(self, kind: type, *fields, **named) -> str:
        """Give a command that is done; returns what is told once it is durable, and not before."""
        seq = self.send(kind, *fields, **named)
        assert self.answers(seq) == [], "nothing is told before it is durable"
        self.journal()
        (answer,) = self.answers(seq)
        assert answer.ok and not answer.code
        return answer.text

    def refused(self, kind: type, *fields, **named) -> str:
        """Give a command that is refused at once, and changes nothing; returns the code."""
        before = self.player.state
        (answer,) = self.answers(self.send(kind, *fields, **named))
        assert not answer.ok and answer.text and self.player.state is before
        return answer.code

    def look(self, kind: int) -> list[int]:
        """Return the entity ids of a kind that the player sees."""
        return [s.entity for s in self.player.instance.nearby(self.player.row) if s.kind == kind]

    @property
    def vendor(self) -> int:
        return int(self.player.instance.tables.entity[next(iter(self.player.instance.goods.vendors))])

    @property
    def chest(self) -> int:
        return int(self.player.instance.tables.entity[next(iter(self.player.instance.goods.chests))])

    def walk_off(self) -> None:
        self.player.instance.place(self.player.row, Stand((50.0, 50.0, 0.0), 0.0))


@pytest.fixture
def alice(cluster: ClusterUnderTest) -> Dealer:
    return Dealer(cluster, "Alice", RICH, 1)


def test_buying_selling_and_what_one_has(cluster: ClusterUnderTest, alice: Dealer) -> None:
    alice.send(Wares, alice.vendor)
    (wares,) = cluster.to_gateway(WaresAre, 1)
    assert wares.vendor == "Marta" and wares.wares[0] == Offered("bread", "Bread", 3, 1)
    assert alice.done(Buy, alice.vendor, "bread", 3) == "You buy 3 × Bread for 9 coins."
    assert alice.done(Buy, alice.vendor, "crown") == "You buy Crown for 50 coins."
    assert alice.done(Sell, alice.vendor, "bread", 1) == "You sell Bread for 1 coins."
    alice.send(Inventory)
    (found,) = cluster.to_gateway(InventoryIs, 1)
    bread, crown = found.bags[0].stacks
    assert (found.money, found.more, found.bags[0].name, found.bags[0].capacity) == (42, 0, "inventory", 24)
    assert bread == Stack("bread", "Bread", 2, None, "", 2, 0.5) and crown.id is not None
    newest = alice.checkpoints()[-1]
    assert newest.kind == "item" and newest.state.money == 42
    assert [item.kind for item in newest.state.bags["inventory"]] == ["bread", "crown"]


def test_the_surroundings_tell_what_there_is(cluster: ClusterUnderTest, alice: Dealer) -> None:
    cluster.do(bus.SessionCommand(alice.session, json_decoder.decode(b'{"type":"look","seq":1}')))
    cluster.tick()
    nearby = cluster.to_gateway(Surroundings, 1)[0].nearby
    assert NearbyEntity(alice.vendor, "Marta", "vendor", 1.4) in nearby
    assert NearbyEntity(alice.chest, "Crate", "chest", 1.0) in nearby


def test_a_chest_is_emptied_once(cluster: ClusterUnderTest, alice: Dealer) -> None:
    bob = Dealer(cluster, "Bob", CharacterState(), 2)
    assert alice.done(Loot, alice.chest) == "You take 5 coins, 2 × Bread, Crown."
    assert bob.refused(Loot, bob.chest) == "nothing_there"
    cluster.cluster.tables.tick += round(60 / 0.05)
    assert "Crown" in bob.done(Loot, bob.chest)
    crowns = [item.id for each in (alice, bob) for item in each.player.state.bags["inventory"] if item.id]
    assert len(set(crowns)) == 2


def test_chests_of_an_instance_that_ran_before_begin_empty(cluster: ClusterUnderTest) -> None:
    asyncio.run(cluster.service.open_instance(bus.OpenInstance(99, "harbour", is_again=True)))
    bob = Dealer(cluster, "Bob", CharacterState(), 2, 99)
    assert bob.refused(Loot, bob.chest) == "nothing_there"
    cluster.cluster.tables.tick += round(60 / 0.05)
    assert "Crown" in bob.done(Loot, bob.chest)


def test_changes_go_to_be_saved_together(cluster: ClusterUnderTest, alice: Dealer) -> None:
    seqs = [alice.send(Buy, alice.vendor, "bread") for _ in range(6)]
    assert len(alice.checkpoints()) == 2, "at once, and a quarter of a second later"
    alice.journal()
    assert [len(alice.answers(seq)) for seq in seqs] == [1] * 6
    assert alice.checkpoints()[-1].state.money == 82


def test_an_earlier_document_tells_only_of_what_was_before(cluster: ClusterUnderTest, alice: Dealer) -> None:
    first = alice.send(Buy, alice.vendor, "bread")
    serial = alice.player.serial
    second = alice.send(Buy, alice.vendor, "bread")
    cluster.do(bus.Journaled(alice.session, serial, alice.player.stay))
    assert alice.answers(first) and not alice.answers(second)


def test_what_lies_on_the_ground_has_left_its_owner(cluster: ClusterUnderTest, alice: Dealer) -> None:
    """It is there once the master has the document without it; who takes it is told when that is durable."""
    bob = Dealer(cluster, "Bob", CharacterState(), 2)
    alice.done(Buy, alice.vendor, "bread", 5)
    assert alice.done(Drop, "bread", 3) == "You lay down 3 × Bread."
    assert alice.look(ITEM) == bob.look(ITEM) == [], "journaled is not enough: that write may be refused yet"
    alice.accept()
    (laid,) = bob.look(ITEM)
    assert alice.checkpoints()[-1].state.bags["inventory"] == [Item("bread", 2)]
    seq = bob.send(PickUp, laid)
    assert bob.look(ITEM) == [] and bob.answers(seq) == []
    assert alice.refused(PickUp, laid) == "nothing_there"
    bob.journal()
    assert bob.answers(seq)[0].text == "You pick up 3 × Bread."
    assert bob.player.state.bags["inventory"] == [Item("bread", 3)]


def test_what_a_fork_lays_down_no_character_of_main_picks_up(
    cluster: ClusterUnderTest, alice: Dealer
) -> None:
    """The very write that has laid it down may have fallen to the fork: what counts is where it is now."""
    bob, mallory = (
        Dealer(cluster, "Bob", CharacterState(), 2),
        Dealer(cluster, "Mallory", CharacterState(), 3),
    )
    cluster.do(bus.LineIs(mallory.session, "fork"))
    alice.done(Buy, alice.vendor, "bread", 5)
    alice.done(Drop, "bread", 3)
    cluster.do(bus.Saved(alice.session, alice.player.serial, alice.player.stay, "fork"))
    (laid,) = bob.look(ITEM)
    assert bob.refused(PickUp, laid) == "other_line" and bob.look(ITEM) == [laid]
    assert mallory.done(PickUp, laid) == "You pick up 3 × Bread."
    assert mallory.done(Loot, mallory.chest) and mallory.done(Sell, mallory.vendor, "bread")


def test_a_character_whose_trade_is_written_down_changes_nothing(
    cluster: ClusterUnderTest, alice: Dealer
) -> None:
    seq = alice.send(Buy, alice.vendor, "bread")
    exchange = uuid4()
    hold = bus.Hold(alice.session, exchange, alice.player.stay, cluster.next_order())
    cluster.do(hold, hold)
    first, again = cluster.to_daemon(bus.Held)
    assert first == again and first.state.bags["inventory"] == [Item("bread", 1)]
    for kind, fields in (
        (Buy, (alice.vendor, "bread")),
        (Loot, (alice.chest,)),
        (Drop, ("bread",)),
        (Move, ("inventory", "bank", "bread")),
    ):
        assert alice.refused(kind, *fields) == "trading"
    alice.send(Inventory)
    assert cluster.to_gateway(InventoryIs, 1)[0].money == 97
    left = msgspec.structs.replace(first.state, money=3)
    stay, order = alice.player.stay, cluster.next_order()
    cluster.do(bus.Settle(alice.session, stay, exchange, left, "Bob has it.", order))
    assert alice.answers(seq)[0].ok and alice.player.state.money == 3
    assert alice.done(Drop, "bread")
    assert alice.checkpoints()[-1].after == exchange


def test_what_is_laid_down_by_somebody_who_is_dropped_is_never_there(
    cluster: ClusterUnderTest, alice: Dealer
) -> None:
    bob = Dealer(cluster, "Bob", CharacterState(), 2)
    alice.done(Buy, alice.vendor, "bread", 5)
    alice.send(Drop, "bread", 3)
    serial, stay = alice.player.serial, alice.player.stay
    cluster.do(bus.Remove(alice.session, 0, cluster.next_order()))
    cluster.do(bus.Saved(alice.session, serial, stay))
    assert bob.look(ITEM) == []


def test_a_full_bag_leaves_it_where_it_is(cluster: ClusterUnderTest, alice: Dealer) -> None:
    full = CharacterState(bags={"inventory": [Item("cap")] * 24})
    bob = Dealer(cluster, "Bob", full, 2)
    alice.done(Buy, alice.vendor, "bread", 1)
    alice.done(Drop, "bread")
    alice.accept()
    (laid,) = bob.look(ITEM)
    assert bob.refused(PickUp, laid) == "bag_full" and bob.look(ITEM) == [laid]
    assert bob.done(Loot, bob.chest) == "You take 5 coins. There is more than you have room for."
    assert bob.refused(Loot, bob.chest) == "bag_full"


def test_wearing_banking_splitting_and_merging(cluster: ClusterUnderTest, alice: Dealer) -> None:
    worn = CharacterState(bags={"inventory": [Item("cap"), Item("crown", 1, CROWN), Item("bread", 8)]})
    bob = Dealer(cluster, "Bob", worn, 2)
    assert bob.done(Equip, "cap") == "You put on Cap."
    assert bob.done(Equip, "crown", CROWN) == "You put on Crown."
    assert bob.done(Unequip, "head") == "You take off what you wore: head."
    assert bob.done(Split, "inventory", 0, 3) == "You make two stacks of it."
    assert bob.done(Merge, "inventory", 1, 0) == "You put the stacks together."
    assert bob.done(Move, "inventory", "bank", "bread", 5) == "You put 5 × Bread into: bank."
    bags = {name: sorted(item.kind for item in items) for name, items in bob.player.state.bags.items()}
    assert bags == {"inventory": ["bread", "cap", "crown"], "bank": ["bread"]}


@pytest.mark.parametrize(
    ("code", "kind", "fields"),
    [
        ("nothing_there", Buy, (2**32 - 1, "bread")),
        ("nothing_there", Loot, (0,)),
        ("nothing_there", PickUp, (1,)),
        ("nothing_there", Wares, (0,)),
        ("not_there", Drop, ("bread", 1)),
        ("not_there", Equip, ("cap",)),
        ("not_there", Equip, ("crown", CROWN)),
        ("not_there", Unequip, ("head",)),
        ("not_there", Split, ("inventory", 0, 1)),
        ("not_there", Merge, ("inventory", 0, 1)),
        ("unknown_slot", Unequip, ("tail",)),
        ("unknown_kind", Drop, ("ghost",)),
        ("unknown_kind", Equip, ("ghost",)),
        ("unknown_bag", Move, ("inventory", "pocket", "bread")),
        ("unknown_bag", Move, ("worn:head", "inventory", "cap")),
        ("not_wearable", Equip, ("bread",)),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(alice: Dealer, code: str, kind: type, fields: tuple) -> None:
    assert alice.refused(kind, *fields) == code


def test_what_a_vendor_does_not_do(cluster: ClusterUnderTest, alice: Dealer) -> None:
    assert alice.refused(Buy, alice.vendor, "cap") == "not_for_sale"
    assert alice.refused(Buy, alice.vendor, "ghost") == "unknown_kind"
    assert alice.refused(Buy, alice.vendor, "bread", 34) == "not_enough_money"
    assert alice.refused(Buy, alice.vendor, "bread", 1_000_000) == "too_much"
    assert alice.refused(Sell, alice.vendor, "bread") == "not_there"
    assert alice.refused(Buy, alice.chest, "bread") == "nothing_there"
    alice.walk_off()
    assert alice.refused(Buy, alice.vendor, "bread") == "out_of_reach"
    assert alice.refused(Loot, alice.chest) == "out_of_reach"
    assert alice.checkpoints() == []


def test_valuables_are_not_left_lying_about(cluster: ClusterUnderTest, alice: Dealer) -> None:
    alice.done(Buy, alice.vendor, "crown")
    assert alice.refused(Drop, "crown") == "is_valuable"
    crown = alice.player.state.bags["inventory"][0].id
    assert alice.refused(Sell, alice.vendor, "crown", 1, uuid4()) == "not_there"
    assert alice.refused(Sell, alice.vendor, "crown") == "not_there"
    assert alice.done(Sell, alice.vendor, "crown", 1, crown) == "You sell Crown for 40 coins."


def test_a_withheld_character_gains_and_gives_nothing(cluster: ClusterUnderTest, alice: Dealer) -> None:
    cluster.do(bus.Withhold(alice.session, True))
    for kind, fields in (
        (Buy, (alice.vendor, "bread")),
        (Loot, (alice.chest,)),
        (Drop, ("bread",)),
        (Move, ("inventory", "bank", "bread")),
    ):
        assert alice.refused(kind, *fields) == "withheld"
    alice.send(Inventory)
    assert cluster.to_gateway(InventoryIs, 1)[0].money == 100
    cluster.do(bus.Withhold(alice.session, False))
    assert alice.done(Loot, alice.chest)


def test_a_frozen_character_changes_nothing(cluster: ClusterUnderTest, alice: Dealer) -> None:
    alice.send(Buy, alice.vendor, "bread")
    frozen = cluster.freeze(alice.session)
    before = len(alice.checkpoints())
    alice.send(Buy, alice.vendor, "bread")
    alice.journal()
    assert alice.player.state.money == frozen.state.money == 97
    assert len(alice.checkpoints()) == before, "what a frozen player has is in the answer to Freeze"
    assert alice.answers(1)[0].ok, "and durable with it"


def test_who_does_not_wait_for_the_disk(cluster: ClusterUnderTest, alice: Dealer) -> None:
    for _ in range(MAX_NEWS):
        alice.send(Buy, alice.vendor, "bread", 1) if alice.player.state.money >= 3 else alice.send(
            Sell, alice.vendor, "bread", 1
        )
    assert alice.refused(Buy, alice.vendor, "bread") == "too_many_changes"
    alice.journal()
    assert alice.done(Sell, alice.vendor, "bread")


def test_a_document_of_another_world_is_shown_and_kept(cluster: ClusterUnderTest) -> None:
    hostile = CharacterState(
        bags={
            "inventory": [Item("ghost", 7), Item("bread", 900_000)],
            "pocket": [Item("dust", 1)] * 500,
            "worn:head": [Item("cap"), Item("cap"), Item("crown", 1, CROWN)],
        }
    )
    mallory = Dealer(cluster, "Mallory", hostile, 3)
    mallory.send(Inventory)
    (found,) = cluster.to_gateway(InventoryIs, 3)
    assert sum(len(bag.stacks) for bag in found.bags) == MAX_SHOWN and found.more == 505 - MAX_SHOWN
    assert found.bags[0].stacks[0] == Stack("ghost", "ghost", 7, is_known=False)
    assert len(msgspec.json.encode(found)) < 2**16
    assert mallory.refused(Drop, "ghost", 1) == "unknown_kind"
    assert mallory.refused(Drop, "dust", 1) == "unknown_kind"
    mallory.done(Unequip, "head")
    mallory.done(Move, "inventory", "bank", "ghost", 2)
    state = mallory.player.state
    assert state.bags["bank"] == [Item("ghost", 2)] and len(state.bags["pocket"]) == 500


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"buy","seq":1,"entity":1,"kind":"bread","count":-1}',
        '{"type":"buy","seq":1,"entity":1,"kind":"bread","count":0}',
        '{"type":"sell","seq":1,"entity":1,"kind":"bread","count":1000001}',
        '{"type":"drop","seq":1,"kind":"","count":1}',
        '{"type":"drop","seq":1,"kind":"bread","count":1.5}',
        '{"type":"equip","seq":1,"kind":"crown","id":"7"}',
        '{"type":"split","seq":1,"bag":"inventory","position":-1,"count":1}',
        '{"type":"move","seq":1,"source":"inventory","target":"bank","kind":"bread","count":"1"}',
    ],
)
def test_amounts_that_are_none_do_not_get_through_the_gateway(frame: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        json_decoder.decode(frame)
