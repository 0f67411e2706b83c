"""What a tick of one zone instance costs, part by part, with NETCODE links, in ms of CPU. Run by hand:

PYTHONPATH=.:platform python tests/benchmark/zone_tick.py [players …]

No socket: datagrams go from client cores to the server core by hand, so that only its work is measured.
"""

import secrets
import sys
from statistics import median
from time import thread_time

import numpy as np

from zonecluster.protocol.netcode import PROTOCOL_ID, ClientCore, Payload, ServerCore, mint_connect_token
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD
from zonecluster.simulation.content import LinkContent, SpawnContent, ZoneContent
from zonecluster.simulation.inputs import decode_inputs
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.snapshots import Clock

SIZE = 1024.0
TICKS = 60
ADDRESS = ("127.0.0.1", 4000)


class Stopwatch:
    """Milliseconds of CPU by part: they hardly depend on what else the machine does."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}
        self._since = thread_time()

    def start(self) -> None:
        self._since = thread_time()

    def lap(self, part: str) -> None:
        now = thread_time()
        self.parts.setdefault(part, []).append((now - self._since) * 1000)
        self._since = now


def crowded_instance(players: int, rng: np.random.Generator) -> ZoneInstance:
    """Return an instance with that many linked players, half of them within some 40 m of its middle."""
    spawn = SpawnContent("wolf", "Wolf", 1.5, 200, SIZE / 2, SIZE / 2, SIZE / 2)
    links = tuple(LinkContent(f"p{n}", "P", "x", 20.0 * n, 10.0, 2.0) for n in range(8))
    content = ZoneContent("z", "Z", "", SIZE, 1.0, 1.0, max_players=players, spawns=(spawn,), links=links)
    instance = ZoneInstance(1, content, rng)
    for number in range(players):
        place = rng.normal(SIZE / 2, 20, 2) if number % 2 else rng.uniform(0, SIZE, 2)
        row = instance.admit(f"Bob {number}", Stand((*place.tolist(), 0.0), 0.0))
        instance.set_links(row, has_zone_link=True, has_world_link=True)
    return instance


def connected(players: int) -> tuple[ServerCore, dict[int, ClientCore]]:
    """Return a server core and its connected client cores by client id."""
    key = secrets.token_bytes(32)
    server = ServerCore(
        protocol_id=PROTOCOL_ID,
        private_key=key,
        public_addresses=[ADDRESS],
        random_bytes=secrets.token_bytes,
        max_clients=players,
    )
    clients = {}
    for number in range(players):
        token = mint_connect_token(
            client_id=number,
            server_addresses=[ADDRESS],
            user_data=b"",
            expire_s=3600,
            timeout_s=3600,
            protocol_id=PROTOCOL_ID,
            private_key=key,
            random_bytes=secrets.token_bytes,
            unix_now=1.0,
        )
        clients[number] = ClientCore(token, 0.0)
    for turn in range(1, 8):
        exchange(server, clients, turn * 0.2)
    server.events()
    assert server.connected_count == players
    return server, clients


def client_address(number: int) -> tuple[str, int]:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5000


def exchange(server: ServerCore, clients: dict[int, ClientCore], now: float) -> None:
    """Carry all datagrams both ways."""
    for number, client in clients.items():
        client.handle_timeout(now)
        for data, _ in client.datagrams_to_send():
            server.receive_datagram(data, client_address(number), now, 1.0)
    server.handle_timeout(now)
    by_address = {client_address(number): client for number, client in clients.items()}
    for data, address in server.datagrams_to_send():
        by_address[address].receive_datagram(data, ADDRESS, now)


def measure(players: int) -> dict[str, float]:
    """Return the median ms of each part of a tick."""
    rng = np.random.default_rng(1)
    instance, watch = crowded_instance(players, rng), Stopwatch()
    server, clients = connected(players)
    rows = instance.tables.player_rows().tolist()
    for tick in range(1, TICKS + 1):
        now = 2.0 + tick * 0.05
        header = np.array((INPUT, 4, 0), INPUT_HEADER).tobytes()
        records = np.zeros(4, INPUT_RECORD)
        records["seq"] = np.arange(tick, tick + 4)
        datagrams = []
        for number, client in clients.items():
            records["move_x"], records["move_y"] = rng.integers(-90, 90, 2)
            client.send_payload(header + records.tobytes(), now)
            datagrams += [(data, client_address(number)) for data, _ in client.datagrams_to_send()]
        watch.start()
        server.receive_datagrams(datagrams, now, 1.0)
        events = [event for event in server.events() if isinstance(event, Payload)]
        watch.lap("receive and open")
        inputs = decode_inputs([rows[event.client_id] for event in events], [event.data for event in events])
        watch.lap("decode inputs")
        instance.step(inputs)
        watch.lap("systems")
        snapshots = instance.snapshots(Clock(1))
        watch.lap("interest, snapshots")
        payloads = [(number, payload.tobytes()) for number, payload in enumerate(snapshots.payloads)]
        server.send_payloads(payloads, now)
        server.datagrams_to_send()
        watch.lap("seal")
    return {part: median(times) for part, times in watch.parts.items()}


if __name__ == "__main__":
    for count in map(int, sys.argv[1:] or ("100", "500", "1000")):
        found = measure(count)
        parts = ", ".join(f"{part} {ms:.2f}" for part, ms in found.items())
        sys.stdout.write(f"{count} players: {sum(found.values()):.1f} ms ({parts})\n")
