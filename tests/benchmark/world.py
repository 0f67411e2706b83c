"""A whole world under players: command round trips, handoffs between clusters, load on the bus, CPU.

Real processes of `manage.py up`, four zone clusters, eight zones in a ring whose ways begin near where one
arrives. Most players have a world link only and give a command each second; some (`crossers`) have both links
and go from cluster to cluster all the time: from the portal to the first snapshot of the new zone. All of it
runs on one machine, the clients too.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmark.restarts import make_accounts
from tests.embedded_servers import wait_until
from tests.end_to_end.stack import ROOT, Stack
from waystone_client import Master, Player, WaystoneError
from waystone_client.world_link import WorldLink
from zonecluster.protocol.from_client import Inventory

WORLD = "demo"
CLUSTERS, ZONES = 4, 8
SETTLE_S = 5.0
COMMAND_EVERY_S = 1.0
ENTERING_AT_ONCE = 8
HANDOFF_LIMIT_S = 20.0
PORTAL_X = 102.5  # where its disc begins, for those who come from the west
TICKS_S = 20.0  # of a cluster
ZONE = """slug = "ring-{number}"
name = "Ring {number}"
description = "A field."
size = 200
cluster = "ring-{cluster}"
is_entry = {is_entry}
max_players = 400
entry_x = 100
entry_y = 100

[[links]]
slug = "on"
label = "On"
x = 104
y = 100
radius = 1.5
target = "ring-{next}"
arrival_x = 100
arrival_y = 100
"""

Tell = Callable[[str], None]


class CannotMeasure(RuntimeError):
    """The platform did not come up, or players could not enter."""


@dataclass(frozen=True)
class Setting:
    """One run. `levels`: numbers of players, one after the other; `handoffs`: in all, at the last level."""

    levels: tuple[int, ...]
    crossers: int
    handoffs: int
    seconds: float


@dataclass
class Figures:
    """What one level came to. Round trips and handoffs in milliseconds."""

    round_trips: list[float] = field(default_factory=list)
    handoffs: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unanswered: int = 0


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p99 and the most; empty for none."""
    if not values:
        return {}
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(statistics.median(ordered), 1), "p99": round(p99, 1), "max": round(ordered[-1], 1)}


def write_pack(folder: Path) -> None:
    """Write the content pack of the ring."""
    (folder / "zones").mkdir()
    (folder / "pack.toml").write_text('format = 1\nname = "Ring"\nversion = "1"\n')
    clusters = [f'[[clusters]]\nslug = "ring-{number}"\nmax_players = 2000\n' for number in range(CLUSTERS)]
    (folder / "clusters.toml").write_text("\n".join(clusters))
    for number in range(ZONES):
        text = ZONE.format(
            number=number,
            cluster=number % CLUSTERS,
            is_entry=str(number == 0).lower(),
            next=(number + 1) % ZONES,
        )
        (folder / "zones" / f"ring-{number}.toml").write_text(text)


# ---------------------------------------------------------------- players


class Commander:
    """A player with a world link only, who gives a command each second."""

    def __init__(self, link: WorldLink) -> None:
        self.link = link

    @classmethod
    async def enter(cls, master: Master, character: str) -> "Commander":
        ticket = await master.ticket(WORLD)
        link = WorldLink(ticket.gateway_url, client="waystone-benchmark")
        welcome = await link.open(ticket=ticket.ticket)
        chosen: UUID = next(each.id for each in welcome.characters if each.name == character)
        await link.enter(chosen)
        return cls(link)

    async def play(self, number: int, figures: Figures, until: float) -> None:
        """Give commands until an instant, spread over the second."""
        await asyncio.sleep(number % 100 / 100 * COMMAND_EVERY_S)
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                await self.link.command(Inventory)
                figures.round_trips.append((time.perf_counter() - began) * 1000)
            except WaystoneError:
                figures.unanswered += 1
            await asyncio.sleep(max(0.0, COMMAND_EVERY_S - (time.perf_counter() - began)))


async def cross(player: Player, figures: Figures, wanted: int) -> None:
    """Go on until so many handoffs were made by all; each ends in a snapshot of the next zone, or is lost.

    A handoff begins when the player sees itself in the portal: the server does some 50 to 100 ms later.
    """
    while len(figures.handoffs) + len(figures.lost) < wanted:
        before = player.zone
        try:
            player.walk(1.0, 0.0)
            await player.wait_until(lambda: player.position[0] > PORTAL_X, HANDOFF_LIMIT_S, "the portal")
            began = time.perf_counter()
            await player.wait_until(
                lambda before=before: _is_beyond(player, before), HANDOFF_LIMIT_S, "the next zone"
            )
            figures.handoffs.append((time.perf_counter() - began) * 1000)
        except WaystoneError as error:
            figures.lost.append(str(error))
            if player.is_over:
                return


def _is_beyond(player: Player, before: object) -> bool:
    return player.zone is not before and player.snapshot is not None


# ---------------------------------------------------------------- what processes say


@dataclass(frozen=True)
class Reading:
    """Counters of one process."""

    cpu_s: float
    messages: float
    batches: float


async def read_processes(stack: Stack) -> dict[str, Reading]:
    """Read /metrics of every process that has one."""
    found = {}
    async with httpx.AsyncClient(timeout=10.0) as http:
        for file in sorted((stack.state_dir / "metrics").glob("*.json")):
            entry = json.loads(file.read_text())[0]
            target, labels = entry["targets"][0], entry["labels"]
            try:
                text = (await http.get(f"http://{target}/metrics")).text
            except httpx.HTTPError:
                continue  # a process that is gone: of a start before this one
            values = _sums(text)
            found[labels["process"]] = Reading(
                values.get("process_cpu_seconds_total", 0.0),
                sum(value for name, value in values.items() if name.endswith("_bus_messages_total")),
                sum(value for name, value in values.items() if name.endswith("_bus_batches_total")),
            )
    return found


