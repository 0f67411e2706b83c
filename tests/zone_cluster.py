"""A zone cluster without its loop, and players with real UDP sockets: for integration tests."""

import socket
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from tests.embedded_servers import wait_until
from worlds.bus import Outbox, daemon_channel, gateway_channel
from zonecluster.daemon.config import load_config
from zonecluster.daemon.content import load_zone
from zonecluster.daemon.players import Player
from zonecluster.daemon.requests import zone_loaded
from zonecluster.daemon.service import Service
from zonecluster.hot_code import Choice
from zonecluster.protocol import bus
from zonecluster.protocol.netcode import ClientCore, ClientState, PayloadReceived
from zonecluster.protocol.snapshot_view import Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, SNAPSHOT_HEADER
from zonecluster.rules.character import new_character_state

HARBOUR, MOSSGATE = 1001, 2001  # instances


class RecordingOutbox(Outbox):
    """An outbox that keeps what is put into it, by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.put_messages: list[tuple[str, bus.BusMessage]] = []

    def put(self, channel: str, message: bus.BusMessage) -> None:
        super().put(channel, message)
        self.put_messages.append((channel, message))


class ClusterUnderTest:
    """The service with its steps called by hand."""

    def __init__(self, wall_clock: Callable[[], float] = monotonic, packet_path: Choice = "auto") -> None:
        config = replace(load_config("demo", "east"), packet_path=packet_path)
        self.service = Service(config, wall_clock)
        self.cluster = self.service.cluster
        self.outbox = self.cluster.outbox = RecordingOutbox()
        for number, slug in ((HARBOUR, "harbour"), (MOSSGATE, "mossgate")):
            zone_loaded(self.cluster, bus.OpenInstance(number, slug), load_zone("demo", slug))
        self.orders = 0
        self.outbox.put_messages.clear()

    def do(self, *messages: bus.BusMessage) -> None:
        """Hand messages to the cluster as the bus would: through their bytes."""
        self.service.handle_batch(bus.cluster_decoder.decode(bus.encoder.encode(messages)))

    def tick(self) -> None:
        """Receive what is there, and run one tick."""
        self.cluster.links.receive()
        self.service.ticks.run(monotonic())

    def to_daemon(self, kind: type) -> list[Any]:
        """Return what was sent to the daemon of that kind."""
        return [
            m
            for channel, m in self.outbox.put_messages
            if channel == daemon_channel("demo") and type(m) is kind
        ]

    def to_gateway(self, kind: type, link: int | None = None) -> list[Any]:
        """Return the client messages of that kind that went to the gateway, for one link or any."""
        sent = [
            m
            for to, m in self.outbox.put_messages
            if to == gateway_channel("gate") and isinstance(m, bus.ToLinks)
        ]
        return [m.message for m in sent if type(m.message) is kind and (link is None or link in m.links)]

    def next_order(self) -> int:
        """Return a new order number."""
        self.orders += 1
        return self.orders

    def admit(self, name: str, instance: int = HARBOUR, *, link: int = 1, **changes) -> bus.Admit:
        """Send an Admit and return it."""
        fields = {
            "session": uuid4(),
            "request": uuid4(),
            "instance": instance,
            "character": uuid4(),
            "name": name,
            "state": new_character_state(),
            "gateway": "gate",
            "link": link,
            "order": self.next_order(),
        }
        message = bus.Admit(**{**fields, **changes})
        self.do(message)
        return message

    def token_of(self, request: UUID) -> bytes:
        """Return the connect token that answered a request."""
        return next(m.connect_token for m in self.to_daemon(bus.Admitted) if m.request == request)

    def player(self, session: UUID) -> Player:
        """Return the cluster's record of a session that is here."""
        player = self.cluster.roster.find(session)
        assert player is not None
        return player

    def freeze(self, session: UUID, instance: int = 0) -> bus.Frozen:
        """Freeze a player and return the answer."""
        request = uuid4()
        self.do(bus.Freeze(session, request, instance, self.next_order()))
        return next(m for m in self.to_daemon(bus.Frozen) if m.request == request)


class UdpPlayer:
    """A client's zone link: ClientCore on a real loopback socket."""

    def __init__(self, token: bytes) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.core = ClientCore(token, monotonic())
        self.reader = SnapshotReader()
        self.snapshots: list[tuple[Any, np.ndarray]] = []
        self.seq = 0

    def pump(self) -> int:
        """Receive, keep alive, send; returns how many snapshots have come in all."""
        now = monotonic()
        while True:
            try:
                data, address = self.socket.recvfrom(2048)
            except BlockingIOError:
                break
            self.core.receive_datagram(data, address, now)
        self.core.handle_timeout(now)
        for data, address in self.core.datagrams_to_send():
            self.socket.sendto(data, address)
        for event in self.core.events():
            if isinstance(event, PayloadReceived):
                snapshot = self.reader.read(event.data)
                if isinstance(snapshot, Snapshot):
                    header = np.frombuffer(event.data, SNAPSHOT_HEADER, 1)[0]
                    self.snapshots.append((header, snapshot.entities))
        return len(self.snapshots)

    @property
    def is_connected(self) -> bool:
        return self.core.state is ClientState.CONNECTED

    @property
    def header(self) -> Any:
        """Return the header of the newest snapshot."""
        return self.snapshots[-1][0]

    @property
    def entities(self) -> np.ndarray:
        """Return the records of the newest snapshot."""
        return self.snapshots[-1][1]

    def walk(self, east: int, north: int) -> None:
        """Send one input."""
        self.seq += 1
        header = np.array((INPUT, 1, self.reader.newest_tick), INPUT_HEADER)
        record = np.array((self.seq, east, north, 0, 0), INPUT_RECORD)
        self.core.send_payload(header.tobytes() + record.tobytes(), monotonic())


def run_until(cluster: ClusterUnderTest, players: list[UdpPlayer], condition: Callable[[], object]) -> None:
    """Tick and pump until something is so."""

    def turn() -> bool:
        for player in players:
            player.pump()
        cluster.tick()
        return bool(condition())

    wait_until(turn, 20, "the zone cluster and its players coming to it")
