"""Who is told of first when not everything fits, that nobody waits for ever, and what a link may be sent."""

import numpy as np
import pytest

from tests.unit.zonecluster.snapshots.crowd import Crowd, shown
from zonecluster.protocol.snapshot_view import Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import MAX_PAYLOAD_BYTES
from zonecluster.snapshots.encode_compiled import CompiledWriter
from zonecluster.snapshots.encode_plain import write_plain
from zonecluster.snapshots.encoder import Encoder

VIEWER = np.array([0])
SLOT = np.array([2])


@pytest.fixture(params=["plain", "batch"])
def writer(request):
    return write_plain if request.param == "plain" else CompiledWriter()


class Client:
    """One client on a perfect link that acknowledges every snapshot, or none."""

    def __init__(self, encoder: Encoder, crowd: Crowd, acknowledges: bool = True) -> None:
        self.encoder, self.crowd, self.acknowledges = encoder, crowd, acknowledges
        self.reader = SnapshotReader()
        self.tick = 0
        self.sizes: list[int] = []

    def next(self, most: int = 64) -> Snapshot:
        self.tick += 1
        payload = self.crowd.encode(self.encoder, VIEWER, SLOT, self.tick, most)[0]
        self.sizes.append(len(payload))
        snapshot = self.reader.read(payload)
        assert isinstance(snapshot, Snapshot)
        if self.acknowledges:
            self.encoder.acknowledge(SLOT, np.array([self.tick], np.uint32))
        return snapshot


def crowd_of(rows: int = 65, seed: int = 3) -> Crowd:
    return Crowd(rows, np.random.default_rng(seed))


def current(crowd: Crowd, snapshot: Snapshot) -> set[int]:
    """Return the ids of those that a snapshot shows as they are now."""
    now = set(crowd.records.tolist())
    return {record[0] for record in snapshot.entities[1:].tolist() if record in now}


def test_nothing_changed_costs_the_least(writer) -> None:
    client = Client(Encoder(4, 16_000, writer), crowd_of())
    assert [len(client.next().entities) for _ in range(3)] == [65, 65, 65]
    assert client.sizes == [1146, 58, 58]


