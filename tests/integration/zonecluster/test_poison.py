"""A document on which the rules raise: its player is out with a report, everybody else gets every tick."""

from uuid import UUID, uuid4

import msgspec
import pytest

from tests.zone_cluster import ClusterUnderTest, UdpPlayer, run_until
from worlds.models import World, Zone
from zonecluster.daemon import goods, players, requests
from zonecluster.daemon.poison import MAX_ERROR_CHARS, MAX_REPORTS, REPEAT_S, Reports
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Item
from zonecluster.protocol.from_client import Inventory, Merge, Say, Split
from zonecluster.protocol.to_client import InventoryIs, Refused
from zonecluster.rules.character import health_fraction
from zonecluster.rules.items import NotPossible
from zonecluster.rules.wayfaring import visited, walked

POISON = CharacterState(money=5, attributes={"cursed": 1}, bags={"inventory": [Item("bread", 3)]})
OTHERS = 100


class Boom(RuntimeError):
    """What a rule raises that nobody has foreseen."""


@pytest.fixture
def packet_path() -> str:
    """One is enough: datagrams have no part in this."""
    return "plain"


@pytest.fixture
def world(world: World) -> World:
    """The world, with room for a crowd."""
    Zone.objects.update(max_players=2 * OTHERS)
    return world


@pytest.fixture
def cursed(monkeypatch: pytest.MonkeyPatch):
    """Make a rule raise on documents that have the attribute `cursed`. Called with module and name."""

    def curse(module, name: str) -> None:
        rule = getattr(module, name)

        def cursed_rule(state: CharacterState, *arguments, **named):
            if "cursed" in state.attributes:
                raise Boom("the rules have met something they do not know")
            return rule(state, *arguments, **named)

        monkeypatch.setattr(module, name, cursed_rule)

    return curse


def reports(cluster: ClusterUnderTest) -> list[bus.Poisoned]:
    """Return the reports so far, by their bytes: what cannot be sent is no report."""
    sent = cluster.to_daemon(bus.Poisoned)
    return bus.daemon_decoder.decode(bus.encoder.encode(sent))


def the_report(cluster: ClusterUnderTest, admitted: bus.Admit, where: str) -> bus.Poisoned:
    """Return the only report, which is about that player and complete."""
    [report] = set(reports(cluster))
    assert (report.session, report.stay, report.where) == (admitted.session, admitted.order, where)
    assert (report.character, report.name) == (admitted.character, admitted.name)
    assert "Boom: the rules have met something they do not know" in report.error
    assert msgspec.json.decode(report.document, type=CharacterState).attributes == {"cursed": 1}
    return report


def crowd(cluster: ClusterUnderTest) -> list[UUID]:
    """Let a hundred others in."""
    return [cluster.admit(f"Bob {number}", link=100 + number).session for number in range(OTHERS)]


def is_told_of(cluster: ClusterUnderTest, sessions: list[UUID]) -> bool:
    """Whether exactly these are in play, by what the daemon is told."""
    cluster.do(bus.Hail("demo"))
    residents = cluster.to_daemon(bus.Residents)[-1].residents
    return {resident.session for resident in residents} == set(sessions)


def tick_for_all(cluster: ClusterUnderTest, sessions: list[UUID]) -> None:
    """Run ticks; everybody must be answered, and none may fail. On a busy machine a tick has time for few."""
    before, ticks = cluster.cluster.tables.tick, 0
    for _ in range(5):
        for session in sessions:
            cluster.do(bus.SessionCommand(session, Inventory(1)))
        cluster.outbox.put_messages.clear()
        for _ in range(len(sessions)):
            cluster.tick()
            ticks += 1
            if len(cluster.to_gateway(InventoryIs)) == len(sessions):
                break
        assert len(cluster.to_gateway(InventoryIs)) == len(sessions)
    assert cluster.cluster.tables.tick == before + ticks
    assert not [name for name in cluster.cluster.counters if name.endswith("_failed")]


def test_who_cannot_be_let_in_stands_nowhere(cluster: ClusterUnderTest, cursed) -> None:
    cursed(requests, "health_fraction")
    others = crowd(cluster)
    mallory = cluster.admit("Mallory", state=POISON)
    the_report(cluster, mallory, "admit")
    assert not [m for m in cluster.to_daemon(bus.Admitted) if m.session == mallory.session]
    assert not [m for m in cluster.to_daemon(bus.AdmitRefused) if m.session == mallory.session]
    assert is_told_of(cluster, others)
    tick_for_all(cluster, others)
    assert health_fraction(POISON) == 1.0  # the rule itself is sound


