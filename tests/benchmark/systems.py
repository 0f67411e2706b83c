"""What decoding, simulation, interest and encoding cost for all zones of a process, µs of CPU. Run by hand:

PYTHONPATH=.:platform python tests/benchmark/systems.py [ticks]

No socket, no sealing: `manage.py benchmark zone` measures the whole. Everybody walks and turns twice a
second, and acknowledges every snapshot.
"""

import sys
from collections import defaultdict
from statistics import median
from time import thread_time

import numpy as np

from zonecluster.daemon.views import Views
from zonecluster.interest.visibility import SightFault
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD
from zonecluster.simulation.content import LinkContent, SpawnContent, ZoneContent
from zonecluster.simulation.inputs import decode_input_matrix
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import Tables
from zonecluster.snapshots.parts import Clock

SIZE = 500.0
RECORDS = 2  # in each packet
PACKET = np.dtype([("header", INPUT_HEADER), ("records", INPUT_RECORD, (RECORDS,))])
TURN_TICKS = 10
CASES = (
    (1, 1920, 0),
    (64, 30, 0),
    (1, 4000, 0),
    (8, 500, 0),
    (1, 2000, 2000),
)  # zones, players of each, creatures


def opened(zones: int, players: int, creatures: int, rng: np.random.Generator) -> Tables:
    """Return tables with that many zones, each with so many linked players and creatures."""
    tables = Tables()
    middle = SIZE / 2
    spawns = (SpawnContent("wolf", "Wolf", 1.5, creatures, middle, middle, middle),) if creatures else ()
    links = tuple(LinkContent(f"p{n}", "P", "x", 20.0 * n, 10.0, 2.0) for n in range(8))
    content = ZoneContent("z", "Z", "", SIZE, 1, 1, max_players=players, links=links, spawns=spawns)
    for number in range(1, zones + 1):
        instance = ZoneInstance(number, content, tables, rng)
        for x, y in rng.uniform(0, SIZE, (players, 2)).tolist():
            row = instance.admit("Bob", Stand((x, y, 0.0), 0.0))
            instance.set_links(row, has_zone_link=True, has_world_link=True)
    return tables


def packets(tick: int, acknowledged: int, moves: np.ndarray) -> np.ndarray:
    """Return what all clients send: (m, length) u8; moves: (m, 2)."""
    sent = np.zeros(len(moves), PACKET)
    sent["header"]["kind"], sent["header"]["count"] = INPUT, RECORDS
    sent["header"]["snapshot_ack"] = acknowledged
    sent["records"]["seq"] = tick + np.arange(RECORDS) + 2
    sent["records"]["move_x"], sent["records"]["move_y"] = moves[:, :1], moves[:, 1:]
    return sent.view(np.uint8).reshape(len(moves), PACKET.itemsize)


def measure(zones: int, players: int, creatures: int, ticks: int) -> dict[str, float]:
    """Return the median µs of each part of a tick."""
    rng = np.random.default_rng(1)
    tables = opened(zones, players, creatures, rng)
    rows = tables.player_rows()
    slots, lengths = np.arange(len(rows)), np.full(len(rows), PACKET.itemsize)
    faults: list[SightFault] = []
    views = Views("auto", len(rows), sights={}, tell_fault=faults.append)
    parts: dict[str, list[float]] = defaultdict(list)
    since = 0.0

    def lap(part: str) -> None:
        nonlocal since
        parts[part].append((thread_time() - since) * 1e6)
        since = thread_time()

    for tick in range(1, ticks + 1):
        if tick % TURN_TICKS == 1:
            moves = rng.integers(-90, 91, (len(rows), 2))
        data = packets(tick, tables.tick if tick > 1 else 0, moves)
        since = thread_time()
        inputs = decode_input_matrix(rows, data, lengths)
        views.acknowledge(slots[inputs.payloads], inputs.acks)
        lap("inputs")
        step(tables, inputs, TICK_S, rng)
        lap("simulation")
        views.snapshots(tables, rows, slots, Clock(tables.tick, tick * 50), lap)
    return {part: median(times) for part, times in parts.items()}


if __name__ == "__main__":
    for case in CASES:
        found = measure(*case, ticks=int(sys.argv[1]) if len(sys.argv) > 1 else 60)
        shown = ", ".join(f"{part} {us:,.0f}" for part, us in found.items())
        zones, players, creatures = case
        what = f"{zones} x {players} players" + (f" and {creatures} creatures" if creatures else "")
        sys.stdout.write(f"{what}: {sum(found.values()):,.0f} us ({shown})\n")
