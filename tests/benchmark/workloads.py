"""The workloads of `manage.py benchmark zone`: who stands where, what else is there.

All: a square zone of 500 m, everybody walks at 5 m/s and sends ten inputs a second.
zone: spread evenly. hotspot: half of all players within 50 m of one point, so within 100 m of each other.
box: all players within 64 m ("Players"). farm: 2,000 creatures wander among the players ("Farm"). lag: every
player sends commands as fast as a world link may ("Lag").
"""

from itertools import count
from uuid import UUID

import numpy as np

from zonecluster.protocol.bus import SessionCommand
from zonecluster.protocol.from_client import Command, Describe, Look
from zonecluster.simulation.content import SpawnContent, ZoneContent

WORKLOADS = ("zone", "hotspot", "box", "farm", "lag")
SIZE = 500.0  # metres, both ways
TOP_SPEED = 5.0
HOT_SPOT_M = 50.0  # radius of the hot spot that holds half of the players
BOX_M = 64.0
FARM_CREATURES = 2000
CREATURE_SPEED = 2.0
COMMANDS_PER_S = 30.0  # of one player: what the gateway lets through in the long run
DESCRIBED = 64  # the most entities that one command may ask for
TICKS_PER_S = 20


def places(players: int, workload: str, rng: np.random.Generator) -> np.ndarray:
    """Return (n, 2) metres: where everybody stands at first."""
    spread = rng.uniform(0, SIZE, (players, 2))
    if workload in ("box", "macro"):
        return (SIZE - BOX_M) / 2 + rng.uniform(0, BOX_M, (players, 2))
    if workload == "hotspot":
        angle, radius = rng.uniform(0, 2 * np.pi, players), HOT_SPOT_M * np.sqrt(rng.uniform(0, 1, players))
        spot = SIZE / 2 + np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
        return np.where(np.arange(players)[:, None] % 2 == 0, spot, spread)
    return spread


def zone_content(max_players: int, workload: str) -> ZoneContent:
    """Return the zone: nothing in it but, at the farm, its creatures."""
    farm = SpawnContent("cow", "Cow", CREATURE_SPEED, FARM_CREATURES, SIZE / 2, SIZE / 2, SIZE / 2)
    return ZoneContent(
        "plain",
        "Plain",
        "",
        SIZE,
        SIZE / 2,
        SIZE / 2,
        top_speed=TOP_SPEED,
        max_players=max_players,
        spawns=(farm,) if workload == "farm" else (),
    )


class Talkers:
    """What all players ask for on their world links: the dearest two commands there are, by turns."""

    def __init__(self, sessions: list[UUID], per_s: float) -> None:
        """Args: per_s: commands of each player in a second."""
        asked: list[Command] = [Look(1), Describe(2, list(range(DESCRIBED)))]
        # Made once: decoding them is the bus's part, which is left out here.
        self._messages = [
            SessionCommand(session, asked[(turn + number) % 2])
            for turn in range(2)
            for number, session in enumerate(sessions)
        ]
        self._per_tick = len(sessions) * per_s / TICKS_PER_S
        self._ticks = count()
        self._sent = 0

    def next_tick(self) -> list[SessionCommand]:
        """Return what arrives before the next tick: everybody's turn comes round evenly."""
        due = round((next(self._ticks) + 1) * self._per_tick)
        numbers = np.arange(self._sent, due) % max(len(self._messages), 1)
        self._sent = due
        return [self._messages[number] for number in numbers.tolist()]
