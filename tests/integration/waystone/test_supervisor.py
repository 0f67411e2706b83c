"""The supervisor's loop with small children: restarts, orphans, order of stopping, holders of ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.embedded_servers import free_port, wait_until
from waystone.supervisor import child as child_module
from waystone.supervisor import loop
from waystone.supervisor.child import Spec, State
from waystone.supervisor.host_agent import HostAgent
from waystone.supervisor.host_link import LinkDown
from waystone.supervisor.loop import StopRequested, Supervisor
from waystone.supervisor.notifications import Notifications
from waystone.supervisor.ports import Claim, find_holder, is_free, reserve_again, reserve_block, taken_message
from waystone.supervisor.screen import Screen
from worlds.hosts.messages import Kill, ProcessRun, Refused, Wanted
from worlds.notify import notify_ready

DEADLINE = 30.0
SLEEPER = "import time\nwhile True: time.sleep(1)"
WITH_GRANDCHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time\\nwhile True: time.sleep(1)'],"
    " start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "while True: time.sleep(1)"
)
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n"
    "while True: time.sleep(1)"
)


@pytest.fixture
def supervisor(tmp_path):
    with (tmp_path / "screen.txt").open("w") as file:
        made = Supervisor(Screen(Console(file=file, width=200)))
        yield made
        made.stop()


def spec(tmp_path: Path, name: str, code: str, stage: int = 0) -> Spec:
    return Spec(
        name, [sys.executable, "-c", code], dict(os.environ), tmp_path / f"{name}.log", stage, lambda: True
    )


def step_until(supervisor: Supervisor, condition) -> None:
    def stepped() -> bool:
        supervisor.step()
        return condition()

    wait_until(stepped, DEADLINE, "the supervisor got there")


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_is_killed_is_started_again_and_the_reason_is_shown(supervisor, tmp_path):
    child = supervisor.add(spec(tmp_path, "sleeper", "print('my last words', flush=True)\n" + SLEEPER))
    step_until(supervisor, lambda: child.state is State.READY and "last" in child.spec.log.read_text())
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    step_until(supervisor, lambda: child.process is not None and child.process.pid != first)
    supervisor.screen.console.file.flush()
    shown = (tmp_path / "screen.txt").read_text()
    assert "sleeper ended: killed by SIGKILL; starting it again in 0.2 s" in shown
    assert "my last words" in shown


def test_a_program_that_is_not_there_is_a_death_like_others(supervisor, tmp_path):
    missing = Spec("missing", ["/nonexistent/program"], {}, tmp_path / "missing.log", 0, lambda: True)
    child = supervisor.add(missing)
    step_until(supervisor, lambda: child.backoff.deaths >= 2)
    supervisor.screen.console.file.flush()
    assert "cannot be started" in (tmp_path / "screen.txt").read_text()


def test_stopping_ends_grandchildren_even_in_a_session_of_their_own(supervisor, tmp_path):
    supervisor.install()
    try:
        child = supervisor.add(spec(tmp_path, "family", WITH_GRANDCHILD))
        step_until(supervisor, lambda: child.spec.log.read_text().strip().isdigit())
        grandchild = int(child.spec.log.read_text())
        assert is_alive(grandchild)
        supervisor.stop()
        wait_until(lambda: not is_alive(grandchild), DEADLINE, "the grandchild is gone")
    finally:
        forget_signals()


def test_stages_stop_one_after_the_other_and_the_deaf_are_killed(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "STOP_SECONDS", 0.5)
    deaf = supervisor.add(spec(tmp_path, "deaf", STUBBORN, stage=0))
    last = supervisor.add(spec(tmp_path, "last", SLEEPER, stage=1))
    step_until(supervisor, lambda: "deaf" in deaf.spec.log.read_text())
    assert supervisor.stop() == ["deaf"]
    assert deaf.process.returncode == -signal.SIGKILL
    assert last.process.returncode == -signal.SIGTERM


def test_sigterm_asks_the_loop_to_stop(supervisor, tmp_path):
    supervisor.install()
    try:
        supervisor.add(spec(tmp_path, "sleeper", SLEEPER))
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested):
            supervisor.step()
    finally:
        forget_signals()


def forget_signals() -> None:
    """Undo Supervisor.install in this process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    loop.ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


