"""`manage.py up` as a person uses it: a fresh state directory, Ctrl-C, kill -9, two at once, bad input."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.embedded_servers import free_port, wait_until

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 240.0  # two cores, shared with others; seconds on an idle machine
STOP_SECONDS = 90.0
LAST_LINE = "Ctrl-C stops everything."  # the addresses stand above it
NAMES = ["postgres", "valkey", "web", "worker", "beat", "gateway", "worlddaemon"]
NAMES += ["zonecluster-east", "zonecluster-west"]


@dataclass
class Up:
    """One `manage.py up` and what it has printed."""

    process: subprocess.Popen[bytes]
    output: Path
    state_dir: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_until_ready(self) -> None:
        wait_until(
            lambda: LAST_LINE in self.text or self.process.poll() is not None,
            READY_SECONDS,
            "`up` is ready",
        )
        assert self.process.poll() is None, self.text

    def address(self, name: str) -> str:
        found = re.search(rf"^  {name}: (\S+)", self.text, re.MULTILINE)
        assert found, self.text
        return found[1]

    def pid_of(self, name: str) -> int:
        """Return the pid of a child, found by the environment that `up` gave it or by its data directory."""
        for pid in descendants(self.process.pid):
            environ, command = read_proc(pid, "environ"), read_proc(pid, "cmdline")
            if parent_of(pid) != self.process.pid:
                continue
            if f"WAYSTONE_PROCESS={name}" in environ.split("\0"):
                return pid
            if name == "postgres" and "/bin/postgres\0-D\0" in command:
                return pid
        raise AssertionError(f"no process {name}: {self.text}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def read_proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def parent_of(pid: int) -> int:
    stat = read_proc(pid, "stat")
    return int(stat.rpartition(")")[2].split()[1]) if stat else 0


def is_alive(pid: int) -> bool:
    stat = read_proc(pid, "stat")
    return bool(stat) and stat.rpartition(")")[2].split()[0] != "Z"


def descendants(pid: int) -> set[int]:
    """Return the pids of all that came from a process, however deep."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {each: parent_of(each) for each in pids}
    found: set[int] = set()
    todo = {pid}
    while todo:
        todo = {child for child, parent in parents.items() if parent in todo} - found
        found |= todo
    return found


