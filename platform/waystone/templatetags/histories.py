"""Template tags that draw what was counted: bars of days or hours, and the curve of players."""

from collections.abc import Sequence

from django import template

from worlds.status.rules import BAR_GAP, BAR_HEIGHT, BAR_WIDTH, Bar, bars_of, bars_width, curve_of, percent

register = template.Library()

CURVE_WIDTH, CURVE_HEIGHT = 480, 120  # units of the drawing


@register.inclusion_tag("parts/bars.html")
def bars(spans: Sequence[Bar], label: str) -> dict[str, object]:
    """Draw spans as bars, one path for each verdict. Args: label: what who cannot see them is told."""
    return {
        "label": label,
        "paths": bars_of([bar.verdict for bar in spans]),
        "width": bars_width(len(spans)),
        "height": BAR_HEIGHT,
    }


@register.inclusion_tag("parts/bars.html")
def told_bars(spans: Sequence[Bar], label: str, form: str = "j F") -> dict[str, object]:
    """Draw spans as bars of which each says how it went when pointed at. Args: form: of its instant."""
    return {
        "label": label,
        "bars": [(number * (BAR_WIDTH + BAR_GAP), bar) for number, bar in enumerate(spans)],
        "form": form,
        "bar_width": BAR_WIDTH,
        "width": bars_width(len(spans)),
        "height": BAR_HEIGHT,
    }


@register.inclusion_tag("parts/curve.html")
def players_curve(hours: Sequence[Bar], label: str) -> dict[str, object]:
    """Draw how many played, hour by hour: the most of each."""
    values = [float(bar.minutes.most) for bar in hours]
    return {
        "label": label,
        "line": curve_of(values, CURVE_WIDTH, CURVE_HEIGHT),
        "width": CURVE_WIDTH,
        "height": CURVE_HEIGHT,
        "most": int(max(values, default=0)),
    }


@register.filter
def share(value: float | None) -> str:
    """Return a share for people."""
    return percent(value) or "not counted yet"
