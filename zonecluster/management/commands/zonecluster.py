"""`manage.py zonecluster NAME`: run one zone cluster of the world of this deployment."""

import asyncio
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connections

from zonecluster.daemon.config import CannotStart, load_config
from zonecluster.daemon.service import Service


class Command(BaseCommand):
    # The admin's checks ask the database: its absence would be a traceback before `handle` could explain it.
    requires_system_checks: list[str] = []
    help = "Run a zone cluster: serves zones to players by UDP until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the cluster's row in the admin")
        parser.add_argument("--world", default=settings.CONFIG.world, help="slug of the world (%(default)s)")

    def handle(self, *, name: str, world: str, **options: object) -> None:
        if not settings.CONFIG.redis_url:
            raise CommandError(
                "No REDIS_URL: start everything by `manage.py up`, or set it to your Redis server."
            )
        try:
            config = load_config(world, name)
            connections.close_all()  # the loop reads zones in threads, with connections of their own
            asyncio.run(self._serve(config))
        except DatabaseError as error:
            raise CommandError(
                f"The database cannot be used: {error} `manage.py up` starts one; DATABASE_URL names another."
            ) from error
        except CannotStart as error:
            raise CommandError(str(error)) from error

    async def _serve(self, config) -> None:
        await Service(config).run()
