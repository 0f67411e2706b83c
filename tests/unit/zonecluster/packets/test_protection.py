"""What strangers and hostile clients may cost, on both paths: floods, forgeries, answers, memory."""

import pytest
import structlog

from tests.unit.zonecluster.packets.memory_socket import MemorySocket
from tests.unit.zonecluster.protocol.netcode import layout
from tests.unit.zonecluster.protocol.netcode.setting import (
    ALICE,
    BOB,
    MALLORY,
    SERVER,
    UNIX,
    Peer,
    mint,
    request,
    server,
)
from zonecluster.packets import opening, table
from zonecluster.packets.arrivals import ALLOWED_BURST, ALLOWED_PER_S, MAX_OPENED_A_TICK
from zonecluster.packets.batch_path import ARRIVALS_PER_CLIENT, BatchPath
from zonecluster.packets.plain_path import PlainPath
from zonecluster.protocol.netcode import Connected, Disconnected, DisconnectReason, Limits

TICK_S = 0.05
MOST_TO_STRANGERS = 0.31

both_paths = pytest.mark.parametrize("kind", [PlainPath, BatchPath], ids=["plain", "batch"])


class Zone:
    """A packet path on a socket in memory, with invented time and people."""

    def __init__(self, kind, **changes):
        self.socket = MemorySocket()
        self.path = kind(self.socket, server(**changes))
        self.now = 0.0

    def arrive(self, *datagrams):
        """Let (data, address) arrive; return what is sent for it."""
        self.socket.arriving += datagrams
        while self.path.receive(self.now, UNIX):
            pass
        self.path.flush()
        sent, self.socket.sent = self.socket.sent, []
        return sent

    def tick(self):
        """End a tick; return (events, payloads by sender's slot)."""
        self.now += TICK_S
        self.path.handle_timeout(self.now)
        events, arrivals = self.path.take_events(), self.path.take_arrivals()
        self.path.flush()
        self.socket.sent.clear()
        return events, [(int(slot), arrivals.payload(row)) for row, slot in enumerate(arrivals.slots)]

    def connect(self, client_id, address, **changes):
        """Bring somebody in; return the peer, with its slot."""
        token = mint(client_id, **changes)
        peer = Peer(token, address)
        ((challenge, _),) = self.arrive((request(token), address))
        self.arrive((peer.packet(3, peer.open(challenge).body), address))
        (event,) = self.path.take_events()
        assert isinstance(event, Connected)
        peer.slot = event.slot
        return peer

    def drops(self, reason):
        """Return how many datagrams were dropped for this."""
        return self.path.statistics()[f"drop_{reason}"]


@both_paths
def test_a_client_that_floods_for_seconds_is_put_out_and_nobody_else_waits(kind):
    zone = Zone(kind)
    mallory, alice = zone.connect(1, MALLORY), zone.connect(2, ALICE)
    ends = []
    with structlog.testing.capture_logs() as logs:
        for tick in range(200):
            zone.arrive(*[(mallory.packet(5, b"!"), MALLORY) for _ in range(40)])
            zone.arrive((alice.packet(5, b"%d" % tick), ALICE))
            events, payloads = zone.tick()
            assert payloads[-1] == (alice.slot, b"%d" % tick)
            assert len(payloads) <= MAX_OPENED_A_TICK + 1
            ends += [(tick, event) for event in events]
    ((tick, event),) = ends
    assert isinstance(event, Disconnected)
    assert (event.client_id, event.reason) == (1, DisconnectReason.BY_SERVER)
    most_a_second = MAX_OPENED_A_TICK / TICK_S
    assert tick * TICK_S == pytest.approx(ALLOWED_BURST / (most_a_second - ALLOWED_PER_S), abs=3 * TICK_S)
    assert [entry["client_id"] for entry in logs if entry["event"] == "link_put_out_for_flooding"] == [1]
    assert zone.path.statistics()["links_flooding"] == 1
    assert zone.drops("unknown_address") > 0


