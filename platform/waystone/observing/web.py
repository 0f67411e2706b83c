"""The web process's pages: its requests, and the figures of the deployment."""

from waystone.observing.deployment import DeploymentFigures
from waystone.observing.requests import registry
from worlds.observing import database_fault, observe


def observe_web() -> None:
    """Serve them, from a thread: every worker process has its own."""
    registry.register(DeploymentFigures())
    pages = observe("web", registry, database_fault)
    if pages is not None:
        pages.serve_in_thread()