@pytest.mark.parametrize(
    ("rule", "command"),
    [("split", Split(7, "inventory", 0, 1)), ("merged", Merge(8, "inventory", 0, 1))],
)
def test_a_command_that_breaks_on_its_document(cluster: ClusterUnderTest, cursed, rule, command) -> None:
    cursed(goods, rule)
    others = crowd(cluster)
    mallory = cluster.admit("Mallory", state=POISON, link=7)
    cluster.do(
        bus.SessionCommand(mallory.session, command), bus.SessionCommand(mallory.session, Inventory(9))
    )
    cluster.tick()
    the_report(cluster, mallory, f"command:{type(command).__name__.lower()}")
    assert cluster.cluster.roster.find(mallory.session) is None
    assert not cluster.to_gateway(InventoryIs, 7)  # what waited behind it is not run
    assert is_told_of(cluster, others)
    tick_for_all(cluster, others)


def test_what_the_rules_refuse_is_no_poison(cluster: ClusterUnderTest, monkeypatch) -> None:
    def refuse(*arguments):
        raise NotPossible("no_such_item", "There is none.")

    monkeypatch.setattr(goods, "split", refuse)
    alice = cluster.admit("Alice")
    cluster.do(bus.SessionCommand(alice.session, Split(1, "inventory", 0, 1)))
    cluster.tick()
    assert not reports(cluster) and cluster.player(alice.session).name == "Alice"


def test_a_command_that_has_nothing_to_do_with_the_document_is_only_refused(
    cluster: ClusterUnderTest, monkeypatch
) -> None:
    def broken(*arguments):
        raise Boom("nobody can speak")

    monkeypatch.setattr("zonecluster.daemon.commands.clean_speech", broken)
    alice = cluster.admit("Alice", link=3)
    cluster.do(bus.SessionCommand(alice.session, Say(1, "Hello")))
    cluster.tick()
    assert cluster.to_gateway(Refused, 3)[-1].code == "not_now"
    assert not reports(cluster) and cluster.player(alice.session).name == "Alice"


@pytest.mark.parametrize("asked", ["takecheckpoint", "freeze", "withhold", "hold"])
def test_a_document_that_cannot_be_told(cluster: ClusterUnderTest, cursed, asked: str) -> None:
    others = crowd(cluster)
    mallory = cluster.admit("Mallory", state=POISON)
    cursed(players, "walked")
    order = cluster.next_order()
    message = {
        "takecheckpoint": bus.TakeCheckpoint(mallory.session),
        "freeze": bus.Freeze(mallory.session, uuid4(), order=order),
        "withhold": bus.Withhold(mallory.session, True),
        "hold": bus.Hold(mallory.session, uuid4(), mallory.order, order),
    }[asked]
    cluster.do(message)
    the_report(cluster, mallory, asked)
    assert not cluster.to_daemon(bus.Checkpoint) + cluster.to_daemon(bus.Frozen) + cluster.to_daemon(bus.Held)
    assert is_told_of(cluster, others)
    tick_for_all(cluster, others)
    assert walked(POISON, 0) is POISON


def test_an_arrival_that_cannot_be_written_down(cluster: ClusterUnderTest, cursed, connect) -> None:
    cursed(players, "visited")
    alice = cluster.admit("Alice")
    of_alice = connect(alice.request)
    mallory = cluster.admit("Mallory", state=POISON, link=2)
    of_mallory = UdpPlayer(cluster.token_of(mallory.request))
    run_until(cluster, [of_alice, of_mallory], lambda: reports(cluster))
    of_mallory.socket.close()
    the_report(cluster, mallory, "visit")
    assert is_told_of(cluster, [alice.session])
    assert visited(POISON, "harbour") is not POISON


