"""A lossy link under invented time: what the client sees is what the server takes it to see, bit by bit."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zonecluster.snapshots.crowd import Crowd, shown
from zonecluster.protocol.snapshot_view import Refused, Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import MAX_PAYLOAD_BYTES
from zonecluster.snapshots import encode_plain
from zonecluster.snapshots.baselines import Baselines
from zonecluster.snapshots.encoder import Encoder

PLENTY = 200_000  # bytes/s: every change fits
LITTLE = 4_000
MOST_DELAY_TICKS = 6


class LossyLink:
    """Carries things one way: loses some, delays by 0 to 6 ticks, so that they overtake, doubles some."""

    def __init__(self, rng: np.random.Generator, loss: float = 0.3) -> None:
        self.rng, self.loss = rng, loss
        self._under_way: list[tuple[int, int, object]] = []
        self._count = 0

    def send(self, what: object, tick: int) -> None:
        for _ in range(1 + int(self.rng.random() < 0.1)):
            if self.rng.random() >= self.loss:
                self._count += 1
                arrival = tick + int(self.rng.integers(0, MOST_DELAY_TICKS + 1))
                heapq.heappush(self._under_way, (arrival, self._count, what))

    def arrived(self, tick: int) -> list:
        found = []
        while self._under_way and self._under_way[0][0] <= tick:
            found.append(heapq.heappop(self._under_way)[2])
        return found


class Player:
    """A client and its link, with what the server took it to see at each tick."""

    def __init__(self, row: int, slot: int, rng: np.random.Generator, loss: float = 0.3) -> None:
        self.row, self.slot = row, slot
        self.reader = SnapshotReader()
        self.down, self.up = LossyLink(rng, loss), LossyLink(rng, loss)
        self.views: dict[int, list[tuple]] = {}
        self.own: dict[int, tuple] = {}
        self.nearest: dict[int, set[tuple]] = {}  # what a fresh whole snapshot would have shown
        self.seen: dict[int, set[tuple]] = {}  # what the client saw, by tick

    def receive(self, tick: int) -> int:
        """Read what arrives; returns how much. Every snapshot read must be the server's record of it."""
        before = len(self.seen)
        for payload in self.down.arrived(tick):
            found = self.reader.read(payload)
            assert found is not Refused.MALFORMED
            if isinstance(found, Snapshot):
                assert found.entities.tolist() == [self.own[found.tick], *self.views[found.tick]]
                self.seen[found.tick] = set(found.entities[1:].tolist())
        return len(self.seen) - before


class Session:
    """A crowd, some players of it, and an encoder."""

    def __init__(
        self, seed: int, encoder: Encoder, rows: int = 90, players: int = 4, loss: float = 0.3
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.crowd = Crowd(rows, self.rng)
        self.encoder = encoder
        self.players = [Player(row, row, self.rng, loss) for row in range(players)]
        self.tick = int(self.rng.integers(1, 300))
        self.is_steady = False
        self.snapshots_read = 0

    def run(self, ticks: int, share: float, farthest: int, churn: float) -> None:
        for _ in range(ticks):
            self.crowd.move(share, farthest)
            self._churn(churn)
            self.step()

    def _churn(self, churn: float) -> None:
        """Somebody leaves, comes, is replaced in the same row, selects; a player changes to a new link."""
        rng, crowd = self.rng, self.crowd
        if rng.random() >= churn:
            return
        first = len(self.players)
        row = int(rng.integers(first, len(crowd)))
        match int(rng.integers(0, 6)):
            case 0:
                crowd.take(row)
            case 1 | 2:
                crowd.put(row)
            case 3:
                crowd.selected[:first] = crowd.records["id"][row]
                crowd.group[[0, row]] = 7
            case 4:
                player = self.players[int(rng.integers(first))]
                self.encoder.forget(player.slot)
                fresh = Player(player.row, player.slot, rng, player.down.loss)
                self.players[self.players.index(player)] = fresh
            case 5 if len(crowd) < 200:
                crowd.grow(3)

    def step(self) -> None:
        """One tick: acknowledgements arrive, snapshots go, clients read and acknowledge."""
        self.tick += 1
        rng = self.rng
        for player in self.players:
            for ack in player.up.arrived(self.tick):
                self.encoder.acknowledge(np.array([player.slot]), np.array([ack], np.uint32))
        # Not everybody in each tick, and at times much fewer in view.
        going = [player for player in self.players if self.is_steady or rng.random() < 0.95]
        rows, slots = (
            np.array([getattr(each, name) for each in going], np.int64) for name in ("row", "slot")
        )
        most = 64 if self.is_steady or rng.random() < 0.95 else int(rng.integers(0, 65))
        payloads = self.crowd.encode(self.encoder, rows, slots, self.tick, most)
        seen, counts = self.crowd.seen(rows, most)
        nearest = [self.crowd.records[of[:count]].tolist() for of, count in zip(seen, counts, strict=True)]
        for player, payload, shown_whole in zip(going, payloads, nearest, strict=True):
            assert len(payload) <= MAX_PAYLOAD_BYTES
            view = self.encoder.baselines.view(player.slot, self.tick)
            assert view is not None
            player.views[self.tick] = shown(view)
            player.nearest[self.tick] = set(shown_whole)
            player.own[self.tick] = self.crowd.records[player.row].item()
            player.down.send(payload, self.tick)
        for player in self.players:
            self.snapshots_read += player.receive(self.tick)
            player.up.send(player.reader.newest_tick, self.tick)


MOVES = st.tuples(st.floats(0, 1), st.sampled_from([3, 90, 150, 3000, 40_000]), st.floats(0, 1))
BANDWIDTHS = st.sampled_from([LITTLE, 7_000, 16_000, PLENTY])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), BANDWIDTHS, MOVES)
def test_the_client_sees_what_the_server_takes_it_to_see(
    seed: int, bytes_per_s: int, moves: tuple[float, int, float]
) -> None:
    session = Session(seed, Encoder(8, bytes_per_s))
    session.run(60, *moves)
    assert session.snapshots_read > 20


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), MOVES)
def test_with_bandwidth_it_sees_what_a_fresh_whole_snapshot_shows(
    seed: int, moves: tuple[float, int, float]
) -> None:
    session = Session(seed, Encoder(8, PLENTY))
    session.run(60, *moves)
    for player in session.players:
        for tick, seen in player.seen.items():
            assert seen == player.nearest[tick]
    assert session.snapshots_read > 20


