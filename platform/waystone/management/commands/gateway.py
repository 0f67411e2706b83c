"""`manage.py gateway`: the process that holds players' world links."""

from typing import Any

# Daphne installs Twisted's asyncio reactor when it is imported, so it comes before anything else of Twisted.
from daphne.server import Server  # noqa: F401  isort:skip

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from waystone.asgi import hub
from waystone.gateway.application import make_application
from waystone.gateway.metrics import GatewayFigures
from waystone.gateway.server import serve
from worlds.notify import notify_ready
from worlds.observing import observe, registry_of_process


class Command(BaseCommand):
    """Serves WebSockets under Daphne until SIGTERM; then closes every link with 1012: clients come back."""

    help = "Runs the gateway: players' world links (WebSockets). Several may run for one world."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Host and port come from the settings unless given."""
        parser.add_argument("--host", default=settings.CONFIG.bind, help="address to listen on")
        parser.add_argument("--port", type=int, default=settings.CONFIG.gateway_port, help="0: any free one")
        parser.add_argument("--name", default="", help="name on the bus; must differ between gateways")

    def handle(self, *args: Any, host: str, port: int, name: str, **options: Any) -> None:
        """Run until stopped.

        Raises: CommandError: the port cannot be listened on.
        """
        if name:
            hub.name = name
        application = make_application(hub, settings.ALLOWED_HOSTS)
        if not serve(application, hub, host, port, self._announce):
            raise CommandError(
                f"Cannot listen on {host}:{port}: the port is taken or the address is not this machine's. "
                "Set WAYSTONE_GATEWAY_PORT and WAYSTONE_BIND, or use --port and --host."
            )

    def _announce(self, host: str, port: int) -> None:
        self._observe()
        self.stdout.write(f"gateway listening on {host}:{port}")
        self.stdout.flush()
        notify_ready(f"gateway on {host}:{port}")

    def _observe(self) -> None:
        """Serve /metrics from the gateway's loop, for as long as that runs."""
        registry = registry_of_process()
        registry.register(GatewayFigures(hub))
        pages = observe("gateway", registry, hub.why_not_ready, {"world": hub.world})
        if pages is not None:
            hub.observe(pages)
