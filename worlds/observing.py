"""What a process tells of itself: /metrics, /healthz and /readyz on a port of its own, and where that is.

Prometheus finds the ports by files: <state dir>/metrics/<process>-<pid>.json, as its `file_sd_configs` reads
them. Zone clusters have pages of their own (zonecluster/daemon/metrics.py), and write such a file, too.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path

import structlog
from django.conf import settings
from django.db import Error, connection
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from worlds.bus import Outbox
from worlds.http_door import HttpDoor, Page

log = structlog.get_logger(__name__)

SERVE_EVERY_S = 0.05
FRESH_S = 1.0  # however often it is asked for, it is made so often
READY_FRESH_S = 1.0
TEXT = "text/plain; charset=utf-8"
# Fixed ports: each kind of process has its own after the one that is set.
OFFSETS = {"web": 0, "gateway": 1, "worlddaemon": 2, "worker": 3, "beat": 4, "hostagent": 5}

NotReady = Callable[[], str]  # why the process cannot do its work; empty if it can


def registry_of_process() -> CollectorRegistry:
    """Return a registry with the process's CPU time, memory and open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class Observed:
    """The pages of one process. `serve` is called often, from its loop or a thread."""

    def __init__(
        self,
        process: str,
        bind: tuple[str, int],
        folder: Path,
        registry: CollectorRegistry,
        why_not_ready: NotReady = lambda: "",
        labels: dict[str, str] | None = None,
    ) -> None:
        """Listen, and write the file by which Prometheus finds the port.

        Args: bind: host and first port; 0: any free. Instead of one that is taken (by another worker of the
        same kind) a free one is used. folder: of the files. labels: for all that is scraped here.
        Raises: OSError: the address is not this machine's.
        """
        self.process, self._registry, self._why_not_ready = process, registry, why_not_ready
        pages: dict[str, Page] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
        }
        host, first = bind
        port = first + OFFSETS.get(process, 0) if first else 0
        try:
            self._door = HttpDoor(host, port, pages)
        except (OSError, OverflowError):
            if not port:
                raise
            self._door = HttpDoor(host, 0, pages)
            log.warning("metrics_port_taken", process_kind=process, wanted=port, port=self._door.address)
        self.is_stopping = False
        self._text, self._made_at = b"", float("-inf")
        self._ready, self._asked_at = "", float("-inf")
        self._file = write_target(folder, process, self.address, labels or {})

    @property
    def address(self) -> str:
        """Return host:port as bound."""
        return self._door.address

    def serve(self) -> None:
        """Do what can be done without waiting. Nothing that goes wrong here ends the process or its loop."""
        try:
            self._door.serve(time.monotonic())
        except Exception:  # noqa: BLE001  (who looks on must not take down what is looked at; the log has it)
            log.exception("page_failed", process_kind=self.process)

    async def serve_in_loop(self) -> None:
        """Serve until cancelled, from the loop that is watched: if it stands still, nothing is answered."""
        while True:
            self.serve()
            await asyncio.sleep(SERVE_EVERY_S)

    def serve_in_thread(self) -> None:
        """Serve from a thread for as long as the process lives; for processes without a loop of ours."""
        threading.Thread(target=self._serve_for_ever, name="observed", daemon=True).start()

    def _serve_for_ever(self) -> None:
        while not self.is_stopping:
            self.serve()
            time.sleep(SERVE_EVERY_S)

    def close(self) -> None:
        """Close the port, and take the file away."""
        self.is_stopping = True
        self._door.close()
        self._file.unlink(missing_ok=True)

    # ---------------------------------------------------------------- pages

    def _metrics(self) -> tuple[HTTPStatus, str, bytes]:
        now = time.monotonic()
        if now - self._made_at >= FRESH_S:
            self._made_at, self._text = now, generate_latest(self._registry)
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, self._text

    def _healthz(self) -> tuple[HTTPStatus, str, bytes]:
        if self.is_stopping:
            return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"stopping\n"
        return HTTPStatus.OK, TEXT, b"ok\n"

    def _readyz(self) -> tuple[HTTPStatus, str, bytes]:
        now = time.monotonic()
        if now - self._asked_at >= READY_FRESH_S:
            self._asked_at, self._ready = now, "stopping" if self.is_stopping else self._why_not_ready()
        if self._ready:
            return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, f"{self._ready}\n".encode()
        return HTTPStatus.OK, TEXT, b"ready\n"


def observe(
    process: str,
    registry: CollectorRegistry,
    why_not_ready: NotReady = lambda: "",
    labels: dict[str, str] | None = None,
) -> Observed | None:
    """Listen as the deployment wants it; None if it wants no such port.

    An address that cannot be bound is logged, no more: nobody is turned away because nobody can look on.
    """
    bind = settings.CONFIG.process_metrics_bind
    if bind is None:
        return None
    try:
        pages = Observed(
            process, bind, settings.CONFIG.state_dir / "metrics", registry, why_not_ready, labels
        )
    except (OSError, OverflowError) as error:
        advice = "Set WAYSTONE_PROCESS_METRICS_BIND to an address of this machine, or to off."
        log.error("metrics_not_served", bind=bind, cause=str(error), advice=advice)
        return None
    log.info("metrics_served", at=pages.address)
    return pages


def database_fault() -> str:
    """Return why the database cannot be used; empty if it can. Not for a loop: it waits for the answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:  # DatabaseError, or InterfaceError
        return f"the database does not answer: {str(error).strip()}"
    finally:
        connection.close()
    return ""


def write_target(folder: Path, process: str, address: str, labels: dict[str, str]) -> Path:
    """Write a file for Prometheus' file_sd_configs, in place of those of the dead; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{process}-*.json"):
        pid = old.stem.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            old.unlink(missing_ok=True)
    file = folder / f"{process}-{os.getpid()}.json"
    draft = folder / f".{file.name}.new"
    draft.write_text(json.dumps([{"targets": [address], "labels": {"process": process, **labels}}]) + "\n")
    os.replace(draft, file)
    return file


def outbox_metrics(prefix: str, outbox: Outbox) -> Iterable[Metric]:
    """Return what a process has put on the bus."""
    told = {
        "messages": ("Messages put on the bus.", outbox.messages),
        "batches": ("Batches sent: one to each process, however many messages are in it.", outbox.batches),
        "dropped": ("Messages dropped since too many waited.", outbox.dropped),
    }
    for name, (text, value) in told.items():
        yield CounterMetricFamily(f"{prefix}bus_{name}", text, value=value)
