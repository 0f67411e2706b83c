"""The measured side of `manage.py benchmark zone`: the zone cluster's own Service, with nobody on the bus.

Started as a process of its own by tests/benchmark/zone.py. What the world daemon would ask (open an instance,
admit players) is handed to the service as bus messages; what it answers stays here. Everything else is the
real thing: socket, packet path, tick, simulation, snapshots. Speaks JSON lines: commands on stdin, answers on
stdout.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from uuid import UUID, uuid4

import django
import numpy as np

django.setup()

from tests.benchmark.c_tick import STAGES, TickInC, compile_tick  # noqa: E402
from tests.benchmark.macro import Macro  # noqa: E402
from tests.benchmark.workloads import COMMANDS_PER_S, Talkers, places, zone_content  # noqa: E402
from worlds.bus import Outbox  # noqa: E402  (models need django.setup first)
from zonecluster.daemon.config import ClusterConfig  # noqa: E402
from zonecluster.daemon.phases import PHASES  # noqa: E402
from zonecluster.daemon.requests import zone_loaded  # noqa: E402
from zonecluster.daemon.service import Service  # noqa: E402
from zonecluster.protocol import bus  # noqa: E402
from zonecluster.protocol.character import Place  # noqa: E402
from zonecluster.rules.character import new_character_state, with_place  # noqa: E402

WORLD = "benchmark"


class Mailbox(Outbox):
    """Keeps connect tokens, by session; everything else for other processes is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[UUID, bytes] = {}
        self.macro: Macro | None = None
        self.tick = lambda: 0  # set with the macro

    def put(self, channel: str, message: bus.BusMessage) -> None:
        if isinstance(message, bus.Admitted):
            self.tokens[message.session] = message.connect_token
        elif self.macro is not None and isinstance(message, bus.ToLinks):
            self.macro.answered(message.message, monotonic(), self.tick())

    async def flush(self) -> None:
        """There is nobody to send to."""


class MeasuredService(Service):
    """The service, and when each of its ticks began and how long it took."""

    def __init__(self, config: ClusterConfig, wall_clock: Callable[[], float] = monotonic) -> None:
        super().__init__(config, wall_clock)
        self.cluster.outbox = self.mailbox = Mailbox()
        self.talkers: Talkers | None = None
        self.macro: Macro | None = None
        self.began: list[float] = []
        self.took: list[float] = []
        self._in_c: TickInC | None = None
        self._stages: list[list[float]] = []
        self._used = 0.0, 0.0  # by the accounts and by the process, s, when the last window began

    def hand_over_to_c(self) -> None:
        """From now on ticks are zone_tick.c's: what this machine could do at most. Everybody's link is up."""
        with TemporaryDirectory() as folder:
            self._in_c = TickInC(compile_tick(Path(folder)), self)

    def receive(self) -> None:
        if self._in_c is None:
            if self.macro is not None:  # at any time between two ticks, as from the bus
                self.handle_batch(self.macro.due(monotonic(), self.cluster.tables.tick))
            super().receive()
        else:
            self._in_c.receive(self.clock())

    def tick(self) -> None:
        if self._in_c is not None:
            self._tick_in_c(self._in_c)
            return
        if self.talkers is not None:
            self.handle_batch(self.talkers.next_tick())
        began = monotonic()
        super().tick()
        self.began.append(began)
        self.took.append(monotonic() - began)

    def _tick_in_c(self, in_c: TickInC) -> None:
        began = monotonic()
        self.cluster.pace.begin(began)
        in_c.tick(int(self.clock() * 1000), self.clock())
        self.began.append(began)
        self.took.append(monotonic() - began)
        self._stages.append(in_c.stages_ms())

    def forget(self) -> None:
        """Begin a new window."""
        self._stages.clear()
        self.began.clear()
        self.took.clear()

    def report(self) -> dict[str, object]:
        """Return the window's ticks (monotonic seconds), the CPU time of their phases, and counters."""
        is_in_c = self._in_c is not None
        phases_ms = self._stages if is_in_c else (self.cluster.phases.last(len(self.began)) * 1000).tolist()
        return {
            "began": self.began,
            "took": self.took,
            "phase_names": STAGES if is_in_c else PHASES,
            "phases_ms": phases_ms,
            "path": "C" if is_in_c else self.cluster.links.path.name,
            "links": self.cluster.links.statistics(),
            "counters": dict(self.cluster.counters),
        }

    def window_of_macro(self, per_s: float) -> dict[str, object]:
        """Begin a window in which one player macros so often; returns what the one before was like."""
        assert self.macro is not None
        self.cluster.settle(self.clock())
        used = sum(self.cluster.accounts.totals.values()), process_time()
        before, self._used = self._used, used
        found = self.macro.begin(per_s, monotonic())
        accounts_s, process_s = used[0] - before[0], used[1] - before[1]
        return {
            **found,
            "accounts_s": accounts_s,
            "process_s": process_s,
            "tick_ms": self.cluster.pace.tick_ms,
        }


def fill(service: MeasuredService, players: int, zones: int, workload: str) -> list[bytes]:
    """Open the instances, admit everybody, return their connect tokens."""
    rng = np.random.default_rng(1)
    each = -(-players // zones)
    content = zone_content(each, workload)
    for zone in range(zones):
        zone_loaded(service.cluster, bus.OpenInstance(zone + 1, content.slug), content)
    sessions = []
    for number, (x, y) in enumerate(places(players, workload, rng).tolist()):
        message = bus.Admit(
            session=uuid4(),
            request=uuid4(),
            instance=number % zones + 1,
            character=uuid4(),
            name=f"Bob {number}",
            state=with_place(new_character_state(), WORLD, Place("plain", (x, y, 0.0), 0.0)),
            gateway="gate",
            link=number + 1,
            order=1,
        )
        sessions.append(message.session)
        service.handle_batch([message])
    if workload == "lag":
        service.talkers = Talkers(sessions, COMMANDS_PER_S)
    if workload == "macro":
        service.macro = service.mailbox.macro = Macro(sessions)
        service.mailbox.tick = lambda: service.cluster.tables.tick
    return [service.mailbox.tokens[session] for session in sessions]


async def serve(service: MeasuredService, tokens_file: Path, arguments: dict) -> None:
    """Answer commands until "stop" or the end of stdin."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tokens_file.write_bytes(
        b"".join(fill(service, arguments["players"], arguments["zones"], arguments["workload"]))
    )
    ticking = asyncio.create_task(service.loop())
    answer({"port": service.cluster.links.port})
    while not ticking.done():
        line = await reader.readline()
        match line.strip():
            case b"reset":
                service.forget()
                answer({})
            case b"in_c":
                service.hand_over_to_c()
                answer({})
            case b"report":
                answer(service.report())
            case macro if macro.startswith(b"macro "):
                answer(service.window_of_macro(float(macro.split()[1])))
            case b"stop" | b"":
                service.stop()
                await ticking


def answer(message: dict) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    arguments = json.loads(sys.argv[1])
    if arguments["core"] is not None:
        os.sched_setaffinity(0, {arguments["core"]})
    config = ClusterConfig(
        world=WORLD,
        name="benchmark",
        udp_host="127.0.0.1",
        udp_port=0,
        public_hosts=("127.0.0.1",),
        max_players=arguments["players"],
        packet_path=arguments["path"],
    )
    asyncio.run(serve(MeasuredService(config), Path(arguments["tokens"]), arguments))


if __name__ == "__main__":
    main()
