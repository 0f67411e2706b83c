"""The host link over a network that is cut: two machines as network namespaces, a cable between them.

Made by `unshare` and `ip`: only where this may be done (as root, with the iproute2 tools); skipped elsewhere.
Nothing
outside the two namespaces is touched.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.embedded_servers import wait_until

ROOT = Path(__file__).resolve().parents[4]
WAIT_S = 60.0
DAEMON_IP, AGENT_IP, PORT = "10.203.0.1", "10.203.0.2", 8470
SIDES = Path(__file__).with_name("cut_cable_sides.py")
TOOLS = ("unshare", "nsenter", "ip")


def can_make_namespaces() -> bool:
    """Whether this user may make a network namespace with a device in it."""
    if any(shutil.which(tool) is None for tool in TOOLS):
        return False
    try_it = [
        "unshare",
        "-n",
        "sh",
        "-c",
        "ip link set lo up && ip link add name one type veth peer name two",
    ]
    return subprocess.run(try_it, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not can_make_namespaces(), reason="no network namespaces here: needs root, unshare, nsenter and ip"
)


@dataclass
class Machine:
    """A process in a network namespace of its own, and what it says."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> list[str]:
        return self.output.read_text().splitlines()

    def ip(self, *words: str) -> None:
        """Change the machine's network."""
        subprocess.run(["nsenter", "-t", str(self.process.pid), "-n", "ip", *words], check=True)

    def says(self, words: str, times: int = 1) -> None:
        def has_said() -> bool:
            assert self.process.poll() is None, self.said
            return sum(words in line for line in self.said) >= times

        wait_until(has_said, WAIT_S, f"{words!r} is said {times} times")


@contextlib.contextmanager
def machine(folder: Path, side: str) -> Iterator[Machine]:
    output = folder / f"{side}.txt"
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "platform", "clients/python"))
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["unshare", "-n", sys.executable, "-u", str(SIDES), side, str(folder), DAEMON_IP, str(PORT)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "waystone.settings"},
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
        )
    try:
        yield Machine(process, output)
    finally:
        process.kill()
        process.wait()


def test_a_cut_cable_is_noticed_on_both_ends_and_mended_by_itself(tmp_path):
    with machine(tmp_path, "daemon") as daemon, machine(tmp_path, "agent") as agent:
        for each in (daemon, agent):
            each.says("waiting for the network")
        daemon.ip(
            "link",
            "add",
            "name",
            "cable",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            str(agent.process.pid),
        )
        for each, address in ((daemon, DAEMON_IP), (agent, AGENT_IP)):
            each.ip("address", "add", f"{address}/24", "dev", "cable")
            each.ip("link", "set", "cable", "up")
            each.ip("link", "set", "lo", "up")
            each.process.stdin.write(b"go\n")
            each.process.stdin.flush()
        daemon.says("heard second: 1 clusters")
        agent.says("welcome as second")

        agent.ip("link", "set", "cable", "down")
        began = time.monotonic()
        daemon.says("lost second")
        agent.says("down")
        assert time.monotonic() - began > 2, "silence, not an error, told them"

        agent.ip("link", "set", "cable", "up")
        agent.says("welcome as second", times=2)
        daemon.says("heard second: 1 clusters", times=2)
