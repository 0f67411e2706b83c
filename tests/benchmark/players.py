"""All clients of a benchmarked zone cluster: their inputs, and what they notice of snapshots.

Everybody walks at full speed in a direction that drifts, and sends ten inputs a second, phases spread evenly
over the 100 ms; `seq` is the client's tick, as docs/protocol.md wants it, and each input acknowledges the
newest snapshot. All packets are opened and their headers read; what a few clients see is decoded wholly
(views.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep

import numpy as np

from tests.benchmark.machine import CannotMeasure, Histogram
from tests.benchmark.swarm import Swarm
from tests.benchmark.views import ViewCheck
from zonecluster.protocol.zone_payloads import (
    ENTITY,
    INPUT,
    INPUT_HEADER,
    INPUT_RECORD,
    SNAPSHOT,
    SNAPSHOT_HEADER,
)

INPUTS_PER_S = 10
CLIENT_TICKS_PER_S = 20
REPEATED = 4  # records in each datagram, as the client library sends them
STEER_S = 0.005
PROBES = 10
PROBE_S = 0.2
INPUT_EVERY_S = 0.005  # inputs are spread evenly by sending what is due this often
IDLE_S = 0.0005
TURN = 0.4  # radians, at most, from one input to the next
SMALLEST = SNAPSHOT_HEADER.itemsize + ENTITY.itemsize
PACKET = np.dtype([("header", INPUT_HEADER), ("records", INPUT_RECORD, (REPEATED,))])


@dataclass
class Window:
    """What the clients saw in one second."""

    players: int
    gaps: Histogram = field(default_factory=Histogram)
    round_trips: Histogram = field(default_factory=Histogram)
    # For each datagram: how long ago the socket had been read before. No gap is measured wrong by more.
    lateness: Histogram = field(default_factory=Histogram)
    snapshots: int = 0
    snapshot_bytes: int = 0
    whole: int = 0  # snapshots that build on nothing
    datagram_bytes: int = 0
    inputs: int = 0
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.players, np.int64)


class Players:
    """All clients. `tokens` are their connect tokens, one for each."""

    def __init__(self, tokens: list[bytes], port: int, check: ViewCheck | None = None) -> None:
        self.count = count = len(tokens)
        self.swarm = Swarm(count, ("127.0.0.1", port))
        self.window: Window | None = None
        self.corrections = np.zeros(count, np.uint16)
        self.check = check
        self.silent = 0  # so many of them acknowledge nothing
        self._tokens = tokens
        self._last = np.zeros(count)  # arrival of each client's last snapshot; 0: none yet
        self._heading = np.random.default_rng(2).uniform(0, 2 * np.pi, count)
        self._rng = np.random.default_rng(3)
        self._began = np.zeros(count)  # when each client's own clock began
        self._records = np.zeros((count, REPEATED), INPUT_RECORD)
        self._newest = np.zeros(count, np.uint32)  # tick of the newest snapshot
        self._cursor = 0
        self._due = 0.0
        self._inputs_at = self._read_at = monotonic()
        self._probes = np.linspace(0, count - 1, min(PROBES, count)).astype(int).tolist()
        self._asked: dict[int, tuple[int, float]] = {}  # by probe: seq, when
        self._probed_at = dict.fromkeys(self._probes, 0.0)

    def join(self, tell: Callable[[int], None], upto: int | None = None, most_seconds: float = 40.0) -> float:
        """Let everybody in, or the first `upto`, some handshakes at a time; returns how many seconds it took.

        Raises: CannotMeasure: not all got in, in time.
        """
        upto = self.count if upto is None else upto
        began, begun = monotonic(), int(self.swarm.is_connected.sum())
        at_once = 32 if self.count > 1000 else 16
        while begun < upto or self.swarm.joining:
            now = monotonic()
            if now - began > most_seconds:
                connected = int(self.swarm.is_connected.sum())
                raise CannotMeasure(f"Only {connected} of {upto} players got in within {most_seconds} s.")
            while begun < upto and len(self.swarm.joining) < at_once:
                self.swarm.join(begun, self._tokens[begun])
                begun += 1
            self.swarm.send_handshakes(now)
            self.step(now)
            tell(int(self.swarm.is_connected.sum()))
        return monotonic() - began

    def play(self, seconds: float) -> None:
        """Receive and send for so long."""
        end = monotonic() + seconds
        while (now := monotonic()) < end:
            self.step(now)

    def step(self, now: float) -> None:
        """Take what came, send what is due, wait a little where nothing was."""
        was_idle = True
        while True:
            read_before, self._read_at = self._read_at, monotonic()
            if (batch := self.swarm.receive()) is None:
                break
            self._take(*batch, (self._read_at - read_before) * 1000)
            was_idle = False
        if now - self._inputs_at >= INPUT_EVERY_S:
            self._send_inputs(now)
        elif was_idle:
            sleep(IDLE_S)

    # ------------------------------------------------------------ snapshots

    def _take(self, numbers: np.ndarray, lengths: np.ndarray, data: np.ndarray, late_ms: float) -> None:
        is_snapshot = (data[:, 0] == SNAPSHOT) & (lengths >= SMALLEST)
        numbers, lengths, data = numbers[is_snapshot], lengths[is_snapshot], data[is_snapshot]
        if len(numbers) == 0:
            return
        now = monotonic()
        headers = np.ascontiguousarray(data[:, : SNAPSHOT_HEADER.itemsize]).view(SNAPSHOT_HEADER)[:, 0]
        senders = np.unique(numbers)
        gaps = (now - self._last[senders]) * 1000
        is_second = self._last[senders] > 0
        self._last[senders] = now
        self._newest[numbers] = headers["tick"]
        self.corrections[numbers] = headers["corrections"]
        # As the client library steers its clock, but simpler: inputs that come late are sent for later ticks.
        self._began[numbers[headers["input_lead"] < 0]] -= STEER_S
        self._take_answers(numbers, headers, senders, now)
        if self.check is not None:
            self.check.note(numbers, lengths, headers, data)
        if (window := self.window) is not None:
            window.lateness.add(np.full(len(numbers), late_ms))
            window.gaps.add(gaps[is_second])
            # Two at once: the gap between them is none.
            window.gaps.add(np.zeros(len(numbers) - len(senders)))
            window.snapshots += len(numbers)
            window.snapshot_bytes += int(lengths.sum())
            window.whole += int(np.count_nonzero(headers["baseline_tick"] == 0))
            np.add.at(window.counts, numbers, 1)

    def _take_answers(
        self, numbers: np.ndarray, headers: np.ndarray, senders: np.ndarray, now: float
    ) -> None:
        """See which probes' inputs the server has come to."""
        for probe in self._asked.keys() & set(senders.tolist()):
            seq, asked_at = self._asked[probe]
            if int(headers["input_ack"][numbers == probe].max()) >= seq:
                del self._asked[probe]
                if self.window is not None:
                    self.window.round_trips.add(np.array([(now - asked_at) * 1000]))

    # ------------------------------------------------------------ inputs

    def _send_inputs(self, now: float) -> None:
        self._due += (now - self._inputs_at) * INPUTS_PER_S * self.count
        self._inputs_at = now
        many = min(int(self._due), self.count)
        self._due = min(self._due - many, self.count)
        numbers = (self._cursor + np.arange(many)) % self.count
        self._cursor = (self._cursor + many) % self.count
        numbers = numbers[self.swarm.is_connected[numbers]]
        if len(numbers) == 0:
            return
        packets = self._inputs(numbers, now)
        self.swarm.send(numbers, packets.view(np.uint8).reshape(len(numbers), PACKET.itemsize))
        if self.window is not None:
            self.window.inputs += len(numbers)
        for probe in self._probes:
            if probe not in self._asked and now - self._probed_at[probe] >= PROBE_S and probe in numbers:
                self._asked[probe] = int(self._records["seq"][probe, -1]), now
                self._probed_at[probe] = now

    def _inputs(self, numbers: np.ndarray, now: float) -> np.ndarray:
        """Return the next input of each, (m,) of PACKET, with those before it repeated."""
        is_first = self._began[numbers] == 0
        self._began[numbers[is_first]] = now
        self._heading[numbers] += self._rng.uniform(-TURN, TURN, len(numbers))
        records, heading = self._records, self._heading[numbers]
        newest = np.zeros(len(numbers), INPUT_RECORD)
        newest["seq"] = 1.5 + (now - self._began[numbers]) * CLIENT_TICKS_PER_S
        newest["move_x"] = np.rint(np.sin(heading) * 126)
        newest["move_y"] = np.rint(np.cos(heading) * 126)
        newest["heading"] = (heading * (256 / (2 * np.pi))).astype(np.int64) % 256
        records[numbers[is_first]] = newest[is_first, None]
        records[numbers, :-1] = records[numbers, 1:]
        records[numbers, -1] = newest
        packets = np.zeros(len(numbers), PACKET)
        packets["header"]["kind"], packets["header"]["count"] = INPUT, REPEATED
        packets["header"]["snapshot_ack"] = np.where(numbers < self.silent, 0, self._newest[numbers])
        packets["records"] = records[numbers]
        return packets