@both_paths
def test_keep_alives_and_replays_count_or_cost_nothing(kind):
    zone = Zone(kind)
    mallory = zone.connect(1, MALLORY)
    once = mallory.packet(5, b"again")
    ends = []
    for _ in range(200):
        zone.arrive(*[(mallory.packet(4, bytes(8)), MALLORY) for _ in range(40)])
        zone.arrive(*[(once, MALLORY)] * 3)
        ends += zone.tick()[0]
    assert [event.reason for event in ends] == [DisconnectReason.BY_SERVER]
    assert zone.drops("flooding") > 0


@both_paths
def test_authentic_packets_that_are_none_count_too(kind):
    zone = Zone(kind)
    mallory = zone.connect(1, MALLORY, timeout_s=60)
    ends = []
    for _ in range(200):
        zone.arrive(*[(mallory.packet(4, b"short"), MALLORY) for _ in range(40)])
        ends += zone.tick()[0]
    assert [event.reason for event in ends] == [DisconnectReason.BY_SERVER]
    assert zone.drops("bad_body_size") > 0


@both_paths
@pytest.mark.parametrize("every_ticks", [1, 20, 100], ids=["even", "by the second", "after five seconds"])
def test_an_honest_client_is_never_taken_for_a_flood_however_its_packets_bunch(kind, every_ticks):
    zone = Zone(kind)
    alice = zone.connect(1, ALICE, timeout_s=60)
    waiting = []
    for tick in range(400):
        waiting += [(alice.packet(5, b"wish"), ALICE), (alice.packet(4, bytes(8)), ALICE)]
        if tick % every_ticks == every_ticks - 1:
            zone.arrive(*waiting)
            waiting.clear()
        assert zone.tick()[0] == []
    zone.now += 20  # a cluster that stood still
    zone.arrive(*[(alice.packet(5, b"wish"), ALICE) for _ in range(600)])
    assert zone.tick()[0] == []
    assert zone.tick()[0] == []
    zone.arrive((alice.packet(5, b"here"), ALICE))
    assert zone.tick()[1] == [(alice.slot, b"here")]


@both_paths
def test_forgeries_from_a_clients_address_use_up_nothing_of_what_is_hers(kind):
    zone = Zone(kind)
    alice = zone.connect(1, ALICE)
    mallory = Peer(mint(666), ALICE)  # her own key, Alice's address
    for tick in range(150):
        forged = [(mallory.packet(5, b"forged", 1000 + tick * 100 + n), ALICE) for n in range(60)]
        forged += [(mallory.packet(6, b"", 2**64 - 1 - tick), ALICE), (b"\x15" + bytes(17), ALICE)]
        zone.arrive(*forged[:30], (alice.packet(5, b"%d" % tick), ALICE), *forged[30:])
        events, payloads = zone.tick()
        assert events == []
        assert payloads == [(alice.slot, b"%d" % tick)]
    assert zone.drops("forged") == 150 * 62
    assert zone.drops("flooding") == 0


@both_paths
def test_a_disconnect_is_heard_above_a_flood(kind):
    zone = Zone(kind)
    alice = zone.connect(1, ALICE)
    zone.arrive(*[(alice.packet(5, b"!"), ALICE) for _ in range(30)], (alice.packet(6), ALICE))
    events, payloads = zone.tick()
    assert [event.reason for event in events] == [DisconnectReason.BY_CLIENT]
    assert payloads == []


def strangers_datagrams():
    """Every kind of datagram that somebody without a slot can send, with the drop it earns, if any."""
    good = request(mint(7))
    peer = Peer(mint(7), MALLORY)
    return {
        "nothing": b"",
        "a byte": b"\x15",
        "junk": b"\x15" + bytes(100),
        "request": good,
        "request cut": good[:500],
        "request forged": good[:-1] + b"!",
        "request expired": request(mint(7, unix_now=UNIX - 100)),
        "request for another server": request(mint(7, server_addresses=[("203.0.113.9", 9)])),
        "response": peer.packet(3, bytes(308)),
        "payload": peer.packet(5, b"hello"),
        "keep-alive": peer.packet(4, bytes(8)),
        "disconnect": peer.packet(6),
        "challenge": peer.packet(2, bytes(308)),
        "denied": peer.packet(1),
        "of 1500 bytes": b"\x15" * 1500,
    }


