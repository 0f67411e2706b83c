"""`manage.py prepare`: what `up` has to do with the ORM before it starts the processes. Safe to repeat.

It writes `::step …` lines for the supervisor's screen, and at last `::result {json}`.
"""

import hashlib
import io
import json
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import Account
from waystone.supervisor.preparation import RESULT_PREFIX, STEP_PREFIX
from worlds.models import ContentPack, World, ZoneCluster
from worlds.signing import ensure_signing_key
from worlds.uplink.keys import UnusableKey, load_or_create_world_key

MIGRATION_LOCK = 0x57415953  # "WAYS": one of several starts on a common database migrates
DEMO_PACK = "Lanternrest"  # the name in content/demo/pack.toml
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
        self.collect_static_files()
        if config.role != "world":
            ensure_signing_key(config.signing_keys_dir)
        result: dict[str, Any] = {"clusters": [], "logins": [], "world_key": ""}
        if config.role != "master":
            result["world_key"] = self.world_key()
            if not no_demo and self.is_demo(config.world):
                self.load_demo()
                result["logins"] = self.logins()
            result["clusters"] = self.clusters(config.world)
            if config.packet_path != "plain":
                self.compile()
        result["has_staff"] = Account.objects.filter(is_staff=True, is_active=True).exists()
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

    def world_key(self) -> str:
        """Return the public key of this deployment's world, in hex; made if missing.

        Raises: CommandError: the key file cannot be used.
        """
        try:
            return load_or_create_world_key(settings.CONFIG.world_key_file).public_bytes.hex()
        except UnusableKey as error:
            raise CommandError(str(error)) from error

    def is_demo(self, world: str) -> bool:
        """Return whether the world has the demo's content, or none yet: an operator's own pack stays."""
        pack = ContentPack.objects.filter(world__slug=world).first()
        return pack is None or pack.name == DEMO_PACK

    def load_demo(self) -> None:
        """Make the demo; what that says has passwords in it and must not get into a log, unless it fails."""
        self.step("loading the demo world")
        said = io.StringIO()
        try:
            call_command("demo", stdout=said)
        except CommandError:
            self.stdout.write(said.getvalue())
            raise

    def compile(self) -> None:
        """Compile the zone clusters' hot code now: of several that start together each would wait for it.

        Where it cannot be, each cluster says so in its log and runs the plain way, or refuses to start.
        """
        try:
            compiled = import_module("zonecluster.compiled")
            if not compiled.is_warm():
                self.step("compiling the zone clusters' hot code, once: up to a minute")
                compiled.warm_up()
        except (ImportError, RuntimeError, OSError) as error:
            self.stdout.write(f"The zone clusters' hot code is not compiled: {error}")

    def clusters(self, world: str) -> list[dict[str, Any]]:
        """Return the zone clusters to start on this machine.

        Raises: CommandError: this deployment has no such world, or it has no clusters.
        """
        if not World.objects.filter(slug=world).exists():
            raise CommandError(
                f"There is no world {world!r} in this database. Set WAYSTONE_WORLD to one that is there, "
                "import one (manage.py importcontent), or make the demo (manage.py demo)."
            )
        rows = ZoneCluster.objects.filter(world__slug=world, is_enabled=True, host=None).order_by("name")
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
