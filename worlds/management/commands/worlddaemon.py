"""`manage.py worlddaemon`: runs the world daemon of one world until SIGTERM or Ctrl-C."""

import asyncio
import os
import signal
import socket
from argparse import ArgumentParser
from datetime import UTC, datetime

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from worlds.daemon import rows
from worlds.daemon.core.catalog import Catalog
from worlds.daemon.host_door import Place
from worlds.daemon.host_rows import note_second_daemon
from worlds.daemon.journal.recovery import JournalDamaged
from worlds.daemon.journal.store import Journal, JournalInUse
from worlds.daemon.lock import AlreadyRunning, WorldLock
from worlds.daemon.master import MasterClient, new_http
from worlds.daemon.service import DaemonService
from worlds.hosts.certificate import UnusableCertificate, load_or_create_certificate
from worlds.hosts.sockets import own_socket_path
from worlds.models import World
from worlds.notify import notify_ready
from worlds.uplink.keys import KeyPair, UnusableKey, load_key
from zonecluster.protocol.character import InvalidState

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    requires_system_checks: list[str] = []  # they would ask the database before we can say that it is away
    help = "Run the world daemon: players' way in, handoffs, saves, leases. One per world."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--world", default=settings.CONFIG.world, help="Slug of the world (default: %(default)s)."
        )

    def handle(self, *args: object, world: str, **options: object) -> None:
        config = settings.CONFIG
        try:
            key = load_key(config.world_key_file)
        except UnusableKey as error:
            advice = "Run `manage.py up` (or `demo`) once to make it, or set WAYSTONE_WORLD_KEY_FILE."
            raise CommandError(f"The world's key cannot be used: {error}. {advice}") from error
        try:
            asyncio.run(_run(world, key))
        except World.DoesNotExist as error:
            advice = "Run `manage.py demo`, register it on the site, or name another by --world."
            raise CommandError(f"There is no world {world!r} in this database. {advice}") from error
        except DatabaseError as error:
            advice = "Is it running, and is DATABASE_URL right?"
            raise CommandError(f"PostgreSQL does not answer: {str(error).strip()}. {advice}") from error
        except OSError as error:
            advice = "The world daemon must be able to write there; WAYSTONE_JOURNAL_DIR names the folder."
            raise CommandError(f"The journal cannot be used: {error}. {advice}") from error
        except (AlreadyRunning, JournalInUse, JournalDamaged, UnusableCertificate) as error:
            raise CommandError(str(error)) from error
        except InvalidState as error:
            raise CommandError(
                f"The journal {config.journal_dir / world} holds what cannot be sent: {error}"
            ) from error


async def _run(slug: str, key: KeyPair) -> None:
    config = settings.CONFIG
    catalog, lock = await sync_to_async(_prepare)(slug, config.gateway_url)
    journal = Journal(config.journal_dir / slug, max_bytes=config.journal_max_bytes)
    log.info(
        "world_daemon_starts",
        world=slug,
        master=config.master_url,
        key=key.kid,
        zones=len(catalog.zones),
        clusters=sorted(catalog.clusters),
        journal=str(config.journal_dir / slug),
        unfinished_writes=len(journal.unfinished),
    )
    async with new_http(config.master_url) as http:
        place = _place(slug)
        service = DaemonService(catalog, MasterClient(http, slug, key), lock, journal, place)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, service.stop)
        try:
            await service.run(notify_ready)
        finally:
            journal.close()
            await sync_to_async(lock.release)()


def _place(slug: str) -> Place:
    """Return where host agents come. Raises: UnusableCertificate."""
    config = settings.CONFIG
    own = own_socket_path(config.state_dir, slug)
    if config.hosts_bind is None:
        return Place(own)
    certificate = load_or_create_certificate(config.state_dir / "keys" / f"hosts-{slug}.pem", slug)
    return Place(own, config.hosts_bind, certificate, config.hosts_public)


def _prepare(slug: str, gateway_url: str) -> tuple[Catalog, WorldLock]:
    """Read the world and take its lock. Raises: World.DoesNotExist, DatabaseError, AlreadyRunning."""
    catalog = rows.load_catalog(slug, gateway_url)
    world = World.objects.get(slug=slug)
    lock = WorldLock(world.pk)
    try:
        lock.acquire()
    except AlreadyRunning:
        note_second_daemon(world, f"{socket.gethostname()}, pid {os.getpid()}", datetime.now(UTC))
        raise
    return catalog, lock
