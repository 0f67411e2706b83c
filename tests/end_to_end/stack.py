"""The whole platform as real processes, started by `manage.py up` on free ports in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from tests.embedded_servers import free_port, free_ports, wait_until
from worlds.daemon.journal.records import Write
from worlds.daemon.journal.recovery import recover

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE_S = 300.0  # two shared cores, eight processes
STOP_DEADLINE_S = 60.0
UDP_PORTS = 10  # one for each zone cluster that a test has, and some
LOG_TAIL_BYTES = 3000
LAST_LINE = b"Ctrl-C stops "  # of what `up` prints: addresses and log-ins stand above it


def outside_environment() -> dict[str, str]:
    """Return this process's environment without what the tests' conftest set for Django in it."""
    own = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "NOTIFY_SOCKET")
    return {
        key: value
        for key, value in os.environ.items()
        if key not in own and (key == "WAYSTONE_NO_BOOTSTRAP" or not key.startswith("WAYSTONE_"))
    }


class Stack:
    """A running platform. `start` it, `stop` it; in between break it by `kill`, `pause` and `unpause`."""

    def __init__(self) -> None:
        self.state_dir = Path(tempfile.mkdtemp(prefix="waystone-e2e-"))
        self.state_dir.chmod(0o711)  # the database's own user must get through
        self.web_port, self.gateway_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.web_port}"
        self.gateway_url = f"ws://127.0.0.1:{self.gateway_port}/world-link/"
        self.environment = outside_environment() | {
            "WAYSTONE_STATE_DIR": str(self.state_dir),
            "WAYSTONE_WEB_PORT": str(self.web_port),
            "WAYSTONE_GATEWAY_PORT": str(self.gateway_port),
            "WAYSTONE_POSTGRES_PORT": str(free_port()),
            "WAYSTONE_VALKEY_PORT": str(free_port()),
            # Said, not chosen: a first start elsewhere takes the block of a platform that is stopped.
            "WAYSTONE_UDP_PORT_BASE": str(free_ports(UDP_PORTS)),
            "WAYSTONE_HOSTS_BIND": f"127.0.0.1:{free_port()}",
        }
        self._output = self.state_dir / "up.log"
        self._up: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start everything and wait until `up` says that it is ready. Args: options: of `up`."""
        with self._output.open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "manage.py", "up", *options],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(self._is_ready_or_dead, START_DEADLINE_S, "manage.py up is ready")
            assert self._up.poll() is None, "manage.py up ended"
        except AssertionError as error:
            causes = self.logs()
            self.stop()
            raise AssertionError(f"{error}\n{causes}") from None

    def stop(self, *, is_kept: bool = False) -> int | None:
        """Stop everything as Ctrl-C would; returns the exit code of `up`.

        Args: is_kept: leave the state directory, to be looked at.
        """
        code = None
        if self._up is not None:
            self._up.terminate()
            try:
                code = self._up.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._up.pid, signal.SIGKILL)
                self._up.wait()
        if not is_kept:
            shutil.rmtree(self.state_dir, ignore_errors=True)
        return code

    def _is_ready_or_dead(self) -> bool:
        assert self._up is not None
        return self._up.poll() is not None or LAST_LINE in self._output.read_bytes()

    # ------------------------------------------------------------ breaking things

    def pid_of(self, process: str) -> int | None:
        """Return the pid of a process by the supervisor's name for it; None while it is not there."""
        assert self._up is not None
        for child in children_of(self._up.pid):
            if name_of(child) == process:
                return child
        return None

    def kill(self, process: str) -> None:
        """Kill -9 a process; the supervisor starts it again."""
        os.kill(self._present(process), signal.SIGKILL)

    def pause(self, process: str) -> None:
        """Stop a process and its children where they are: to others it is as good as down."""
        self._signal_all(process, signal.SIGSTOP)

    def unpause(self, process: str) -> None:
        """Let a paused process go on."""
        self._signal_all(process, signal.SIGCONT)

    def _signal_all(self, process: str, number: signal.Signals) -> None:
        pid = self._present(process)
        for each in (pid, *children_of(pid)):
            os.kill(each, number)

    def _present(self, process: str) -> int:
        wait_until(lambda: self.pid_of(process) is not None, 60.0, f"{process} runs")
        pid = self.pid_of(process)
        assert pid is not None
        return pid

    # ------------------------------------------------------------ looking inside

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the platform's database."""
        with psycopg.connect(self.setting("DATABASE_URL")) as connection:
            return connection.execute(statement, parameters).fetchall()

    @property
    def redis_url(self) -> str:
        """The address of the platform's Valkey, password included."""
        return self.setting("REDIS_URL")

    def setting(self, name: str) -> str:
        """Return how to reach one of the platform's own servers, as embedded.env says."""
        lines = (self.state_dir / "embedded.env").read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith(name + "="))

    def saved_state(self, character: str) -> dict[str, Any]:
        """Return the newest accepted state of a character's main line."""
        rows = self.query(
            "select l.state from characters_line l join characters_character c on c.id = l.character_id"
            " where c.name = %s and l.world_id is null",
            character,
        )
        return json.loads(bytes(rows[0][0]))

    def journaled_states(self, character: UUID) -> list[dict[str, Any]]:
        """Return a character's states in the demo world's journal, answered writes among them."""
        paths = sorted((self.state_dir / "journal" / "demo").glob("*.journal"))
        segments = recover([(path.name, path.read_bytes()) for path in paths])
        records = [record for each in segments for commit in each.commits for record in commit.records]
        writes = [each for each in records if isinstance(each, Write) and each.character == character]
        return [json.loads(write.state) for write in writes]

    def said(self) -> str:
        """Return what `up` has said so far."""
        return self._output.read_text(errors="replace")

    def logs(self) -> str:
        """Return the ends of all logs, for a failure's report."""
        if not self._output.exists():
            return "The platform has been stopped, and its logs are gone."
        parts = []
        for path in [self._output, *sorted((self.state_dir / "log").glob("*.log"))]:
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
                parts.append(f"---- {path.name}\n{log.read().decode(errors='replace')}")
        return "\n".join(parts)


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's direct children."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.name))
    return found


def name_of(pid: int) -> str:
    """Return the supervisor's name for a child of it."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    for entry in environment:
        if entry.startswith(b"WAYSTONE_PROCESS="):
            return entry.partition(b"=")[2].decode()
    program = Path(command.replace(b"\0", b" ").split(b" ")[0].decode()).name  # valkey rewrites its arguments
    return {"valkey-server": "valkey", "postgres": "postgres"}.get(program, "")
