"""`manage.py up`: from nothing to a running deployment, and down again."""

import argparse
import fcntl
import os
import time
from pathlib import Path
from typing import IO

from rich.markup import escape

from waystone.config import ROOT, Config, read_env_file, state_dir
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import EmbeddedServerError, place_servers
from waystone.embedded.valkey import Valkey
from waystone.supervisor.child import Died, State
from waystone.supervisor.deployment import Deployment, child_environment, cluster_process, manage_argv
from waystone.supervisor.environment import complete_env_file, write_private
from waystone.supervisor.host_agent import HostAgent
from waystone.supervisor.host_link import HostLink, LinkDown, OwnMachine
from waystone.supervisor.joining import settle
from waystone.supervisor.loop import StopRequested, Supervisor, spawn_helper
from waystone.supervisor.notifications import Notifications
from waystone.supervisor.ports import Claim, NoFreePorts
from waystone.supervisor.preparation import (
    CannotStart,
    Preparation,
    check_outside_database,
    check_outside_redis,
    state_folders,
    wait_for_leftovers,
)
from waystone.supervisor.screen import Screen
from worlds.hosts.handshake import Identity
from worlds.hosts.messages import Refused, Welcome
from worlds.hosts.sockets import own_socket_path

DEATHS_BEFORE_GIVING_UP = 5  # of one process, before everything was ready once
RESTARTED_WITH_THE_WORLD = ("gateway", "worlddaemon")
REMIND_SECONDS = 60.0
SMOKE_SECONDS = 300.0
EXIT_CANNOT_START = 1
EXIT_UNCLEAN = 3  # something had to be killed


