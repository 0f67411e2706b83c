"""The template tag that draws a world's horizon."""

from django import template

from waystone.horizon import HEIGHT, WIDTH, Horizon, horizon_of

register = template.Library()


@register.inclusion_tag("site/horizon.html")
def horizon(slug: str) -> dict[str, Horizon | int]:
    """Draw the horizon of the world with this slug."""
    return {"horizon": horizon_of(slug), "width": WIDTH, "height": HEIGHT}
