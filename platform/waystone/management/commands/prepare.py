"""`manage.py prepare`: what `up` has to do with the ORM before it starts the processes. Safe to repeat.

It writes `::step …` lines for the supervisor's screen, and at last `::result {json}`.
"""

import hashlib
import io
import json
import tomllib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from waystone.supervisor.preparation import RESULT_PREFIX, STEP_PREFIX
from worlds.models import World, ZoneCluster
from worlds.signing import ensure_signing_key
from worlds.uplink.keys import UnusableKey, load_or_create_world_key

MIGRATION_LOCK = 0x57415953  # "WAYS": one of several starts on a common database migrates
DEMO_ROLES = ("staff", "player")


class Command(BaseCommand):
    """Migrates, collects static files, makes keys, loads the demo."""

    help = "Bring database, static files, keys and the demo world up to date. `up` runs it at each start."

    def add_arguments(self, parser: CommandParser) -> None:
        """--no-demo as of `up`."""
        parser.add_argument("--no-demo", action="store_true", help="leave the demo world and its log-ins out")

    def handle(self, *args: Any, no_demo: bool, **options: Any) -> None:
        """Run all steps.

        Raises: CommandError: one failed; says what to do.
        """
        config = settings.CONFIG
        self.migrate()
        if config.role != "world":
            self.collect_static_files()
            ensure_signing_key(config.signing_keys_dir)
        if config.role != "master":
            try:
                load_or_create_world_key(config.world_key_file)
            except UnusableKey as error:
                raise CommandError(str(error)) from error
        has_demo = not no_demo and config.role == "all"
        if has_demo:
            self.load_demo()
        result = {
            "clusters": [] if config.role == "master" else self.clusters(config.world),
            "logins": self.logins() if has_demo else [],
        }
        self.stdout.write(RESULT_PREFIX + json.dumps(result))

    def step(self, text: str) -> None:
        """Say what is being done."""
        self.stdout.write(STEP_PREFIX + text)
        self.stdout.flush()

    def migrate(self) -> None:
        """Apply what is missing; a look costs little, so that a second start is quick."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            try:
                executor = MigrationExecutor(connection)
                if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                    self.step("migrating the database")
                    call_command("migrate", interactive=False, verbosity=1, stdout=self.stdout)
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])

    def collect_static_files(self) -> None:
        """Collect and compress the site's static files if any of them changed."""
        stamp = Path(settings.STATIC_ROOT) / ".digest"
        digest = hashlib.sha256()
        for finder in get_finders():
            for name, storage in finder.list([]):
                found = Path(storage.path(name)).stat()
                digest.update(f"{name}\0{found.st_mtime_ns}\0{found.st_size}\n".encode())
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return
        self.step("collecting static files")
        stamp.unlink(missing_ok=True)
        call_command("collectstatic", interactive=False, verbosity=0, clear=True, stdout=self.stdout)
        stamp.write_text(digest.hexdigest())

    def load_demo(self) -> None:
        """Make the demo; what that says has passwords in it and must not get into a log, unless it fails."""
        self.step("loading the demo world")
        said = io.StringIO()
        try:
            call_command("demo", stdout=said)
        except CommandError:
            self.stdout.write(said.getvalue())
            raise

    def clusters(self, world: str) -> list[dict[str, Any]]:
        """Return the zone clusters to start.

        Raises: CommandError: this deployment has no such world, or it has no clusters.
        """
        if not World.objects.filter(slug=world).exists():
            raise CommandError(
                f"There is no world {world!r} in this database. Set WAYSTONE_WORLD to one that is there, "
                "import one (manage.py importcontent), or make the demo (manage.py demo)."
            )
        rows = ZoneCluster.objects.filter(world__slug=world, is_enabled=True).order_by("name")
        return [{"name": row.name, "host": row.udp_host, "port": row.udp_port} for row in rows]

    def logins(self) -> list[dict[str, str]]:
        """Return the demo's log-ins as its file keeps them."""
        file = settings.CONFIG.state_dir / "demo-login.txt"
        if not file.exists():
            return []
        document = tomllib.loads(file.read_text())
        return [
            {"role": role, "email": document[role]["email"], "password": document[role].get("password", "")}
            for role in DEMO_ROLES
            if role in document
        ]
