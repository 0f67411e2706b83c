"""The tabs over the pages of a world that one keeps: those that this keeper may open."""

from django.urls import NoReverseMatch, reverse

from worlds.operating.keepers import KeptWorld
from worlds.operating.rules import Deed

# (name of the address, words, the deed that the page is for), in their order. Nine fit without icons.
PAGES: tuple[tuple[str, str, Deed], ...] = (
    ("kept_world", "Overview", Deed.LOOK),
    ("kept_players", "Players", Deed.MODERATE),
    ("kept_page", "Page", Deed.EDIT_PAGE),
    ("kept_restarts", "Restarts", Deed.RESTARTS),
    ("kept_keepers", "Keepers", Deed.KEEPERS),
    ("world_setup", "Set-up", Deed.SET_UP),
    ("world_keys", "Keys", Deed.KEYS),
    ("world_webhooks", "Webhooks", Deed.WEBHOOKS),
    ("kept_history", "History", Deed.HISTORY),
)


def tabs_of(kept: KeptWorld, here: str) -> list[tuple[str, str, str, bool]]:
    """Return the tabs for templates/parts/tabs.html. Args: here: the name of this page's address."""
    tabs = []
    for name, words, deed in PAGES:
        if not kept.may(deed):
            continue
        try:
            tabs.append((reverse(name, args=[kept.world.slug]), words, "", name == here))
        except NoReverseMatch:  # a page that this deployment does not have
            continue
    return tabs


def home_of(kept: KeptWorld) -> str:
    """Return the address of the first page of a world that this keeper may open."""
    tabs = tabs_of(kept, "")
    return tabs[0][0] if tabs else reverse("world_page", args=[kept.world.slug])
