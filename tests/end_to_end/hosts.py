"""More machines for the tests: host agents as real processes, each with a state directory of its own.

A machine is an address of the loopback network, or a network namespace where those can be made.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.embedded_servers import wait_until
from tests.end_to_end.stack import ROOT, STOP_DEADLINE_S, Stack, children_of, name_of, outside_environment
from worlds.hosts.handshake import JoinCode, digest_of

READY_S = 120.0


class Machine:
    """A machine with a host agent."""

    def __init__(self, stack: Stack, name: str, wrapper: Sequence[str] = ()) -> None:
        """`wrapper` goes before the agent's command line, as of a network namespace."""
        self.name = name
        self.state_dir = Path(tempfile.mkdtemp(prefix=f"waystone-host-{name}-"))
        self._stack, self._wrapper = stack, wrapper
        secret = next(
            line
            for line in (stack.state_dir / "waystone.env").read_text().splitlines()
            if line.startswith("WAYSTONE_SECRET_KEY=")
        )
        self.environment = outside_environment() | {
            "WAYSTONE_STATE_DIR": str(self.state_dir),
            "DATABASE_URL": stack.setting("DATABASE_URL"),
            "REDIS_URL": stack.redis_url,
            "WAYSTONE_SECRET_KEY": secret.partition("=")[2],
            "WAYSTONE_PACKET_PATH": "plain",  # nothing to compile
            "WAYSTONE_PROCESS": f"agent-of-{name}",
        }
        self._agent: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self, *options: str) -> None:
        """Start the agent. Args: options: as --join CODE."""
        self.run("hostagent", *options)

    def run(self, *command: str) -> None:
        """Start one of manage.py's commands here; it takes the agent's place."""
        self._starts += 1
        with self.output.open("wb") as output:
            self._agent = subprocess.Popen(
                [*self._wrapper, sys.executable, "manage.py", *command],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> Path:
        """Where the present agent writes."""
        return self.state_dir / f"agent-{self._starts}.txt"

    def says(self, words: str) -> None:
        """Wait until the agent has said something."""
        wait_until(lambda: words in self.output.read_text(), READY_S, f"{self.name} says {words!r}")

    def ended(self) -> int:
        """Wait until the agent has ended by itself; return its exit code."""
        assert self._agent is not None
        return self._agent.wait(READY_S)

    def kill(self) -> None:
        """Kill -9 the agent."""
        assert self._agent is not None
        os.kill(self.agent_pid(), 9)
        self._agent.wait(STOP_DEADLINE_S)

    def agent_pid(self) -> int:
        """Return the agent's own pid: a wrapper executes it in its place."""
        assert self._agent is not None
        return self._agent.pid

    def pid_of(self, cluster: str) -> int | None:
        """Return the pid of a cluster that runs here."""
        if self._agent is None or self._agent.poll() is not None:
            return None
        return next(
            (pid for pid in children_of(self.agent_pid()) if name_of(pid) == f"zonecluster-{cluster}"), None
        )

    def logs(self) -> str:
        """Return the ends of all its logs."""
        files = [*self.state_dir.glob("agent-*.txt"), *self.state_dir.glob("log/*.log")]
        return "\n".join(f"---- {self.name}: {path.name}\n{path.read_text()[-3000:]}" for path in files)

    def stop(self) -> None:
        """Stop the agent and forget its files."""
        if self._agent is not None and self._agent.poll() is None:
            self._agent.terminate()
            try:
                self._agent.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self._agent.kill()
                self._agent.wait()
        shutil.rmtree(self.state_dir, ignore_errors=True)


def add_host(stack: Stack, name: str, address: str) -> str:
    """Make a host and a join code as the admin does; return the code. Args: address: of the door."""
    (world, status), *_ = stack.query("select id, host_status from worlds_world where slug = 'demo'")
    secret = os.urandom(32)
    code = JoinCode("demo", address, bytes.fromhex(status["door"]["fingerprint"]), secret)
    stack.query(
        "insert into worlds_host (world_id, name, join_digest, join_until, is_enabled, status)"
        " values (%s, %s, %s, now() + interval '1 hour', true, '{}')"
        " on conflict (world_id, name) do update set join_digest = excluded.join_digest,"
        " join_until = excluded.join_until returning id",
        world,
        name,
        digest_of(secret),
    )
    return code.text()


def add_cluster(stack: Stack, name: str, host: str | None, address: str) -> None:
    """Add a zone cluster's row, on a host or (None) on the daemon's own machine."""
    stack.query(
        "insert into worlds_zonecluster (world_id, name, host_id, udp_host, udp_port, public_host, "
        "max_players,"
        " is_enabled, status) select w.id, %s, (select id from worlds_host h where h.world_id = w.id and "
        "h.name = %s),"
        " %s, 0, '', 100, true, '{}' from worlds_world w where w.slug = 'demo' returning id",
        name,
        host,
        address,
    )
