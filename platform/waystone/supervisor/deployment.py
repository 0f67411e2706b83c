"""Which processes a deployment has, by its role, and how each is known to be ready."""

import http.client
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from waystone.config import ROOT, Config
from waystone.embedded import postgres, valkey
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import Place
from waystone.embedded.valkey import Valkey
from waystone.processes import beat_argv, python_environment, web_argv, worker_argv
from waystone.supervisor.child import Spec
from waystone.supervisor.notifications import Notifications
from waystone.supervisor.ports import Claim

# What is stopped first must be able to save through what is stopped later.
STAGE_BACKGROUND, STAGE_CLUSTERS, STAGE_DAEMON, STAGE_GATEWAY, STAGE_WEB, STAGE_SERVERS = range(6)
CHECK_SECONDS = 0.4


@dataclass(frozen=True)
class Deployment:
    """One machine's part of Waystone."""

    config: Config
    logs: Path
    environment: Mapping[str, str]
    notifications: Notifications

    def server_specs(self, place: Place, *, with_postgres: bool, with_valkey: bool) -> list[Spec]:
        """Return the embedded servers that are wanted; their data directories must be prepared."""
        specs = []
        if with_postgres:
            server = Postgres(place, self.config.postgres_port)
            specs.append(
                Spec(
                    name="postgres",
                    argv=server.argv(),
                    env=postgres.SERVER_ENV,
                    log=self.logs / "postgres.log",
                    stop_stage=STAGE_SERVERS,
                    is_ready=server.is_ready,
                    stop_signal=postgres.STOP_SIGNAL,
                    user=place.user,
                )
            )
        if with_valkey:
            bus = Valkey(place, self.config.valkey_port)
            specs.append(
                Spec(
                    name="valkey",
                    argv=bus.argv(),
                    env=valkey.SERVER_ENV,
                    log=self.logs / "valkey.log",
                    stop_stage=STAGE_SERVERS,
                    is_ready=bus.is_ready,
                    stop_signal=valkey.STOP_SIGNAL,
                    user=place.user,
                )
            )
        return specs

    def process_specs(self, clusters: list[str]) -> list[Spec]:
        """Return our own processes. Args: clusters: names of the world's enabled zone clusters."""
        specs = [
            self._spec("web", web_argv(self.config), STAGE_WEB, is_ready=self._web_answers),
            self._spec("worker", worker_argv(), STAGE_BACKGROUND),
            self._spec("beat", beat_argv(), STAGE_BACKGROUND),
        ]
        if self.config.role in ("all", "world"):
            specs.append(self._spec("gateway", manage_argv("gateway"), STAGE_GATEWAY))
            specs.append(self._spec("worlddaemon", manage_argv("worlddaemon"), STAGE_DAEMON))
            specs += [self.cluster_spec(name) for name in clusters]
        return specs

    def cluster_spec(self, name: str) -> Spec:
        """Return the process of a zone cluster."""
        return self._spec(cluster_process(name), manage_argv("zonecluster", name), STAGE_CLUSTERS)

    def claims(self, *, with_postgres: bool, with_valkey: bool) -> list[Claim]:
        """Return the TCP ports that the processes are going to listen on."""
        config = self.config
        claims = [Claim("WAYSTONE_WEB_PORT", "tcp", config.web_bind, config.web_port)]
        if config.role in ("all", "world"):
            claims.append(Claim("WAYSTONE_GATEWAY_PORT", "tcp", config.bind, config.gateway_port))
        if with_postgres:
            claims.append(Claim("WAYSTONE_POSTGRES_PORT", "tcp", "127.0.0.1", config.postgres_port))
        if with_valkey:
            claims.append(Claim("WAYSTONE_VALKEY_PORT", "tcp", "127.0.0.1", config.valkey_port))
        return claims

    def _spec(
        self, name: str, argv: list[str], stage: int, is_ready: Callable[[], bool] | None = None
    ) -> Spec:
        notifications = self.notifications
        own = {"NOTIFY_SOCKET": notifications.address_for(name), "WAYSTONE_PROCESS": name}
        return Spec(
            name=name,
            argv=argv,
            env={**self.environment, **own},
            log=self.logs / f"{name}.log",
            stop_stage=stage,
            is_ready=is_ready or (lambda: notifications.is_ready(name)),
            stop_signal=signal.SIGTERM,
        )

    def _web_answers(self) -> bool:
        return answers_ok(self.config.web_bind, self.config.web_port, "/healthz")


def cluster_process(name: str) -> str:
    """Return the supervisor's name for the process of a cluster."""
    return f"zonecluster-{name}"


def manage_argv(*command: str) -> list[str]:
    """Return the command line of one of manage.py's commands."""
    return [sys.executable, str(ROOT / "manage.py"), *command]


def child_environment(environment: Mapping[str, str], config: Config) -> dict[str, str]:
    """Return the environment of every process of ours."""
    own = {"WAYSTONE_STATE_DIR": str(config.state_dir), "WAYSTONE_LOG_FORMAT": config.log_format or "json"}
    return {**python_environment(environment), **own}


def answers_ok(host: str, port: int, path: str) -> bool:
    """Return whether a GET is answered with 200 within CHECK_SECONDS."""
    reached_at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(reached_at, port, timeout=CHECK_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": "127.0.0.1"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
