"""The simulated world with a host agent, and with restarts as rows: for the tests of restarts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from tests.unit.worlds.daemon.model_cluster import Cluster
from tests.unit.worlds.daemon.model_players import Player
from tests.unit.worlds.daemon.simulation import Faults, Simulation
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.events import SessionsLoaded
from worlds.daemon.core.hosts import HostHeard, WantClusters
from worlds.daemon.core.restart_work import Stage
from worlds.daemon.core.upkeep import EndAlarm, NoteRestart, RaiseAlarm, RestartRow, UpkeepLoaded
from worlds.hosts.messages import ClusterRun, ProcessRun, Report
from worlds.restart_steps import Step, document_of, steps_of
from zonecluster.protocol.to_client import Goodbye, Notice

BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
CALM = Faults(*[0.0] * len(Faults.__dataclass_fields__))
START_S, DAEMON_S = 2.0, 1.5  # how long a cluster, and the daemon, takes to start


class Restarting(Simulation):
    """A world whose clusters one agent runs. `row`: the restart that was asked for."""

    def __init__(self, seed: int, faults: Faults = CALM, players: int = 4) -> None:
        super().__init__(seed, faults, players)
        self.row: RestartRow | None = None
        self.error = ""
        self.alarms: dict[str, str] = {}
        self.generations: dict[str, int] = {"east": 0, "west": 0}
        self.processes: dict[str, int] = {"gateway": 0, "worlddaemon": 0}
        self.has_agent = True
        self.read_at = 0.0
        self.starts = 0
        for player in self.players:
            self._listen(player)

    def _listen(self, player: Player) -> None:
        player.told, get = [], player.get

        def hear(message: object) -> None:
            player.told.append(message)
            get(message)

        player.get = hear

    # ---------------------------------------------------------------- the rows

    def ask(self, kind: str, in_s: float = 5.0, reason: str = "") -> None:
        """Plan a restart."""
        due_at = self.wall + timedelta(seconds=in_s)
        self.row = RestartRow(1, kind, "planned", due_at, reason, None, ())  # type: ignore[arg-type]

    @property
    def wall(self) -> datetime:
        """Return the instant."""
        return BEGIN + timedelta(seconds=self.now)

    @property
    def steps(self) -> list[Step]:
        """Return what was written down."""
        return steps_of(list(self.row.steps)) if self.row is not None else []

    @property
    def whats(self) -> list[str]:
        """Return what was done."""
        return [step.what for step in self.steps]

    @property
    def stage(self) -> Stage | None:
        """Return where the daemon is with it."""
        work = self.core.world.restart if self.core is not None else None
        return work.stage if work is not None else None

    def note(self, note: NoteRestart) -> None:
        """Write the row, as worlds/daemon/restart_rows.py does."""
        row = self.row
        if row is None or row.id != note.row or row.state not in ("planned", "running"):
            return
        if note.due_at is not None and (row.state != "planned" or row.due_at != note.due_at):
            return
        state = row.state if note.state == "planned" else note.state
        # through JSON, as the database keeps it
        added = msgspec.json.decode(msgspec.json.encode(document_of(*note.steps)))
        self.row = replace(row, state=state, steps=(*row.steps, *added))  # type: ignore[arg-type]
        self.error = note.error or self.error

    def read_upkeep(self) -> None:
        """Read the rows; what is read comes a little later."""
        rows = (self.row,) if self.row is not None and self.row.state in ("planned", "running") else ()
        event, generation = UpkeepLoaded(self.wall, (), rows), self.generation
        self.after(0.05, lambda: generation == self.generation and self.feed(event))

    # ---------------------------------------------------------------- the agent

    def step(self) -> None:
        """One step, with a report of the agent once a second."""
        super().step()
        if self.now // 1 > self.read_at // 1 and self.has_agent:
            self.read_at = self.now
            self.feed(HostHeard("", self.report()))

    def report(self) -> Report:
        """Return what the agent says."""
        runs = [
            ClusterRun(
                name,
                self.generations[name],
                "ready" if cluster else "waiting",
                cluster.incarnation if cluster else 0,
            )
            for name, cluster in sorted(self.clusters.items())
        ]
        others = [ProcessRun(name, number, "ready") for name, number in self.processes.items()]
        return Report(runs, 4.0, 8000, processes=others)

    def obey(self, wanted: WantClusters) -> None:
        """Restart what has a higher generation."""
        if not self.has_agent:
            return
        for name, generation in wanted.clusters.items():
            if generation > self.generations[name]:
                self.generations[name] = generation
                self.clusters[name] = None
                self.reborn_at[name] = self.now + START_S
        for name, generation in wanted.processes.items():
            if generation > self.processes[name]:
                self.processes[name] = generation
                if name == "gateway":
                    self.kill_gateway()
                else:
                    self.kill_daemon()

    def kill_daemon(self) -> None:
        """The daemon ends; the next one starts soon."""
        super().kill_daemon()
        self.core_reborn_at = self.now + DAEMON_S

    def start_daemon(self) -> None:
        """Start a daemon that knows when it was started."""
        self.generation += 1
        self.starts += 1
        self.ghosts_until = self.now + 12.0 if self.generation > 1 else 0.0
        self.core = DaemonCore(self.catalog, self.wall, self.generation << 40)
        self.feed(SessionsLoaded(sorted(self.rows.values(), key=lambda row: row.id)))

    # ---------------------------------------------------------------- effects

    def carry_out(self, effect: object) -> None:
        """Carry out what the simulation does not know."""
        match effect:
            case NoteRestart():
                self.after(
                    0.02, lambda: self.note(effect)
                )  # rows are written, whatever becomes of the daemon
            case WantClusters():
                self.after(0.01, lambda: self.obey(effect))
            case RaiseAlarm(key, text):
                self.alarms[key] = text
            case EndAlarm(key):
                self.alarms.pop(key, None)
            case _:
                super().carry_out(effect)

    # ---------------------------------------------------------------- looking

    def settle(self, seconds: float = 12.0) -> None:
        """Let everybody come in."""
        self.run(self.now + seconds)
        assert all(player.zone is not None for player in self.players)

    def run_to(self, stage: Stage | None, limit_s: float = 150.0) -> None:
        """Run until the daemon is at a stage; None: until the row has ended."""
        end = self.now + limit_s
        while self.now < end:
            self.run(self.now + self.step_s)
            is_over = self.row is not None and self.row.state not in ("planned", "running")
            if (stage is None and is_over) or (stage is not None and self.stage is stage):
                return
        raise AssertionError(f"not {stage} after {limit_s} s: {self.stage}, {self.whats}, {self.error}")

    def heard(self, kind: type) -> list[object]:
        """Return what players were told."""
        return [message for player in self.players for message in player.told if isinstance(message, kind)]

    def notices(self) -> list[str]:
        """Return the first player's notices."""
        return [message.text for message in self.players[0].told if isinstance(message, Notice)]

    def assert_nobody_was_put_out(self) -> None:
        """Everybody plays, on the session that it had, and nobody has heard Goodbye."""
        assert not self.heard(Goodbye)
        self.run(self.now + 14.0)
        for cluster in self.clusters.values():
            assert isinstance(cluster, Cluster)
            cluster.live = lambda rng: None  # type: ignore[method-assign]
        for player in self.players:
            player.wants_to_trade = False
        self.run(self.now + 10.0)
        self.check_all_play()
