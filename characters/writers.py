"""Worlds as the decisions about writes see them."""

from characters.rules import Writer
from worlds.models import World


def writer_of(world: World) -> Writer:
    """Return a world as it stands at this instant, by its row."""
    return Writer(
        world.pk,
        is_official=world.tier == "official",
        is_suspended=world.suspended_at is not None,
        is_limited=world.limited_at is not None,
        is_budgeted=world.tier == "verified",
    )


def writer_now(world: World) -> Writer:
    """Return a world as it stands now: it may have been suspended while a long batch is written."""
    return writer_of(World.objects.get(pk=world.pk))
