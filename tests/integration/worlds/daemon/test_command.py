"""`manage.py worlddaemon` as a process: what it says when it cannot start, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.embedded_servers import free_port, wait_until
from tests.integration.worlds.makers import make_world
from worlds.uplink.keys import write_key

ROOT = Path(__file__).resolve().parents[4]
DEADLINE_S = 90.0


class Daemon:
    """The process, and what it has said so far."""

    def __init__(self, environment: dict[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "worlddaemon", *arguments],
                cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def ends(self) -> int:
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def environment(process_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A world with a key, and a master that is not there."""
    make_world("aurora")
    key = tmp_path / "world.pem"
    write_key(key, Ed25519PrivateKey.generate())
    own = {
        "WAYSTONE_WORLD": "aurora",
        "WAYSTONE_WORLD_KEY_FILE": str(key),
        "WAYSTONE_MASTER_URL": f"http://127.0.0.1:{free_port()}",
    }
    return {**process_environment, **own}


@pytest.fixture
def started() -> Iterator[list[Daemon]]:
    daemons: list[Daemon] = []
    yield daemons
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"WAYSTONE_WORLD": "nowhere"}, "There is no world 'nowhere'"),
        ({"WAYSTONE_WORLD_KEY_FILE": "/nowhere/key.pem"}, "cannot read the key file /nowhere/key.pem"),
        ({"DATABASE_URL": "postgresql://waystone@127.0.0.1:1/waystone"}, "PostgreSQL does not answer"),
    ],
)
def test_says_what_is_missing(
    environment: dict[str, str], started: list[Daemon], tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    daemon = Daemon({**environment, **changes}, tmp_path / "log")
    started.append(daemon)
    assert daemon.ends() == 1
    assert daemon.said(expected)
    assert not daemon.said("Traceback")


def test_waits_for_the_master_keeps_others_out_and_ends_cleanly(
    environment: dict[str, str], started: list[Daemon], tmp_path: Path
) -> None:
    first = Daemon(environment, tmp_path / "first")
    started.append(first)
    wait_until(lambda: first.said("master_unreachable"), DEADLINE_S, "it says that it waits for the master")
    assert first.said("sessions_loaded")
    second = Daemon(environment, tmp_path / "second")
    started.append(second)
    assert second.ends() == 1
    assert second.said("Another world daemon of this world is running")
    os.kill(first.process.pid, signal.SIGTERM)
    assert first.ends() == 0
    assert first.said('"stopped"')
