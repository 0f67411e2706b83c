"""The message of the day: that of the site, which the world's keepers write; else the world's own."""

from worlds.daemon.core import saying
from worlds.daemon.core.state import World
from zonecluster.protocol.to_client import Notice


def text_of(w: World) -> str:
    """Return the message of the day; empty: none."""
    return w.life.site_motd or w.catalog.motd


def on_site(w: World, text: str) -> None:
    """The master has said what the site has. The first one that a young daemon hears was told before."""
    before, is_first = text_of(w), w.life.site_motd is None
    w.life.site_motd = text
    if not is_first:
        tell_another(w, before)


def tell_another(w: World, before: str) -> None:
    """Tell everybody in play, if it is another than before."""
    text = text_of(w)
    if text and text != before:
        saying.to_everybody(w, Notice(f"Message of the day: {text}"))
