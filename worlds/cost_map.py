"""What a zone costs in each hour of the week, as a small drawing. SVG for the admin."""

from collections.abc import Mapping

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from worlds.models import Zone, ZoneCost
from worlds.planning.words import DAYS, hour_name

_CELL, _LEFT, _TOP, _COLOUR = 10, 26, 10, "#b0702f"


def cost_map(zone: Zone) -> SafeString | str:
    """Return a field for each hour, the darker the dearer; a sentence while nothing is known."""
    costs: Mapping[int, ZoneCost] = {row.hour: row for row in ZoneCost.objects.filter(zone=zone)}
    most = max((row.cpu_ms for row in costs.values()), default=0.0)
    if not costs:
        return "Nothing is known yet: it is measured while the zone runs, hour by hour."
    cells = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}" fill="{}" fill-opacity="{}"><title>{}</title></rect>',
        (_cell(hour, row, most) for hour, row in sorted(costs.items())),
    )
    names = format_html_join(
        "",
        '<text x="0" y="{}" font-size="7" fill="currentColor">{}</text>',
        ((_TOP + day * _CELL + 8, name[:3]) for day, name in enumerate(DAYS)),
    )
    hours = format_html_join(
        "",
        '<text x="{}" y="7" font-size="7" fill="currentColor">{}</text>',
        ((_LEFT + hour * _CELL, f"{hour:02d}") for hour in range(0, 24, 6)),
    )
    return format_html(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="Cost of {} by hour of the week, UTC" class="ws-map">'
        "{}{}{}</svg>",
        _LEFT + 24 * _CELL,
        _TOP + 7 * _CELL,
        zone.name,
        hours,
        names,
        cells,
    )


def _cell(hour: int, row: ZoneCost, most: float) -> tuple[object, ...]:
    share = row.cpu_ms / most if most else 0.0
    text = f"{hour_name(hour)}: {row.cpu_ms:.1f} ms of CPU a second, {row.players:.1f} players"
    x, y = _LEFT + hour % 24 * _CELL, _TOP + hour // 24 * _CELL
    return x, y, _CELL - 1, _CELL - 1, _COLOUR, round(0.08 + 0.92 * share, 2), text
