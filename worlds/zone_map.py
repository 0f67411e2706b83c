"""A zone as a small drawing: its ways, where creatures wander, where players enter. SVG for the admin."""

from collections.abc import Iterable

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from worlds.models import CreatureSpawn, Zone, ZoneLink

_CREATURES, _WAYS, _ENTRY = "#7f9170", "#b0702f", "#3f6136"


def zone_map(zone: Zone, links: Iterable[ZoneLink], spawns: Iterable[CreatureSpawn]) -> SafeString:
    """Return the drawing; north is up, so y is turned over. One unit is a metre."""
    size, unit = zone.size, zone.size / 100
    discs = format_html_join(
        "",
        '<circle cx="{}" cy="{}" r="{}" fill="{}" fill-opacity="0.25"><title>{}</title></circle>',
        ((s.x, size - s.y, s.radius, _CREATURES, f"{s.count} × {s.kind}") for s in spawns),
    )
    ways = format_html_join(
        "",
        '<g><circle cx="{}" cy="{}" r="{}" fill="{}"><title>{}</title></circle>'
        '<text x="{}" y="{}" font-size="{}" fill="currentColor" text-anchor="{}">{}</text></g>',
        (_way(link, size, unit) for link in links),
    )
    return format_html(
        '<svg viewBox="{0} {0} {1} {1}" role="img" aria-label="Map of {2}" class="ws-map">'
        '<rect width="{3}" height="{3}" fill="none" stroke="currentColor" stroke-width="{4}"/>'
        '{5}{6}<circle cx="{7}" cy="{8}" r="{9}" fill="none" stroke="{10}" stroke-width="{4}">'
        "<title>entry</title></circle></svg>",
        -4 * unit, size + 8 * unit, zone.name, size, unit / 3, discs, ways,
        zone.entry_x, size - zone.entry_y, 2 * unit, _ENTRY,
    )  # fmt: skip


def _way(link: ZoneLink, size: float, unit: float) -> tuple[object, ...]:
    """Return one way's values: its disc, and the label beside it, turned inwards near the edges."""
    x, y = link.x, size - link.y
    anchor = "start" if x < size * 0.3 else "end" if x > size * 0.7 else "middle"
    above = y > size / 2
    text_y = y - 3.5 * unit if above else y + 6 * unit
    return (x, y, max(link.radius, unit), _WAYS, link.label, x, text_y, 3 * unit, anchor, link.slug)