def environment_of(state_dir: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return this environment without the servers of the tests, which `up` must not see."""
    ours = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WAYSTONE_") and name not in ours
    }
    return {**kept, "WAYSTONE_STATE_DIR": str(state_dir), "WAYSTONE_NO_BOOTSTRAP": "1", **settings}


@contextlib.contextmanager
def up(state_dir: Path, *arguments: str, **settings: str) -> Iterator[Up]:
    """Run `manage.py up`; kill what is left of it at the end."""
    environment = environment_of(state_dir, settings)
    output = state_dir.with_name(f"{state_dir.name}.txt")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Up(process, output, state_dir)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short and that the servers' user reaches."""
    with tempfile.TemporaryDirectory(prefix="waystone-up-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def get(url: str) -> int:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status


def test_from_nothing_to_ready_a_child_comes_back_and_sigterm_leaves_nothing(folder):
    with up(folder / "var") as run:
        run.wait_until_ready()
        for name in NAMES:
            assert f"✓ {name} is ready" in run.text
        assert get(run.address("Site")) == 200
        assert re.search(r"Log-in, staff: \S+@\S+  \S{12,}", run.text)

        web = run.pid_of("web")
        os.kill(web, signal.SIGKILL)
        wait_until(lambda: run.text.count("✓ web is ready") == 2, READY_SECONDS, "the web process is back")
        assert "web ended: killed by SIGKILL; starting it again in 0.2 s" in run.text
        assert get(run.address("Site")) == 200
        assert not is_alive(web)

        everybody = descendants(run.process.pid)
        assert len(everybody) > len(NAMES)
        assert run.stop() == 0, run.text
        assert "everything has stopped" in run.text
        assert [pid for pid in everybody if is_alive(pid)] == []


def test_kill_9_of_up_takes_everything_with_it_and_the_next_start_works(folder):
    with up(folder / "var") as run:
        run.wait_until_ready()
        everybody = descendants(run.process.pid)
        run.process.kill()
        run.process.wait()
        wait_until(lambda: not any(map(is_alive, everybody)), STOP_SECONDS, "all children have gone")
    with up(folder / "var", "--smoke") as again:
        assert again.process.wait(READY_SECONDS) == 0, again.text
        assert "migrating the database" not in again.text
        assert "collecting static files" not in again.text


def test_two_run_side_by_side_and_a_second_one_in_the_same_place_is_refused(folder):
    with up(folder / "one") as one, up(folder / "two") as two:
        one.wait_until_ready()
        two.wait_until_ready()
        assert one.address("Site") != two.address("Site")
        assert get(one.address("Site")) == get(two.address("Site")) == 200
        refused = run_to_end(folder / "one")
        assert refused.returncode == 1
        assert f"running already from {folder / 'one'} (pid {one.process.pid})" in refused.stdout
        assert one.stop(signal.SIGINT) == 0
        assert get(two.address("Site")) == 200
        assert two.stop() == 0


def run_to_end(state_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of(state_dir, settings)
    argv = [sys.executable, str(ROOT / "manage.py"), "up", "--smoke"]
    return subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=READY_SECONDS, check=False
    )


def test_a_taken_port_is_named_with_its_holder(folder):
    with socket.socket() as mallory:
        mallory.bind(("127.0.0.1", 0))
        mallory.listen()
        port = mallory.getsockname()[1]
        done = run_to_end(folder / "var", WAYSTONE_WEB_PORT=str(port))
    assert done.returncode == 1
    assert f"Port {port} (TCP on 127.0.0.1, WAYSTONE_WEB_PORT) is taken by pid {os.getpid()}: " in done.stdout
    assert "WAYSTONE_WEB_PORT=<port> in" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_database_that_is_not_there_gets_a_plain_answer(folder):
    url = f"postgresql://alice:s3cret@127.0.0.1:{free_port()}/waystone"
    done = run_to_end(folder / "var", DATABASE_URL=url)
    assert done.returncode == 1
    assert (
        "The database that DATABASE_URL names does not answer: postgresql://alice:…@127.0.0.1" in done.stdout
    )
    assert "Connection refused" in done.stdout
    assert "without DATABASE_URL the embedded PostgreSQL is used" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_redis_that_is_not_there_gets_a_plain_answer(folder):
    done = run_to_end(folder / "var", REDIS_URL=f"redis://:s3cret@127.0.0.1:{free_port()}/0")
    assert done.returncode == 1
    assert "The server that REDIS_URL names does not answer" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("WAYSTONE_WEB_PORT", "eighty"), ("WAYSTONE_ROLE", "king"), ("WAYSTONE_LOG_FORMAT", "xml")],
)
def test_a_setting_that_cannot_be_used_is_named(folder, name, value):
    done = run_to_end(folder / "var", **{name: value})
    assert done.returncode == 1
    assert f"{name}='{value}'" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_outside_servers_are_used_when_they_are_named(folder, process_environment):
    done = run_to_end(
        folder / "var",
        DATABASE_URL=process_environment["DATABASE_URL"],
        REDIS_URL=process_environment["REDIS_URL"],
    )
    assert done.returncode == 0, done.stdout
    assert "postgres is ready" not in done.stdout and "valkey is ready" not in done.stdout
    assert not (folder / "var" / "servers").exists()


def test_a_master_runs_no_world_and_says_how_to_make_a_log_in(folder):
    done = run_to_end(folder / "var", WAYSTONE_ROLE="master")
    assert done.returncode == 0, done.stdout
    assert "✓ web is ready" in done.stdout
    assert "worlddaemon" not in done.stdout and "gateway" not in done.stdout
    assert "manage.py createsuperuser" in done.stdout


def test_a_world_alone_needs_to_know_its_master(folder):
    done = run_to_end(folder / "var", WAYSTONE_ROLE="world")
    assert done.returncode == 1
    assert "WAYSTONE_ROLE=world needs WAYSTONE_MASTER_URL" in done.stdout


def test_a_world_alone_runs_on_a_database_of_its_own_and_shows_its_key(folder):
    master = f"http://127.0.0.1:{free_port()}"  # not up: a world starts without its master
    done = run_to_end(folder / "var", WAYSTONE_ROLE="world", WAYSTONE_MASTER_URL=master)
    assert done.returncode == 0, done.stdout
    assert re.search(r"World key, to register at the master: [0-9a-f]{64}", done.stdout)
    for name in ("web", "worker", "beat", "gateway", "worlddaemon"):  # web: the admin alone
        assert f"✓ {name} is ready" in done.stdout
    assert "Admin of this world: http" in done.stdout
    assert not re.search(r"^  Site:", done.stdout, re.MULTILINE)
