"""`manage.py hostagent`: runs zone clusters of a world on a machine other than that of its world daemon.

Once with `--join CODE` (made on the host's page in the admin); then it has a key of its own and needs no
code. No
Django here: the clusters it starts are `manage.py zonecluster`, with the database and the bus of the
deployment.
"""

import argparse
import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.markup import escape

from waystone.config import ROOT, Config, host_and_port, state_dir
from waystone.supervisor.deployment import Deployment, child_environment
from waystone.supervisor.environment import write_private
from waystone.supervisor.host_agent import HostAgent
from waystone.supervisor.host_link import HostLink, LinkDown, OtherMachine
from waystone.supervisor.loop import StopRequested, Supervisor
from waystone.supervisor.notifications import Notifications
from waystone.supervisor.preparation import CannotStart, state_folders
from waystone.supervisor.screen import Screen
from worlds.hosts.handshake import BadCode, Identity, JoinCode, read_code
from worlds.hosts.messages import Refused, Welcome
from worlds.notify import notify_ready
from worlds.uplink.keys import KeyPair, UnusableKey, key_pair, load_key, write_key
from zonecluster.protocol.unreadable import UNREADABLE

EXIT_CANNOT_START = 1
EXIT_UNCLEAN = 3
JOIN_SECONDS = 60.0  # how long a join waits for a daemon that does not answer