# Of 64 entities at least 8 are sent whole in a tick: 200 bytes, less 50 for the player itself, 8 for the
# mask. What was sent is sent again until its acknowledgement is back: 12 ticks on the way, and what is lost.
# 0.7 of snapshots and of acknowledgements come; 20 ticks in a row without are rarer than one in 10^5.
STANDS_STILL_TICKS = 8 * (2 * MOST_DELAY_TICKS + 20)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([LITTLE, 6_000]), MOVES)
def test_with_little_bandwidth_it_converges_once_all_stand_still(
    seed: int, bytes_per_s: int, moves: tuple[float, int, float]
) -> None:
    session = Session(seed, Encoder(8, bytes_per_s))
    session.run(40, *moves)
    session.is_steady = True
    session.run(STANDS_STILL_TICKS, 0.0, 1, 0.0)
    for player in session.players:
        newest = max(player.seen)
        assert player.seen[newest] == player.nearest[newest]


def unacknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build on the newest view, whether the client has it or not."""
    monkeypatch.setattr(Baselines, "baseline_ticks", lambda self, slots: self.links.latest[slots].astype(int))


def without_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new link goes on with what the slot's last holder had."""
    monkeypatch.setattr(Baselines, "forget", lambda self, slot: None)


def all_taken_for_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what did not fit for sent."""
    keep = encode_plain._keep
    monkeypatch.setattr(
        encode_plain,
        "_keep",
        lambda links, tick, slots, matched, is_taken, is_sent, places: keep(
            links, tick, slots, matched, is_taken, np.ones_like(is_sent), places
        ),
    )


def rows_for_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take whoever stands in a row for who stood there before."""
    match = encode_plain.match

    def by_row(links, history, tick, viewers):
        nameless = history.copy()
        nameless["id"] = 1
        return match(links, nameless, tick, viewers)

    monkeypatch.setattr(encode_plain, "match", by_row)


def old_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build on records that the history has no more."""
    monkeypatch.setattr(encode_plain, "MAX_RECORD_AGE", 255)


@pytest.mark.parametrize(
    "break_rule",
    [unacknowledged, without_forgetting, all_taken_for_sent, rows_for_identity, old_records],
)
def test_each_rule_is_necessary(break_rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one rule broken, some session shows it: a wrong view, or links that see nothing any more."""
    break_rule(monkeypatch)
    for seed in range(30):
        session = Session(seed, Encoder(8, LITTLE))
        try:
            session.run(120, 0.9, 3000, 0.5)
        except AssertionError:
            return
        if any(session.tick - max(player.seen, default=0) > 60 for player in session.players):
            return
    pytest.fail("the rule is not needed: nothing went wrong without it")