def _sums(text: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values


def compare(
    before: dict[str, Reading], after: dict[str, Reading], seconds: float
) -> dict[str, dict[str, float]]:
    """Return each process's share of a core, and its messages and batches in a tick."""
    ticks = seconds * TICKS_S
    return {
        name: {
            "cores": round((now.cpu_s - before[name].cpu_s) / seconds, 3),
            "messages_a_tick": round((now.messages - before[name].messages) / ticks, 2),
            "batches_a_tick": round((now.batches - before[name].batches) / ticks, 2),
        }
        for name, now in after.items()
        if name in before
    }


# ---------------------------------------------------------------- the whole of it


async def measure(stack: Stack, setting: Setting, tell: Tell) -> list[dict[str, Any]]:
    """Let players in, level by level; return a line for each."""
    most = max(setting.levels) + setting.crossers
    tell(f"{most} accounts")
    accounts = await asyncio.to_thread(make_accounts, stack, most)
    masters = [Master(stack.url, token=token) for token, _ in accounts]
    commanders: list[Commander] = []
    crossers: list[Player] = []
    lines = []
    try:
        tell(f"{setting.crossers} who cross come in")
        for number in range(setting.crossers):
            crossers.append(await Player.enter(masters[number], WORLD, accounts[number][1]))
        for level in sorted(setting.levels):
            missing = range(setting.crossers + len(commanders), setting.crossers + level)
            gate = asyncio.Semaphore(ENTERING_AT_ONCE)

            async def come_in(number: int, gate: asyncio.Semaphore = gate) -> Commander:
                async with gate:
                    return await Commander.enter(masters[number], accounts[number][1])

            tell(f"{level} players come in")
            commanders += await asyncio.gather(*(come_in(number) for number in missing))
            await asyncio.sleep(SETTLE_S)
            is_last = level == max(setting.levels)
            tell(f"{level} players give commands" + (", some cross" if is_last else ""))
            lines.append(await _level(stack, setting, commanders, crossers if is_last else []))
    finally:
        await asyncio.gather(*(each.link.close() for each in commanders), return_exceptions=True)
        await asyncio.gather(*(each.leave() for each in crossers), return_exceptions=True)
        await asyncio.gather(*(master.close() for master in masters), return_exceptions=True)
    return lines


async def _level(
    stack: Stack, setting: Setting, commanders: list[Commander], crossers: list[Player]
) -> dict[str, Any]:
    """Measure commands and the bus while nobody crosses; then, with crossers, handoffs beside commands."""
    alone, crossing = Figures(), Figures()
    before, began = await read_processes(stack), time.monotonic()
    until = began + setting.seconds
    await asyncio.gather(*(each.play(n, alone, until) for n, each in enumerate(commanders)))
    seconds = time.monotonic() - began
    processes = compare(before, await read_processes(stack), seconds)
    line: dict[str, Any] = {
        "test": "world",
        "players": len(commanders),
        "commands_s": round(len(alone.round_trips) / seconds, 1),
        "command_ms": percentiles(alone.round_trips),
        "unanswered": alone.unanswered,
        "processes": processes,
        "batches_a_tick": round(sum(each["batches_a_tick"] for each in processes.values()), 2),
    }
    if crossers:
        began = time.monotonic()
        await asyncio.gather(*(cross(each, crossing, setting.handoffs) for each in crossers))
        line |= {
            "crossers": len(crossers),
            "handoffs": len(crossing.handoffs),
            "handoffs_s": round(len(crossing.handoffs) / (time.monotonic() - began), 1),
            "handoff_ms": percentiles(crossing.handoffs),
            "lost": len(crossing.lost),
            "first_lost": crossing.lost[:3],
        }
    return line


def prepare(stack: Stack) -> None:
    """Bring in the ring, and wait for its clusters."""
    with tempfile.TemporaryDirectory() as folder:
        write_pack(Path(folder))
        command = [sys.executable, "manage.py", "importcontent", folder, "--world", WORLD]
        subprocess.run(command, cwd=ROOT, env=stack.environment, check=True, capture_output=True)
    names = [f"zonecluster-ring-{number}" for number in range(CLUSTERS)]

    def are_up() -> bool:
        there = {file.stem.rpartition("-")[0] for file in (stack.state_dir / "metrics").glob("*.json")}
        return there.issuperset(names)

    wait_until(are_up, 180.0, "the clusters of the ring are up")


def run(setting: Setting, tell: Tell) -> list[dict[str, Any]]:
    """Start a platform, measure, stop it; return a line for each level.

    `ratio`: of the batches in a tick to those of the first level. Raises: CannotMeasure.
    """
    stack = Stack()
    try:
        tell("starting")
        stack.start()
        prepare(stack)
        lines = asyncio.run(measure(stack, setting, tell))
    except (AssertionError, TimeoutError, WaystoneError, subprocess.CalledProcessError) as error:
        raise CannotMeasure(f"{type(error).__name__}: {error}\n{stack.logs()}") from error
    finally:
        stack.stop()
    for line in lines:
        first = lines[0]["batches_a_tick"]
        line["ratio"] = round(line["batches_a_tick"] / first, 2) if first else None
    return lines