def main(arguments: list[str]) -> int:
    """Run `up`; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Start everything, watch it, and stop it on Ctrl-C."
    )
    parser.add_argument("--no-demo", action="store_true", help="leave the demo world and its log-ins out")
    parser.add_argument(
        "--smoke", action="store_true", help="stop again once everything is ready; exit code 0"
    )
    parser.add_argument(
        "--world",
        metavar="LINE",
        help="run one world here: slug:code@https://…, as its set-up page shows it; later its slug",
    )
    parser.add_argument(
        "--address", default="", help="with --world: name or IP address by which players reach this machine"
    )
    parser.add_argument(
        "--new-key", action="store_true", help="with --world: make a new key, and join the master by it"
    )
    parser.add_argument(
        "--servers", action="store_true", help="start the embedded servers only: to restore a backup"
    )
    options = parser.parse_args(arguments)
    screen = Screen()
    os.chdir(ROOT)
    try:
        if options.world:
            screen.working_on("asking the master")
            done = settle(
                options.world, options.address, with_new_key=options.new_key, environment=os.environ
            )
            screen.say(f"[green]✓[/] {escape(done)}")
        with _only_one_per_state_dir(state_dir()):
            return Start(
                screen,
                with_demo=not options.no_demo,
                is_smoke=options.smoke,
                only_servers=options.servers,
            ).run()
    except (CannotStart, EmbeddedServerError, NoFreePorts, ValueError) as error:
        screen.error(str(error))
        return EXIT_CANNOT_START


class Start:
    """One run of `up`."""

    def __init__(self, screen: Screen, *, with_demo: bool, is_smoke: bool, only_servers: bool) -> None:
        self.screen = screen
        self.with_demo = with_demo
        self.is_smoke = is_smoke
        self.only_servers = only_servers
        self.clusters: list[str] = []  # that were started at first
        own = {**read_env_file(state_dir() / "waystone.env"), **os.environ}
        self.outside_database = own.get("DATABASE_URL", "")
        self.outside_redis = own.get("REDIS_URL", "")
        self.reservations = complete_env_file(state_dir() / "waystone.env", os.environ)
        self.config = Config.load()
        logs = state_folders(self.config)
        self.notifications = Notifications()
        environment = child_environment(os.environ, self.config)
        self.deployment = Deployment(self.config, logs, environment, self.notifications)

    def run(self) -> int:
        """Start, watch, stop; return the exit code."""
        supervisor = Supervisor(self.screen)
        supervisor.install()
        code = 0
        try:
            self._start(supervisor)
            if not self.is_smoke:
                supervisor.run_forever(self._host_agent(supervisor).step)
        except StopRequested:
            self.screen.say("stopping (a second Ctrl-C kills)")
        except (CannotStart, EmbeddedServerError) as error:
            self.screen.error(str(error))
            code = EXIT_CANNOT_START
        finally:
            killed = supervisor.stop()
            self.notifications.close()
            for reservation in self.reservations:
                reservation.close()
        if killed:
            self.screen.error(f"had to be killed: {', '.join(killed)}")
            return code or EXIT_UNCLEAN
        self.screen.say("everything has stopped")
        return code

    def _start(self, supervisor: Supervisor) -> None:
        self._check_settings()
        self._start_servers(supervisor)
        if self.only_servers:
            self.screen.working_on("")
            rows = [("How to reach them", str(self.config.state_dir / "embedded.env"))]
            self.screen.summary(rows, "Nothing but the servers was started. Ctrl-C stops them.")
            return
        result = self._prepare(supervisor)
        clusters = result["clusters"]
        claims = [
            Claim("WAYSTONE_UDP_PORT_BASE", "udp", cluster["host"], cluster["port"])
            for cluster in clusters
            if cluster["port"]
        ]
        wait_for_leftovers(claims, self.config, supervisor.step)
        self.clusters = [cluster["name"] for cluster in clusters]
        specs = self.deployment.process_specs(self.clusters)
        self.screen.working_on("starting " + ", ".join(spec.name for spec in specs))
        for spec in specs:
            supervisor.add(spec)
        self._wait_until_ready(supervisor)
        self.screen.working_on("")
        self.screen.summary(self._addresses(result), "Ctrl-C stops everything.")

    def _host_agent(self, supervisor: Supervisor) -> HostAgent:
        """Return what starts and stops clusters here as the world daemon says. A dead daemon is shown by
        itself."""
        config, children = self.config, {child.spec.name: child for child in supervisor.children}
        link = HostLink(
            OwnMachine(own_socket_path(config.state_dir, config.world)), lambda: Identity(config.world)
        )
        agent = HostAgent(supervisor, link, self.deployment.cluster_spec, self._on_link)
        for name in self.clusters:
            agent.adopt(name, children[cluster_process(name)])
        for name in RESTARTED_WITH_THE_WORLD:
            if name in children:
                agent.adopt_other(name, children[name])
        return agent

    def _on_link(self, heard: Welcome | Refused | LinkDown) -> None:
        if isinstance(heard, Refused):
            self.screen.say(
                f"[red]✗[/] refused by the world daemon: {escape(heard.reason)} {escape(heard.advice)}"
            )

    def _check_settings(self) -> None:
        if self.config.role == "world" and self.config.master_url == self.config.public_url:
            raise CannotStart(
                "WAYSTONE_ROLE=world needs WAYSTONE_MASTER_URL: the address of the master's site, "
                f"in the environment or in {self.config.state_dir / 'waystone.env'}"
            )

    def _start_servers(self, supervisor: Supervisor) -> None:
        """Start the embedded servers, or see that the outside ones answer."""
        with_postgres, with_valkey = not self.outside_database, not self.outside_redis
        self.screen.working_on("looking at ports and servers")
        claims = self.deployment.claims(with_postgres=with_postgres, with_valkey=with_valkey)
        wait_for_leftovers(claims, self.config, supervisor.step)
        if self.outside_database:
            check_outside_database(self.outside_database)
        if self.outside_redis:
            check_outside_redis(self.outside_redis)
        urls = {}
        if with_postgres or with_valkey:
            place = place_servers(self.config.state_dir)
            if with_postgres:
                postgres = Postgres(place, self.config.postgres_port)
                if not postgres.data_dir.exists():
                    self.screen.working_on("making the database's data directory")
                postgres.prepare()
                urls["DATABASE_URL"] = postgres.url()
            if with_valkey:
                valkey = Valkey(place, self.config.valkey_port)
                valkey.prepare()
                urls["REDIS_URL"] = valkey.url()
            for spec in self.deployment.server_specs(
                place, with_postgres=with_postgres, with_valkey=with_valkey
            ):
                supervisor.add(spec)
        lines = [f"{name}={url}" for name, url in urls.items()]
        header = "# Written at each start of `manage.py up`: how to reach the embedded servers.\n"
        write_private(self.config.state_dir / "embedded.env", header + "\n".join(lines) + "\n")
        self.screen.working_on("starting the embedded servers")
        self._wait_until_ready(supervisor)

    def _wait_until_ready(self, supervisor: Supervisor) -> None:
        """Wait for all children; say who keeps us waiting, now and then.

        Raises: CannotStart: one keeps dying, or (in a smoke run) the time is over.
        """
        started = time.monotonic()
        reminders = 0
        while not supervisor.all_ready():
            for death in supervisor.step():
                self._give_up_after(death)
            waited = time.monotonic() - started
            if waited < REMIND_SECONDS * (reminders + 1):
                continue
            reminders += 1
            late = ", ".join(
                child.spec.name for child in supervisor.children if child.state is not State.READY
            )
            if self.is_smoke and waited > SMOKE_SECONDS:
                raise CannotStart(f"Not ready after {waited:.0f} s: {late}. Logs: {self.deployment.logs}")
            self.screen.say(
                f"not ready after {waited:.0f} s: {late}; logs: {escape(str(self.deployment.logs))}"
            )

    def _prepare(self, supervisor: Supervisor) -> dict:
        """Run `manage.py prepare`; return what it says there is to start."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read_end, False)
        argv = manage_argv("prepare", *([] if self.with_demo else ["--no-demo"]))
        env = {**self.deployment.environment, "WAYSTONE_PROCESS": "prepare"}
        preparation = Preparation(spawn_helper(argv, env, write_end), read_end)
        os.close(write_end)
        supervisor.helper(preparation.process)
        try:
            while not preparation.is_done():
                self.screen.working_on(preparation.step)
                for death in supervisor.step():
                    self._give_up_after(death)
        finally:
            os.close(read_end)
        (self.deployment.logs / "prepare.log").write_text("\n".join(preparation.lines) + "\n")
        if preparation.process.returncode != 0 or not preparation.result:
            words = "\n".join(preparation.lines[-15:])
            raise CannotStart(f"The start failed at: {preparation.step}\n{words}")
        return preparation.result

    def _give_up_after(self, death: Died) -> None:
        if death.deaths >= DEATHS_BEFORE_GIVING_UP:
            log = self.deployment.logs / f"{death.name}.log"
            raise CannotStart(f"{death.name} ended {death.deaths} times before it was ready. Its log: {log}")

    def _addresses(self, result: dict) -> list[tuple[str, str]]:
        config = self.config
        rows: list[tuple[str, str]] = []
        if config.role in ("all", "master"):
            rows += [("Site", f"{config.public_url}/"), ("Admin", f"{config.public_url}/admin/")]
            rows.append(("REST", f"{config.public_url}/api/v1/docs/"))
        else:
            rows.append(("Admin of this world", f"{config.public_url}/admin/"))
        if config.role in ("all", "world"):
            rows.append(("World link", config.gateway_url))
        if config.role == "world" and config.world_name:
            rows.append((f"{config.world_name} at the master", f"{config.master_url}/worlds/{config.world}/"))
            rows.append(("Set-up page", f"{config.master_url}/operate/{config.world}/setup/"))
        elif config.role == "world":
            rows.append(("World key, to register at the master", result["world_key"]))
        for login in result["logins"]:
            password = login["password"] or "(as you set it)"
            rows.append((f"Log-in, {login['role']}", f"{login['email']}  {password}"))
        if not result["has_staff"]:
            make = "python3 manage.py createsuperuser"
            if config.role == "world":  # its state directory may not be the clone's own
                make = f"WAYSTONE_STATE_DIR={config.state_dir} {make}"
            rows.append(("Log-in, staff", f"none yet; make one: {make}"))
        rows.append(("Settings", str(config.state_dir / "waystone.env")))
        rows.append(("Logs", str(self.deployment.logs)))
        return rows


class _only_one_per_state_dir:
    """Holds `<state dir>/up.lock`, which names the pid of the `up` that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file: IO[str] | None = None

    def __enter__(self) -> None:
        try:
            self.folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            self.file = (self.folder / "up.lock").open("a+")
        except OSError as error:
            raise CannotStart(
                f"{self.folder} cannot be written ({error.strerror}). Start as the user that owns it, or set "
                "WAYSTONE_STATE_DIR to another folder."
            ) from error
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.seek(0)
            pid = self.file.read().strip() or "?"
            raise CannotStart(
                f"Waystone is running already from {self.folder} (pid {pid}). Stop that one (kill {pid}), or "
                "set WAYSTONE_STATE_DIR to another folder for a second deployment."
            ) from None
        self.file.truncate(0)
        self.file.write(f"{os.getpid()}\n")
        self.file.flush()

    def __exit__(self, *exception: object) -> None:
        if self.file is not None:
            self.file.close()