def test_changes_of_others_are_saved_though_one_cannot_be(cluster: ClusterUnderTest, cursed) -> None:
    bread = CharacterState(bags={"inventory": [Item("bread", 3)]})
    first, last = cluster.admit("Alice", state=bread), None
    mallory = cluster.admit("Mallory", state=POISON, link=2)
    last = cluster.admit("Bob", state=bread, link=3)
    cursed(players, "walked")
    for who in (first, mallory, last):
        cluster.do(bus.SessionCommand(who.session, Split(1, "inventory", 0, 1)))
    cluster.tick()
    saved = [m.session for m in cluster.to_daemon(bus.Checkpoint)]
    assert saved == [first.session, last.session]
    report = the_report(cluster, mallory, "checkpoint")
    unsaved = msgspec.json.decode(report.document, type=CharacterState)
    assert [item.count for item in unsaved.bags["inventory"]] == [2, 1]  # what was not saved is in the report


def test_a_document_against_the_schema_costs_nobody_else_a_message(
    cluster: ClusterUnderTest, monkeypatch
) -> None:
    """A batch of the bus is read whole or not at all: one bad document in it would silence the cluster."""

    def broken(state: CharacterState, metres: int) -> CharacterState:
        return msgspec.structs.replace(state, money=-1)

    alice = cluster.admit("Alice")
    monkeypatch.setattr(players, "walked", broken)
    cluster.do(bus.TakeCheckpoint(alice.session))
    [report] = set(reports(cluster))
    assert msgspec.json.decode(report.document)["money"] == -1
    assert "ValidationError" in report.error and not cluster.to_daemon(bus.Checkpoint)


def test_a_document_that_cannot_be_written_at_all_is_reported_without_it(
    cluster: ClusterUnderTest, monkeypatch
) -> None:
    def broken(state: CharacterState, metres: int) -> CharacterState:
        return msgspec.structs.replace(state, money=2**80, quests={"lone": "\udc80"})

    alice = cluster.admit("Alice")
    monkeypatch.setattr(players, "walked", broken)
    cluster.do(bus.TakeCheckpoint(alice.session))
    [report] = set(reports(cluster))
    assert report.document == b"" and report.error


def test_a_report_is_repeated_until_it_is_stored(cluster: ClusterUnderTest, cursed) -> None:
    cursed(requests, "health_fraction")
    mallory = cluster.admit("Mallory", state=POISON)
    ticks = cluster.service.ticks
    for number in range(3):
        ticks.announce_when_due(1000.0 + number * REPEAT_S)
        ticks.announce_when_due(1000.0 + number * REPEAT_S + 0.1)
    assert len(reports(cluster)) == 4 and len(set(reports(cluster))) == 1
    cluster.do(bus.ReportStored(mallory.session, mallory.order + 1), bus.ReportStored(uuid4(), 1))
    ticks.announce_when_due(1010.0)
    assert len(reports(cluster)) == 5  # that was about others
    cluster.do(bus.ReportStored(mallory.session, mallory.order))
    ticks.announce_when_due(1020.0)
    assert len(reports(cluster)) == 5


def test_nobody_is_let_in_with_less_than_what_the_report_holds(cluster: ClusterUnderTest, cursed) -> None:
    cursed(goods, "split")
    mallory = cluster.admit("Mallory", state=POISON)
    cluster.do(bus.SessionCommand(mallory.session, Split(1, "inventory", 0, 1)))
    cluster.tick()
    count = len(reports(cluster))
    again = cluster.admit("Mallory", session=mallory.session, character=mallory.character, state=POISON)
    assert len(reports(cluster)) == count + 1 and reports(cluster)[-1].stay == mallory.order
    assert cluster.cluster.roster.find(again.session) is None
    cluster.do(bus.ReportStored(mallory.session, mallory.order))
    cluster.admit("Mallory", session=mallory.session, character=mallory.character, state=POISON)
    assert cluster.player(mallory.session).name == "Mallory"


def test_reports_and_their_texts_are_bounded(cluster: ClusterUnderTest, monkeypatch) -> None:
    def shouts(state: CharacterState) -> float:
        raise Boom("\udc80" * 100_000)

    monkeypatch.setattr(requests, "health_fraction", shouts)
    cluster.admit("Mallory", state=POISON)
    [report] = set(reports(cluster))
    assert len(report.error) == MAX_ERROR_CHARS
    kept = Reports()
    dropped = [kept.add(msgspec.structs.replace(report, stay=stay)) for stay in range(1, MAX_REPORTS + 2)]
    assert dropped == [False] * MAX_REPORTS + [True] and len(kept) == MAX_REPORTS
