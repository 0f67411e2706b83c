"""One zone cluster's service with all its clients in this process, driven tick by tick. For tick.py."""

from dataclasses import dataclass
from time import thread_time_ns

import numpy as np

from tests.benchmark.machine import CannotMeasure
from tests.benchmark.players import PACKET, REPEATED, TURN
from tests.benchmark.swarm import Swarm
from tests.benchmark.zone_server import WORLD, MeasuredService, fill
from zonecluster.daemon.config import ClusterConfig
from zonecluster.daemon.pace import Pace
from zonecluster.daemon.phases import PHASES
from zonecluster.protocol.zone_payloads import INPUT, INPUT_RECORD, MAX_PAYLOAD_BYTES

AT_ONCE = 100  # handshakes
TICK_S = 0.05


class FakeTime:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Inputs:
    """What all players send: half of them in each tick, so each ten times a second."""

    def __init__(self, players: int) -> None:
        self._rng = np.random.default_rng(5)
        self._heading = self._rng.uniform(0, 2 * np.pi, players)
        self._records = np.zeros((players, REPEATED), INPUT_RECORD)
        self._client_tick = 0
        self.newest = np.zeros(players, np.uint32)  # tick of the newest snapshot

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        """Return who sends in this tick (m,), and what (m, length) u8."""
        self._client_tick += 1
        players = len(self._heading)
        numbers = np.arange(self._client_tick % 2, players, 2)
        self._heading[numbers] += self._rng.uniform(-TURN, TURN, len(numbers))
        heading = self._heading[numbers]
        newest = np.zeros(len(numbers), INPUT_RECORD)
        newest["seq"] = self._client_tick
        newest["move_x"], newest["move_y"] = np.rint(np.sin(heading) * 126), np.rint(np.cos(heading) * 126)
        newest["heading"] = (heading * (256 / (2 * np.pi))).astype(np.int64) % 256
        records = self._records
        records[numbers, :-1] = records[numbers, 1:]
        records[numbers, -1] = newest
        packets = np.zeros(len(numbers), PACKET)
        packets["header"]["kind"], packets["header"]["count"] = INPUT, REPEATED
        packets["header"]["snapshot_ack"], packets["records"] = self.newest[numbers], records[numbers]
        return numbers, packets.view(np.uint8).reshape(len(numbers), PACKET.itemsize)


@dataclass
class Snapshots:
    """What the clients of one side received in one round: (n, 1150) u8, (n,) lengths."""

    payloads: np.ndarray
    lengths: np.ndarray


class Side:
    """One service with its clients."""

    def __init__(self, players: int, workload: str, time: FakeTime, bytes_per_s: int) -> None:
        config = ClusterConfig(
            world=WORLD,
            name="benchmark",
            udp_host="127.0.0.1",
            udp_port=0,
            public_hosts=("127.0.0.1",),
            max_players=players,
            packet_path="batch",
            bytes_per_player=bytes_per_s,
        )
        self.service = MeasuredService(config, time)
        self.players = players
        self.spent_ms: list[float] = []
        tokens = fill(self.service, players, 1, workload)
        self.swarm = Swarm(players, ("127.0.0.1", self.service.cluster.links.port))
        self._tokens = tokens
        self._time = time

    def join(self) -> None:
        """Let everybody in.

        Raises: CannotMeasure: not all got in.
        """
        begun = 0
        for turn in range(100 * self.players):
            while begun < self.players and len(self.swarm.joining) < AT_ONCE:
                self.swarm.join(begun, self._tokens[begun])
                begun += 1
            if begun == self.players and not self.swarm.joining:
                return
            self._time.now += TICK_S
            self.swarm.send_handshakes(self._time.now)
            for _ in range(3):
                self.service.receive()
                while self.swarm.receive() is not None:
                    pass
            if turn % 4 == 0:
                self.service.tick()
        raise CannotMeasure(f"Only {int(self.swarm.is_connected.sum())} of {self.players} players got in.")

    def tick(self) -> None:
        """Take the inputs that came, and run a tick; its CPU time is kept."""
        # A pace that knows of no tick yet: game time must not slow down because this machine is busy.
        self.service.cluster.pace = Pace(TICK_S, self._time.now)
        before = thread_time_ns()
        self.service.receive()
        self.service.tick()
        self.spent_ms.append((thread_time_ns() - before) / 1e6)

    def snapshots(self) -> Snapshots:
        """Return what the clients received.

        Raises: CannotMeasure: not every client received one.
        """
        found = Snapshots(
            np.zeros((self.players, MAX_PAYLOAD_BYTES), np.uint8), np.zeros(self.players, np.int64)
        )
        while (batch := self.swarm.receive()) is not None:
            numbers, lengths, data = batch
            columns = np.arange(MAX_PAYLOAD_BYTES) < lengths[:, None]
            found.payloads[numbers] = np.where(columns, data[:, :MAX_PAYLOAD_BYTES], 0)
            found.lengths[numbers] = lengths
        missing = int(np.count_nonzero(found.lengths == 0))
        if missing:
            raise CannotMeasure(
                f"{missing} of {self.players} snapshots did not come: raise net.core.rmem_max."
            )
        return found

    def phases_ms(self) -> dict[str, float]:
        """Return the median CPU time of each phase over the rounds that were measured."""
        phases = self.service.cluster.phases
        return dict(zip(PHASES, np.median(phases.last(len(self.spent_ms)), axis=0) * 1000, strict=True))

    def close(self) -> None:
        """Close the sockets."""
        self.service.cluster.links.socket.close()
        self.swarm.socket.close()
