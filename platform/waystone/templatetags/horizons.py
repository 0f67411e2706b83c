"""Template tags of worlds: the horizon that is drawn, and the words for tags."""

from django import template

from waystone.horizon import HEIGHT, WIDTH, Horizon, horizon_of
from worlds.operating.texts import TAGS

register = template.Library()


@register.inclusion_tag("site/horizon.html")
def horizon(slug: str) -> dict[str, Horizon | int]:
    """Draw the horizon of the world with this slug."""
    return {"horizon": horizon_of(slug), "width": WIDTH, "height": HEIGHT}


@register.filter
def tag_words(tag: str) -> str:
    """Return a tag for people."""
    return TAGS.get(tag, tag)