@both_paths
@pytest.mark.parametrize("what", strangers_datagrams())
@pytest.mark.parametrize("is_full", [False, True], ids=["with room", "full"])
def test_no_datagram_of_a_stranger_is_answered_by_more_than_a_third_of_it(kind, what, is_full):
    zone = Zone(kind, max_clients=1)
    if is_full:
        zone.connect(1, ALICE)
    data = strangers_datagrams()[what]
    for _ in range(3):  # the same again must not do better
        sent = zone.arrive((data, MALLORY))
        assert sum(len(answer) for answer, _ in sent) <= MOST_TO_STRANGERS * len(data)
        assert all(address == MALLORY for _, address in sent)
        assert bool(sent) == (what == "request")


@both_paths
def test_those_who_ask_and_never_answer_hold_no_slot_and_are_forgotten(kind):
    zone = Zone(kind, max_clients=2)
    for number in range(100):
        zone.arrive((request(mint(1000 + number)), (f"192.0.2.{number}", 1)))
    assert zone.path.statistics()["challenged"] == 100
    alice = zone.connect(1, ALICE)
    zone.now += 6  # longer than the time-out in the tokens
    zone.arrive((alice.packet(5, b"here"), ALICE))
    zone.tick()
    assert zone.path.statistics()["challenged"] == 0
    zone.connect(2, BOB)


def test_a_network_that_answers_without_end_keeps_nobody_else_from_answering():
    zone = Zone(BatchPath)
    ports = [(MALLORY[0], 50_000 + number) for number in range(40)]
    for number, address in enumerate(ports):  # tokens of her own: so her addresses may answer
        zone.arrive((request(mint(1000 + number)), address))
    zone.tick()
    nonsense = Peer(mint(1000), MALLORY).packet(3, bytes(308))
    limits = Limits()
    for _ in range(30):  # until what was saved up is gone
        zone.arrive(*[(nonsense, address) for address in ports for _ in range(10)])
        zone.tick()
    before = zone.drops("rate_limited")
    zone.arrive(*[(nonsense, address) for address in ports for _ in range(10)])
    assert zone.drops("rate_limited") - before >= 400 - limits.requests_per_s_per_network * TICK_S - 1
    assert zone.connect(1, ALICE).slot >= 0


@both_paths
def test_who_answers_and_then_says_nothing_loses_the_slot_after_the_time_out_of_the_token(kind):
    zone = Zone(kind, max_clients=1)
    zone.connect(1, MALLORY, timeout_s=5)
    ends = [event for _ in range(99) for event in zone.tick()[0]]
    assert ends == []
    ends = [event for _ in range(3) for event in zone.tick()[0]]
    assert [event.reason for event in ends] == [DisconnectReason.TIMED_OUT]
    zone.connect(2, ALICE)


@both_paths
def test_a_server_of_more_than_256_takes_them_all_and_tells_the_next_that_it_is_full(kind):
    zone = Zone(kind, max_clients=300)
    for number in range(300):
        peer = zone.connect(number + 1, (f"198.51.{number >> 8}.{number & 255}", 51000))
        zone.path.take_arrivals()  # as a tick does: so many strangers are not looked at in one
    assert peer.slot < 300
    token = mint(9999)
    ((denied, _),) = zone.arrive((request(token), MALLORY))
    assert layout.read_packet(denied, *of(token)).kind == 1


def of(token):
    read = layout.read_connect_token(token)
    return read.protocol_id, read.server_to_client


@both_paths
def test_a_server_is_reached_by_any_of_its_public_addresses(kind):
    other = ("2001:db8::5", 40000)
    zone = Zone(kind, public_addresses=[SERVER, other])
    zone.connect(1, ALICE, server_addresses=[("192.0.2.1", 1), other])
    zone.connect(2, BOB, server_addresses=[SERVER])


def bytes_of(arrays):
    return sum(each.nbytes for each in arrays)


def test_a_link_takes_a_few_kilobytes():
    of_tables = bytes_of(table.make_table(2000, (1, 2))) - bytes_of(table.make_table(1000, (1, 2)))
    of_rooms = bytes_of(opening.make_room(2000)) - bytes_of(opening.make_room(1000))
    assert of_tables / 1000 <= 2400
    assert of_rooms / 1000 * ARRIVALS_PER_CLIENT <= 5500