@pytest.mark.parametrize("bytes_per_s", [4_000, 6_000, 16_000, 200_000])
@pytest.mark.parametrize("acknowledges", [True, False])
def test_a_link_is_sent_no_more_than_its_bandwidth(bytes_per_s: int, acknowledges: bool, writer) -> None:
    crowd = crowd_of(90)
    client = Client(Encoder(4, bytes_per_s, writer), crowd, acknowledges)
    for _ in range(100):
        crowd.move(1.0, 3000)
        client.next()
    assert max(client.sizes) <= MAX_PAYLOAD_BYTES
    burst = max(MAX_PAYLOAD_BYTES, bytes_per_s // 4)
    for start in range(100):
        of_span = client.sizes[start:]
        assert sum(of_span) <= burst + len(of_span) * bytes_per_s // 20


def test_a_client_that_never_acknowledges_gets_whole_snapshots_of_the_nearest(writer) -> None:
    crowd = crowd_of(90)
    client = Client(Encoder(4, 6_000, writer), crowd, acknowledges=False)
    for _ in range(50):
        crowd.move(1.0, 3000)
        snapshot = client.next()
        rows, _ = crowd.seen(VIEWER)
        others = snapshot.entities[1:]
        nearest = crowd.records["id"][rows[0, : len(others)]].tolist()
        assert sorted(others["id"].tolist()) == sorted(nearest)
        assert current(crowd, snapshot) == set(nearest)
        assert snapshot.entities[0].item() == crowd.records[0].item()
    assert (300 - 58) // 17 <= len(others) <= (300 - 50) // 17 + 1


def test_selected_and_grouped_come_first_however_far(writer) -> None:
    crowd = crowd_of()
    rows, _ = crowd.seen(VIEWER)
    selected, grouped = rows[0, 63], rows[0, 60:63]
    crowd.selected[0] = crowd.records["id"][selected]
    crowd.group[[0, *grouped]] = 5
    crowd.group[rows[0, 50]] = 6  # another's
    client = Client(Encoder(4, 4_000, writer), crowd)
    client.next()
    favourites = set(crowd.records["id"][[selected, *grouped]].tolist())
    for _ in range(40):
        crowd.records["heading"] += 1
        crowd.records["z"][1:] ^= 0x55
        crowd.records["x"][1:] ^= 0x5555
        snapshot = client.next()
        assert favourites <= current(crowd, snapshot)
    assert max(client.sizes[10:]) <= 200


def test_the_near_are_told_of_more_often_and_nobody_waits_for_ever(writer) -> None:
    crowd = crowd_of()
    client = Client(Encoder(4, 4_000, writer), crowd)
    client.next()
    rows, _ = crowd.seen(VIEWER)
    told = dict.fromkeys(crowd.records["id"][rows[0]].tolist(), 0)
    waited = dict.fromkeys(told, 0)
    longest = 0
    for _ in range(200):
        crowd.records["z"][1:] ^= 0x5555
        crowd.records["heading"][1:] ^= 0x55
        crowd.records["health"][1:] ^= 0x55  # 7 bytes each: about 20 of 64 fit into a tick
        up_to_date = current(crowd, client.next())
        for entity in told:
            is_told = entity in up_to_date
            told[entity] += is_told
            waited[entity] = 0 if is_told else waited[entity] + 1
            longest = max(longest, waited[entity])
    order = [told[int(entity)] for entity in crowd.records["id"][rows[0]]]
    assert sum(order[:16]) > 1.5 * sum(order[48:])
    assert min(order) > 0 and longest <= 32


def test_what_was_told_since_the_baseline_does_not_go_back(writer) -> None:
    """While acknowledgements are under way, who was shown as it is now is not shown as it was before."""
    crowd = crowd_of()
    client = Client(Encoder(4, 4_000, writer), crowd)
    client.next()
    client.next()
    client.acknowledges = False
    crowd.records["z"][1:] ^= 0x5555
    crowd.records["health"][1:] ^= 0x55
    up_to_date = current(crowd, client.next())
    assert 0 < len(up_to_date) < 64
    for _ in range(10):
        now = current(crowd, client.next())
        assert now >= up_to_date
        up_to_date = now


def test_who_leaves_makes_room_for_who_comes(writer) -> None:
    """A place that is refilled at once is not emptied first; the others keep theirs."""
    crowd = crowd_of(80)
    encoder = Encoder(4, 200_000, writer)
    client = Client(encoder, crowd)
    client.next()
    before = encoder.baselines.view(2, client.tick)
    rows, _ = crowd.seen(VIEWER)
    crowd.take(int(rows[0, 10]))
    client.next()
    after = encoder.baselines.view(2, client.tick)
    assert before is not None and after is not None
    assert np.flatnonzero(before["id"] != after["id"]).tolist() == [10]
    assert client.sizes[1] == 50 + 8 + 17


def test_a_row_with_somebody_else_in_it_is_another_entity(writer) -> None:
    crowd = crowd_of(10)
    client = Client(Encoder(4, 200_000, writer), crowd)
    client.next()
    crowd.put(5)
    snapshot = client.next()
    assert snapshot.entities.tolist()[1:] == sorted(
        snapshot.entities.tolist()[1:], key=snapshot_order(snapshot)
    )
    assert set(snapshot.entities["id"].tolist()) == set(crowd.records["id"].tolist())
    assert client.sizes[1] == 50 + 2 + 17


def snapshot_order(snapshot: Snapshot):
    places = {record: place for place, record in enumerate(snapshot.entities.tolist())}
    return places.__getitem__


def test_a_view_shrinks_from_the_end_without_a_byte(writer) -> None:
    crowd = crowd_of()
    encoder = Encoder(4, 200_000, writer)
    client = Client(encoder, crowd)
    client.next()
    assert len(client.next(most=10).entities) == 11
    assert client.sizes[1] == 50 + 2
    view = encoder.baselines.view(2, client.tick)
    assert view is not None and len(shown(view)) == 10
    assert len(client.next(most=0).entities) == 1 and client.sizes[2] == 50