def main(arguments: list[str]) -> int:
    """Run the agent; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="manage.py hostagent",
        description="Run zone clusters here for a world daemon on another machine.",
    )
    parser.add_argument(
        "--join", metavar="CODE", help="the code from the host's page in the admin; needed once"
    )
    options = parser.parse_args(arguments)
    screen = Screen()
    os.chdir(ROOT)
    try:
        with _only_one(state_dir()):
            return Agent(screen, options.join).run()
    except (
        CannotStart,
        ValueError,
    ) as error:  # BadCode, UnusableKey and what a setting is wrong with are ValueErrors
        screen.error(str(error))
        return EXIT_CANNOT_START


class Membership(msgspec.Struct, frozen=True):
    """`host.json`: as which host of which world this machine has joined, and where the daemon is."""

    world: str
    host: str
    address: str
    fingerprint: str  # SHA-256 of the daemon's certificate, hex
    key: str  # name of the key's file, in keys/


@dataclass(frozen=True)
class Joining:
    """A join under way."""

    code: JoinCode
    key: KeyPair
    key_file: Path


class Agent:
    """One run of the agent."""

    def __init__(self, screen: Screen, code: str | None) -> None:
        """Read settings, code and key. Raises: CannotStart, BadCode, UnusableKey, ValueError."""
        self._screen = screen
        self._config = Config.load()
        self._logs = state_folders(self._config)
        self._keys = self._config.state_dir / "keys"
        self._file = self._config.state_dir / "host.json"
        for name, value in (
            ("DATABASE_URL", self._config.database_url),
            ("REDIS_URL", self._config.redis_url),
        ):
            if not value:
                raise CannotStart(
                    f"Set {name} to the server of the deployment: the zone clusters here use it. In the "
                    f"environment or "
                    f"in {self._config.state_dir / 'waystone.env'}."
                )
        self._joining = self._begin_joining(read_code(code)) if code is not None else None
        self._membership = None if self._joining else self._load()
        self._notifications = Notifications()
        self._is_refused = False
        self._cause = ""
        self._ends_at: float | None = time.monotonic() + JOIN_SECONDS if self._joining else None

    # ------------------------------------------------------------ who we are

    def _begin_joining(self, code: JoinCode) -> Joining:
        pair = key_pair(Ed25519PrivateKey.generate())
        key_file = self._keys / f"host-{pair.kid[:12]}.pem"
        write_key(key_file, pair.private)  # before it is told to anybody
        return Joining(code, pair, key_file)

    def _load(self) -> Membership:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Membership)
        except FileNotFoundError:
            raise CannotStart(
                "This machine has not joined a world yet. Make a join code on the host's page in the admin "
                "(Worlds, "
                "Hosts), and start: python3 manage.py hostagent --join CODE"
            ) from None
        except (OSError, *UNREADABLE) as error:
            raise CannotStart(f"{self._file} cannot be read: {error}. Join again with a new code.") from error

    def _identity(self) -> Identity:
        if self._joining is not None:
            key = self._joining.key
            return Identity(
                self._joining.code.world, "", key.private.sign, key.public_bytes, self._joining.code.secret
            )
        assert self._membership is not None
        pair = load_key(self._keys / self._membership.key)
        return Identity(self._membership.world, self._membership.host, pair.private.sign)

    def _target(self) -> OtherMachine:
        if self._joining is not None:
            address, fingerprint = self._joining.code.address, self._joining.code.fingerprint
        else:
            assert self._membership is not None
            address, fingerprint = self._membership.address, bytes.fromhex(self._membership.fingerprint)
        place = host_and_port("the world daemon's address", address)
        if place is None:
            raise CannotStart("The world daemon has no address: join again with a new code.")
        return OtherMachine(*place, fingerprint)

    @property
    def _world(self) -> str:
        return self._identity().world

    # ------------------------------------------------------------ the run

    def run(self) -> int:
        """Run clusters until told to stop; return the exit code."""
        self._identity()  # a key that cannot be read ends the start, not an attempt
        target = self._target()
        supervisor = Supervisor(self._screen)
        supervisor.install()
        environment = {**child_environment(os.environ, self._config), "WAYSTONE_WORLD": self._world}
        deployment = Deployment(self._config, self._logs, environment, self._notifications)
        link = HostLink(target, self._identity)
        agent = HostAgent(supervisor, link, deployment.cluster_spec, self._on_link)
        self._screen.say(
            f"host agent of world {escape(self._world)}; the world daemon: {target.host}:{target.port}"
        )
        try:
            supervisor.run_forever(self._steps(agent))
        except StopRequested:
            self._screen.say("stopping (a second Ctrl-C kills)")
        except CannotStart as error:
            self._screen.error(str(error))
            return EXIT_CANNOT_START
        finally:
            link.close()
            killed = supervisor.stop()
            self._notifications.close()
        if killed:
            self._screen.error(f"had to be killed: {', '.join(killed)}")
            return EXIT_UNCLEAN
        self._screen.say("everything has stopped")
        return 0

    def _steps(self, agent: HostAgent) -> Callable[[float], None]:
        def step(now: float) -> None:
            agent.step(now)
            if self._ends_at is not None and now >= self._ends_at:
                raise CannotStart(f"Could not join in {JOIN_SECONDS:.0f} s: {self._cause or 'no answer'}")

        return step

    def _on_link(self, heard: Welcome | Refused | LinkDown) -> None:
        match heard:
            case Welcome(_, host):
                self._joined(host)
                self._cause = ""
                self._screen.say(f"[green]✓[/] the world daemon knows us as host {escape(host)}")
                notify_ready(f"host {host}")
            case Refused(reason, advice, is_final):
                if self._joining is not None:
                    raise CannotStart(f"{reason} {advice}")
                if reason == self._cause:
                    return  # said before
                self._cause = reason
                stops = " The clusters here end." if is_final else ""
                self._screen.say(
                    f"[red]✗[/] refused by the world daemon: {escape(reason)} {escape(advice)}{stops}"
                )
            case LinkDown(cause):
                self._cause = cause
                self._screen.say(
                    f"no link to the world daemon: {escape(cause)}; trying again, clusters go on"
                )

    def _joined(self, host: str) -> None:
        """Remember who we are. Raises: CannotStart."""
        if self._joining is None:
            return
        code, key_file = self._joining.code, self._joining.key_file
        membership = Membership(code.world, host, code.address, code.fingerprint.hex(), key_file.name)
        try:
            write_private(self._file, msgspec.json.format(msgspec.json.encode(membership)).decode() + "\n")
            for old in self._keys.glob("host-*.pem"):
                if old != key_file:
                    old.unlink()
        except OSError as error:
            raise CannotStart(
                f"{self._file} cannot be written: {error}. Join again with a new code."
            ) from error
        self._membership, self._joining, self._ends_at = membership, None, None


class _only_one:
    """Holds `<state dir>/hostagent.lock`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: IO[str] | None = None

    def __enter__(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self._folder / "hostagent.lock").open("a+")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"A host agent runs already from {self._folder}. Stop that one, or set WAYSTONE_STATE_DIR to "
                f"another "
                "folder for a second one."
            ) from None
        except OSError as error:
            raise CannotStart(
                f"{self._folder} cannot be written ({error.strerror}). Set WAYSTONE_STATE_DIR to another "
                f"folder."
            ) from error

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            self._lock.close()


__all__ = ["BadCode", "UnusableKey", "main"]
