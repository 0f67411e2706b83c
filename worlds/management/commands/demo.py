"""`manage.py demo`: the demo world with its content, clusters, key and log-ins; a part of each `up`."""

from typing import IO, Any, cast

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.text import Text

from worlds.content.files import load_pack
from worlds.content.importer import ZoneInUse, import_pack
from worlds.content.pack import Pack
from worlds.content.problems import InvalidPack
from worlds.content.report import problem_lines
from worlds.demo import (
    UnusableLogins,
    ensure_demo_logins,
    ensure_demo_world,
    keeps_own_content,
    place_clusters,
)
from worlds.models import World
from worlds.services import KeyRefused, WorldRefused, register_world_key
from worlds.uplink.keys import UnusableKey, load_or_create_world_key

log = structlog.get_logger(__name__)

PACK_FOLDER = settings.ROOT / "content" / "demo"


class Command(BaseCommand):
    help = "Make or renew the demo: world, content, clusters, key, log-ins. Safe to repeat; passwords stay."

    def handle(self, *args: Any, **options: Any) -> None:
        config = settings.CONFIG
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        try:
            self.make_world(console)
            if config.role != "world":
                self.make_logins(console)
        except InvalidPack as error:
            for line in problem_lines(error.problems):
                console.print(line)
            raise CommandError(f"{PACK_FOLDER}: {error}; nothing was imported.") from error
        except (WorldRefused, KeyRefused, UnusableKey, UnusableLogins) as error:
            raise CommandError(str(error)) from error

    def make_world(self, console: Console) -> None:
        config, now = settings.CONFIG, timezone.now()
        pack, _ = load_pack(PACK_FOLDER)
        key = load_or_create_world_key(config.world_key_file)
        world = ensure_demo_world(
            slug=config.world, gateway_url=config.gateway_url, now=now, name=config.world_name
        )
        content = self.bring_in(world, pack)
        clusters = place_clusters(
            world=world,
            udp_bind=config.udp_bind,
            public_host=config.udp_public_host,
            port_base=config.udp_port_base,
        )
        register_world_key(world=world, public_key=key.public_bytes, by=None, now=now)
        names = ", ".join(cluster.name for cluster in clusters)
        console.print(Text(f"World {world.slug} ({world.name}): {content}; clusters {names}."))
        if config.role == "world":
            console.print(
                Text(f"Register this public key for {world.slug} at the master: {key.public_bytes.hex()}")
            )

    def bring_in(self, world: World, pack: Pack) -> str:
        """Import the demo's content, unless the world has other content. Returns: what was done, for people.

        A zone that is still played in must not keep the deployment from starting: the old content stays then.
        """
        if keeps_own_content(world, pack):
            return "keeps its own content"
        try:
            result = import_pack(world=world, pack=pack, now=timezone.now())
        except ZoneInUse as error:
            log.warning("demo_content_not_renewed", world=world.slug, cause=str(error))
            return f"keeps its old content, since {error}"
        changed = "unchanged" if result.is_unchanged else f"{len(result.changes)} changes"
        return f"{len(pack.zones)} zones, {changed}"

    def make_logins(self, console: Console) -> None:
        file = settings.CONFIG.state_dir / "demo-login.txt"
        logins = ensure_demo_logins(file=file, now=timezone.now())
        for role, login in logins.items():
            secret = f"first password {login.password}" if login.password else "password not known any more"
            console.print(Text(f"Demo {role}: {login.email}, {secret}"))
        console.print(Text(f"These log-ins are kept in {file}."))
