"""A zone server and its players' clients under invented time: real systems, real clients, a bad network.

Not a test: used by test_prediction.py. The server ticks every 50 ms; a datagram takes as long as the
network says.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from waystone_client.input_log import InputLog
from waystone_client.prediction import TICK_S, OwnState, Prediction, Wish
from waystone_client.steering import Steering
from zonecluster.protocol.zone_payloads import ENTITY
from zonecluster.simulation.content import Triggers
from zonecluster.simulation.cursor import play_inputs
from zonecluster.simulation.effects import end_effects, set_base_speed
from zonecluster.simulation.inputs import decode_inputs
from zonecluster.simulation.movement import move
from zonecluster.simulation.tables import PLAYER, Tables

SIZE_M = 400.0
TOP_SPEED = 5.0


@dataclass(frozen=True)
class Network:
    """One way. Seconds; `loss` and `doubled` are chances; jitter is uniform, and reorders."""

    latency: float = 0.05
    jitter: float = 0.0
    loss: float = 0.0
    doubled: float = 0.0

    def delays(self, rng: random.Random) -> list[float]:
        """Return after how long each copy of a datagram arrives; none if it is lost."""
        copies = 0 if rng.random() < self.loss else 1 + (rng.random() < self.doubled)
        return [self.latency + rng.uniform(0.0, self.jitter) for _ in range(copies)]


class Server:
    """One zone and its players: `payloads` is what has arrived since the last tick, by row."""

    def __init__(self, players: int = 1) -> None:
        self.tables = Tables()
        place = self.tables.open_place(number=1, capacity=players, size=SIZE_M, triggers=Triggers.of(()))
        self.rows = [self.tables.take_row(place, PLAYER) for _ in range(players)]
        self.tables.has_zone_link[self.rows] = self.tables.has_world_link[self.rows] = True
        self.tables.position[self.rows, :2] = SIZE_M / 2
        set_base_speed(self.tables, np.array(self.rows), TOP_SPEED)
        self.payloads: list[tuple[int, bytes]] = []

    def tick(self) -> None:
        """Play one tick."""
        rows, payloads = [row for row, _ in self.payloads], [payload for _, payload in self.payloads]
        self.payloads = []
        self.tables.tick += 1
        play_inputs(self.tables, decode_inputs(rows, payloads), TICK_S)
        move(self.tables, TICK_S)
        end_effects(self.tables)

    def position(self, row: int) -> tuple[float, float]:
        """Return where a player stands, metres."""
        x, y, _ = self.tables.position[row].tolist()
        return x, y

    def own_state(self, row: int) -> tuple[int, int, OwnState]:
        """Return tick, input_lead and own state as a snapshot says them: quantised as on the wire."""
        tables, scale = self.tables, SIZE_M / 65535
        wire = np.zeros(1, ENTITY)
        wire["x"], wire["y"] = np.rint(tables.position[row, :2] / scale)
        lead = int(np.clip(tables.newest_seq[row] - tables.cursor[row], -128, 127))
        state = OwnState(
            input_ack=int(tables.cursor[row]),
            x=float(wire["x"][0]) * scale,
            y=float(wire["y"][0]) * scale,
            z=0.0,
            top_speed=round(float(tables.top_speed[row]) * 256) / 256,
            is_held=bool(tables.is_frozen[row]),
        )
        return tables.tick, lead, state


@dataclass
class Client:
    """A player's client: what it wishes is a function of its own tick."""

    wish: Callable[[int], Wish]
    prediction: Prediction = field(default_factory=lambda: Prediction(SIZE_M))
    steering: Steering = field(default_factory=Steering)
    log: InputLog = field(default_factory=InputLog)
    newest_tick: int = 0
    shown: list[tuple[float, float, float]] = field(default_factory=list)
    errors: list[tuple[float, float]] = field(default_factory=list)  # (time, error_m) of each snapshot

    def tick(self) -> bytes | None:
        """Play one client tick; returns what is to be sent."""
        wish = self.wish(self.prediction.tick + 1)
        tick = self.prediction.step(wish)
        self.shown.append(self.prediction.position)
        return self.log.note(tick, wish, self.newest_tick)

    def take(self, now: float, tick: int, lead: int, state: OwnState) -> None:
        """Take a snapshot, as the zone link does."""
        if tick <= self.newest_tick:
            return
        self.newest_tick = tick
        self.steering.take(tick, state.input_ack, lead, 1.0)
        self.prediction.reconcile(state)
        self.errors.append((now, self.prediction.error_m))


class World:
    """One server, one client, two ways between them; `run` lets time pass."""

    def __init__(self, client: Client, up: Network, down: Network, seed: int = 1) -> None:
        self.server, self.client, self.up, self.down = Server(), client, up, down
        self.now = 0.0
        self.client_sleeps_until = 0.0
        self._rng = random.Random(seed)
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._at(0.0, self._server_tick)
        self._at(self._rng.uniform(0.0, TICK_S), self._client_tick)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while self._queue[0][0] <= end:
            self.now, _, act = heapq.heappop(self._queue)
            act()
        self.now = end

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._numbers), act))

    def _server_tick(self) -> None:
        self._at(self.now + TICK_S, self._server_tick)
        self.server.tick()
        sent = self.server.own_state(self.server.rows[0])
        for delay in self.down.delays(self._rng):
            self._at(self.now + delay, lambda: self.client.take(self.now, *sent))

    def _client_tick(self) -> None:
        if self.now < self.client_sleeps_until:
            self._at(self.client_sleeps_until, self._client_tick)
            return
        payload = self.client.tick()
        self._at(self.now + self.client.steering.interval_s, self._client_tick)
        for delay in self.up.delays(self._rng) if payload is not None else ():
            self._at(self.now + delay, lambda: self.server.payloads.append((self.server.rows[0], payload)))