def test_a_process_is_ready_when_it_says_so(monkeypatch):
    notifications = Notifications()
    try:
        monkeypatch.setenv("NOTIFY_SOCKET", notifications.address_for("web"))
        notifications.address_for("gateway")
        assert not notifications.is_ready("web")
        notify_ready("listens")
        wait_until(lambda: notifications.is_ready("web"), DEADLINE, "the message came")
        assert not notifications.is_ready("gateway")
        assert not notifications.is_ready("web")  # said once, heard once: a restarted one must say it again
    finally:
        notifications.close()


@pytest.mark.parametrize(
    "kind", [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)], ids=["tcp", "udp"]
)
def test_the_holder_of_a_taken_port_is_named(kind, tmp_path):
    protocol, socket_type = kind
    code = (
        "import socket, sys, time\n"
        f"s = socket.socket(socket.AF_INET, {int(socket_type)})\ns.bind(('127.0.0.1', int(sys.argv[1])))\n"
        + ("s.listen()\n" if protocol == "tcp" else "")
        + "print('bound', flush=True)\nwhile True: time.sleep(1)"
    )
    port = free_port()
    argv = [sys.executable, "-c", code, str(port), "mallory"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "bound\n"
            claim = Claim("WAYSTONE_WEB_PORT", protocol, "127.0.0.1", port)
            assert not is_free(claim)
            found = find_holder(claim)
            assert found is not None and found.pid == holder.pid and found.command.endswith("mallory")
            message = taken_message(claim, tmp_path / "waystone.env")
            assert f"Port {port} ({protocol.upper()} on 127.0.0.1, WAYSTONE_WEB_PORT)" in message
            assert f"pid {holder.pid}" in message
            assert f"WAYSTONE_WEB_PORT=<port> in {tmp_path / 'waystone.env'}" in message
        finally:
            holder.kill()


def test_two_first_starts_do_not_choose_the_same_ports():
    first, first_reservation = reserve_block("127.0.0.1")
    second, second_reservation = reserve_block("127.0.0.1")
    first_reservation.close()
    second_reservation.close()
    assert second >= first + 10


def test_a_clone_s_ports_stay_its_own_while_one_of_its_processes_is_down():
    start, chosen = reserve_block("127.0.0.1")
    chosen.close()  # it was stopped: nothing listens there
    (held,) = reserve_again([start + 4, start, 443, 20_000])  # it starts again; two ports outside all blocks
    other, reservation = reserve_block("127.0.0.1")  # of a first start elsewhere
    reservation.close()
    assert other >= start + 10
    assert reserve_again([start]) == []  # held already: two clones may share a block, if somebody says so
    held.close()


def test_a_child_is_stopped_and_started_again_while_the_others_go_on(supervisor, tmp_path):
    child, other = (supervisor.add(spec(tmp_path, name, SLEEPER)) for name in ("a", "b"))
    step_until(supervisor, supervisor.all_ready)
    before, run = child.process.pid, child.run
    child.stop(time.monotonic(), is_wanted_again=True)
    assert child.state is State.STOPPING
    step_until(supervisor, supervisor.all_ready)
    assert child.process.pid != before and child.run != run and not is_alive(before)
    assert child.backoff.deaths == 0, "that was no death"
    environment = Path(f"/proc/{child.process.pid}/environ").read_bytes()
    assert f"WAYSTONE_RUN={child.run}".encode() in environment.split(b"\0")
    child.stop(time.monotonic())
    step_until(supervisor, lambda: child.state is State.STOPPED)
    supervisor.drop(child)
    assert supervisor.children == [other] and is_alive(other.process.pid)
    supervisor.stop()


def test_a_child_that_is_deaf_to_a_stop_is_killed_in_the_end(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "STOP_SECONDS", 0.3)
    child = supervisor.add(spec(tmp_path, "deaf", STUBBORN))
    step_until(supervisor, lambda: b"deaf" in (tmp_path / "deaf.log").read_bytes())
    child.stop(time.monotonic())
    child.stop(time.monotonic(), is_wanted_again=True)  # and now it is wanted again
    step_until(supervisor, lambda: child.state is State.READY)
    assert child.backoff.deaths == 0
    supervisor.stop()


def test_a_child_that_hangs_is_killed_and_comes_back_as_one_that_died(supervisor, tmp_path):
    child = supervisor.add(spec(tmp_path, "hung", SLEEPER))
    step_until(supervisor, supervisor.all_ready)
    os.kill(child.process.pid, signal.SIGSTOP)
    child.kill()
    step_until(supervisor, lambda: child.backoff.deaths == 1)
    assert child.reason == "killed by SIGKILL"
    step_until(supervisor, supervisor.all_ready)
    child.kill()
    child.stop(time.monotonic())
    child.kill()  # nobody is there to be killed
    step_until(supervisor, lambda: child.state is State.STOPPED)
    supervisor.stop()


class ToldLink:
    """What a daemon has said, and what it was told."""

    def __init__(self) -> None:
        self.heard: list = []
        self.reports: list = []

    def step(self, now: float) -> list:
        heard, self.heard = self.heard, []
        return heard

    def report(self, report, now: float) -> None:
        self.reports.append(report)


@pytest.fixture
def told(supervisor, tmp_path):
    """An agent with a link on which the test is the daemon."""
    link, said = ToldLink(), []
    agent = HostAgent(supervisor, link, lambda name: spec(tmp_path, name, SLEEPER), said.append)

    def until(condition) -> None:
        def stepped() -> bool:
            agent.step(time.monotonic())
            return condition()

        step_until(supervisor, stepped)

    def runs() -> dict:
        return {run.name: run for run in link.reports[-1].clusters} if link.reports else {}

    yield agent, link, until, runs, said
    supervisor.stop()


def test_an_agent_starts_restarts_and_stops_clusters_as_it_is_told(told):
    agent, link, until, runs, said = told
    link.heard = [Wanted(clusters={"east": 4, "west": 0})]
    until(lambda: [run.state for run in runs().values()] == ["ready", "ready"])
    east = runs()["east"]
    assert (east.generation, runs()["west"].generation) == (4, 0)
    assert link.reports[-1].cores > 0 and link.reports[-1].memory_mb > 0
    link.heard = [Wanted(clusters={"east": 4, "west": 0})] * 3
    agent.step(time.monotonic())
    assert runs()["east"] == east, "it is what it is"
    link.heard = [Wanted(clusters={"east": 5})]
    until(
        lambda: set(runs()) == {"east"} and runs()["east"].state == "ready" and runs()["east"].run != east.run
    )
    assert (runs()["east"].generation, runs()["east"].deaths) == (5, 0)
    link.heard = [Wanted(clusters={"east": 2})]
    agent.step(time.monotonic())
    assert runs()["east"].generation == 5, "an old order"


def test_an_agent_kills_the_run_that_is_named_and_no_later_one(told):
    agent, link, until, runs, said = told
    link.heard = [Wanted(clusters={"east": 0})]
    until(lambda: runs().get("east") and runs()["east"].state == "ready")
    run = runs()["east"].run
    link.heard = [Kill(cluster="east", run=run), Kill(cluster="nobody", run=run)]
    until(lambda: runs()["east"].state == "ready" and runs()["east"].run != run)
    second = runs()["east"]
    assert (second.deaths, second.reason) == (1, "killed by SIGKILL")
    link.heard = [Kill(cluster="east", run=run)]
    agent.step(time.monotonic())
    agent.step(time.monotonic())
    assert runs()["east"] == second


def test_clusters_go_on_without_a_link_and_end_when_the_daemon_wants_none_of_us(told):
    agent, link, until, runs, said = told
    link.heard = [Wanted(clusters={"east": 0})]
    until(lambda: runs().get("east") and runs()["east"].state == "ready")
    link.heard = [LinkDown("gone"), Refused(reason="The database is away.", advice="")]
    agent.step(time.monotonic())
    assert runs()["east"].state == "ready" and len(said) == 2
    link.heard = [Refused(reason="Revoked.", advice="", is_final=True)]
    until(lambda: runs() == {})


def test_other_processes_are_restarted_and_never_stopped(told, supervisor, tmp_path):
    agent, link, until, runs, said = told
    gateway = supervisor.add(spec(tmp_path, "gateway", SLEEPER))
    agent.adopt_other("gateway", gateway)
    step_until(supervisor, supervisor.all_ready)
    run = gateway.run
    link.heard = [Wanted(clusters={}, processes={"web": 9})]
    agent.step(time.monotonic())
    assert gateway.state is State.READY
    link.heard = [Wanted(clusters={}, processes={"gateway": 1})]
    until(lambda: gateway.run != run and gateway.state is State.READY)
    until(lambda: link.reports[-1].processes == [ProcessRun(name="gateway", generation=1, state="ready")])
