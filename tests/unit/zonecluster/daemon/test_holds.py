"""While an exchange is written down nothing durable changes; afterwards the document is the master's."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.unit.zonecluster.daemon.test_requests import INSTANCES, SESSIONS, admit
from tests.unit.zonecluster.daemon.test_withhold import Zone
from zonecluster.daemon.announce import announce
from zonecluster.protocol import bus
from zonecluster.protocol.character import Item
from zonecluster.protocol.from_client import Move, Unequip
from zonecluster.protocol.to_client import Notice, Result

ALICE = SESSIONS[0]
FIRST, SECOND = UUID(int=71), UUID(int=72)
WORLD = "demo"


class Trading(Zone):
    """A cluster with Alice in it; orders are numbered by themselves."""

    order = 10

    def next_order(self) -> int:
        self.order += 1
        return self.order

    def hold(self, exchange: UUID, stay: int = 5) -> list[bus.Held]:
        self.hear(bus.Hold(ALICE, exchange, stay, self.next_order()))
        return self.said(bus.Held)

    def settle(self, after: UUID | None, money: int | None = None, text: str = "", stay: int = 5) -> None:
        state = None if money is None else replace(self.player.state, money=money)
        self.hear(bus.Settle(ALICE, stay, after, state, text, self.next_order()))

    def told(self) -> list:
        return [each.message for each in self.said(bus.ToLinks)]

    def resident(self) -> bus.Resident:
        announce(self.cluster)
        (residents,) = self.said(bus.Residents)
        return residents.residents[0]

    def gain(self, money: int, seq: int = 1) -> None:
        """Have Alice gain coins, to be told once they are durable."""
        state = replace(self.player.state, money=money)
        self.cluster.change(self.player, state, Result(seq, True, "Coins."))

    def command(self, command: object) -> None:
        self.queues.put(ALICE, command)
        self.queues.run()


@pytest.fixture
def zone() -> Trading:
    """Alice has not reached the zone yet: what she discovers there is a test of its own."""
    found = Trading()
    found.player.client_id = None
    return found


def test_a_hold_tells_the_document_and_again_the_same(zone: Trading) -> None:
    zone.gain(30)
    zone.walk(12)
    (held,) = zone.hold(FIRST)
    assert (held.exchange, held.serial, held.stay, held.after) == (FIRST, zone.player.serial, 5, None)
    assert held.state.money == 30 and held.state.attributes["metres_walked"] == 12
    zone.walk(100)
    assert zone.hold(FIRST) == [held]
    zone.cluster.save_changes()
    assert zone.said(bus.Checkpoint) == [], "what changed is in the answer"
    resident = zone.resident()
    assert (resident.held, resident.after, resident.is_dirty) == (FIRST, None, True)


def test_what_was_held_and_not_taken_is_saved_soon(zone: Trading) -> None:
    """The exchange was over before the daemon had it: what was bought is not left to the next 30 s."""
    zone.gain(30)
    zone.hold(FIRST)
    zone.settle(None)
    zone.cluster.save_changes()
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.state.money == 30 and checkpoint.serial > 1


def test_what_was_held_and_taken_is_not_saved_again(zone: Trading) -> None:
    zone.gain(30)
    (held,) = zone.hold(FIRST)
    zone.hear(bus.Saved(ALICE, held.serial, held.stay))
    zone.settle(None)
    zone.cluster.save_changes()
    assert zone.said(bus.Checkpoint) == []


def test_nothing_durable_changes_while_it_is_held(zone: Trading) -> None:
    before, zone.player.client_id = zone.player.state, 1
    zone.hold(FIRST)
    zone.cluster.record_arrival(zone.player)
    zone.walk(500)
    assert not zone.player.is_dirty, "what is walked is not to be saved yet"
    zone.hear(bus.TakeCheckpoint(ALICE), bus.Freeze(ALICE, FIRST, 0, zone.next_order()))
    checkpoint, frozen = zone.said(bus.Checkpoint, bus.Frozen)
    for state in (checkpoint.state, frozen.state):
        assert replace(state, places={}) == before
    zone.player.instance.thaw(zone.player.row)
    for command in (Move(8, "inventory", "bank", "apple"), Unequip(9, "head")):
        zone.command(command)
        (answer,) = zone.told()
        assert (answer.seq, answer.ok, answer.code) == (command.seq, False, "trading")
    assert zone.player.state is before


def test_metres_walked_meanwhile_count_afterwards(zone: Trading) -> None:
    zone.hold(FIRST)
    zone.walk(40)
    zone.settle(None)
    zone.hear(bus.TakeCheckpoint(ALICE))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.state.attributes["metres_walked"] == 40


def test_metres_of_a_hold_in_which_the_character_was_withheld(zone: Trading) -> None:
    """What was walked before and after it counts, also if all of it was during a hold."""
    zone.hold(FIRST)
    zone.walk(40)
    zone.hear(bus.Withhold(ALICE, True))
    zone.walk(500)
    zone.hear(bus.Withhold(ALICE, False))
    zone.walk(3)
    zone.settle(None)
    zone.hear(bus.TakeCheckpoint(ALICE))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.state.attributes["metres_walked"] == 43


def test_an_exchange_that_was_accepted_leaves_the_masters_document(zone: Trading) -> None:
    zone.walk(20)
    zone.hold(FIRST)
    zone.cluster.tables.position[zone.player.row] = 7, 8, 0
    zone.settle(FIRST, money=99, text="Done.")
    assert zone.told() == [Notice("Done.")]
    assert zone.player.state.money == 99 and not zone.player.is_dirty
    zone.hear(bus.TakeCheckpoint(ALICE))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert (checkpoint.state.money, checkpoint.after) == (99, FIRST)
    assert checkpoint.state.places[WORLD].position == (7, 8, 0), "the place is the entity's"
    resident = zone.resident()
    assert (resident.held, resident.after) == (None, FIRST)
    zone.gain(100)
    assert zone.player.is_dirty


def test_an_exchange_that_failed_leaves_what_was(zone: Trading) -> None:
    zone.gain(5)
    zone.hold(FIRST)
    zone.settle(None, text="Nothing has changed hands.")
    assert zone.notices() == ["Nothing has changed hands."]
    assert zone.player.state.money == 5 and zone.player.is_dirty
    assert (zone.resident().held, zone.resident().after) == (None, None)


def test_what_was_held_is_told_once_it_is_saved_or_settled(zone: Trading) -> None:
    zone.gain(5)
    (held,) = zone.hold(FIRST)
    zone.settle(FIRST, money=7)
    assert [(m.seq, m.ok) for m in zone.told()] == [(1, True)]
    zone.hear(bus.Saved(ALICE, held.serial, 5), bus.Journaled(ALICE, held.serial, 5))
    assert zone.told() == [], "once"


def test_a_document_from_elsewhere_takes_back_what_was_not_saved(zone: Trading) -> None:
    """The document did not know an exchange: what was done on top of it has not happened."""
    zone.gain(5)
    zone.settle(FIRST, money=7)
    (answer,) = zone.told()
    assert (answer.seq, answer.ok, answer.code) == (1, False, "withheld")
    assert zone.player.state.money == 7 and zone.player.after == FIRST
    zone.cluster.save_changes()
    assert zone.said(bus.Checkpoint) == []


@pytest.mark.parametrize("is_taken_back", [True, False])
def test_what_was_laid_down_in_a_document_that_was_taken_back_is_never_shown(
    zone: Trading, is_taken_back: bool
) -> None:
    """Else it would be there twice: on the ground, and in the document that came instead."""
    instance = zone.player.instance
    thing = instance.lay(zone.player.row, Item("apple", 1))
    (row,) = instance.goods.ground
    zone.cluster.change(
        zone.player, replace(zone.player.state, money=4), Result(1, True, "Laid."), shows=thing
    )
    zone.cluster.save_changes()
    if is_taken_back:
        zone.settle(FIRST, money=5)
    zone.hear(bus.TakeCheckpoint(ALICE))
    newest = zone.said(bus.Checkpoint)[-1]
    zone.hear(bus.Saved(ALICE, newest.serial, 5))
    assert zone.cluster.tables.is_hidden[row] == is_taken_back


def test_settled_twice_is_settled_once(zone: Trading) -> None:
    zone.hold(FIRST)
    zone.settle(FIRST, money=10)
    zone.gain(25)
    zone.settle(FIRST, money=10, text="Again.")
    assert zone.player.state.money == 25 and zone.notices() == []


def test_every_settle_of_the_stay_is_answered(zone: Trading) -> None:
    """The daemon lets the next exchange begin when it has heard it."""
    zone.hold(FIRST)
    zone.settle(FIRST, money=10)
    zone.settle(FIRST, money=10)
    zone.settle(SECOND, money=11, stay=4)
    assert zone.said(bus.Settled) == [bus.Settled("east", ALICE, 5, FIRST)] * 2


def test_what_comes_late_neither_holds_nor_ends_a_hold(zone: Trading) -> None:
    """Numbers of orders tell: the bus may bring each of them 90 s late, and doubled."""
    hold = bus.Hold(ALICE, FIRST, 5, 20)
    settle = bus.Settle(ALICE, 5, None, None, "Called off.", 21)
    zone.hear(hold, settle, hold)
    assert zone.player.held is None
    zone.hear(bus.Hold(ALICE, SECOND, 5, 22), settle)
    assert zone.player.held is not None and zone.player.held.exchange == SECOND
    second = replace(zone.player.state, money=50)
    first = replace(zone.player.state, money=40)
    zone.hear(bus.Settle(ALICE, 5, SECOND, second, "", 23), bus.Settle(ALICE, 5, FIRST, first, "", 21))
    assert (zone.player.state.money, zone.player.after) == (50, SECOND)
    assert zone.cluster.counters["orders_outdated"] == 3


def test_another_exchange_takes_over_a_hold(zone: Trading) -> None:
    """The daemon of the first one died: its successor holds again, and the document is what it was."""
    (first,) = zone.hold(FIRST)
    (second,) = zone.hold(SECOND)
    assert second.exchange == SECOND and second.serial > first.serial and second.state == first.state


@pytest.mark.parametrize("stay", [4, 6])
def test_another_stay_is_not_meant(zone: Trading, stay: int) -> None:
    assert zone.hold(FIRST, stay) == []
    zone.settle(FIRST, money=10, stay=stay)
    assert zone.player.held is None and zone.player.after is None
    assert zone.said(bus.Unknown) == [], "the session is here"


def test_a_stranger_is_unknown(zone: Trading) -> None:
    zone.hear(bus.Hold(SESSIONS[1], FIRST, 5, 30), bus.Settle(SESSIONS[1], 5, FIRST, None, "", 31))
    (unknown,) = zone.said(bus.Unknown)
    assert unknown.session == SESSIONS[1]


def test_who_is_admitted_knows_the_newest_exchange_and_its_line(zone: Trading) -> None:
    arrival = replace(admit(SESSIONS[1], INSTANCES[1], 9), after=SECOND, line="fork")
    zone.hear(arrival, bus.TakeCheckpoint(SESSIONS[1]))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.after == SECOND
    player = zone.cluster.roster.find(SESSIONS[1])
    assert player is not None and player.line == "fork"


def test_a_visit_during_a_hold_is_made_up_for(zone: Trading) -> None:
    zone.hold(FIRST)
    zone.player.client_id = 1
    zone.cluster.record_arrival(zone.player)
    assert zone.said(bus.Checkpoint) == []
    zone.settle(FIRST, money=10)
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert (checkpoint.kind, checkpoint.after, checkpoint.state.money) == ("quest", FIRST, 10)


def test_the_line_is_what_the_daemon_says(zone: Trading) -> None:
    assert zone.resident().line == "main"
    zone.hear(bus.LineIs(ALICE, "fork"))
    assert zone.resident().line == "fork"
    zone.hear(bus.Saved(ALICE, 0, 5, "main"), bus.Saved(ALICE, 0, 5))
    assert zone.resident().line == "main"


def test_what_was_laid_down_before_belongs_to_the_line_that_settle_tells(zone: Trading) -> None:
    """The messages that told of the fall are lost: the thing must not get from the fork to main."""
    lines: list[str] = []
    zone.player.instance.goods.show = lambda _, line: lines.append(line)  # type: ignore[method-assign]
    state = replace(zone.player.state, money=1)
    zone.cluster.change(zone.player, state, Result(1, True, "You lay it down."), shows=77)
    zone.hold(FIRST)
    left = replace(state, money=2)
    zone.hear(bus.Settle(ALICE, 5, FIRST, left, "", zone.next_order(), "fork"))
    assert lines == ["fork"] and zone.resident().line == "fork"
