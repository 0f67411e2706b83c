"""Every pair of text and ground colours in use keeps WCAG 2.2 AA, light and dark: computed, not looked at."""

import re
from itertools import product
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[3] / "static" / "site" / "site.css").read_text()
SCHEMES = {
    name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for name, block in zip(("light", "dark"), re.findall(r":root \{(.*?)\n *\}", CSS, re.S), strict=True)
}
GROUNDS = ("ground", "surface", "sunken")
TEXT = [  # text, ground
    *product(("ink", "muted", "accent", "accent-strong", "danger"), GROUNDS),
    ("ink", "accent-wash"),
    ("ink", "danger-wash"),
    ("ink", "warning-wash"),
    ("warning", "warning-wash"),
    ("gold-wash", "gold"),
    ("ground", "ink"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-wash"),
    ("gold", "gold-wash"),
    ("danger", "danger-wash"),
    ("ink", "sky-top"),
    ("ink", "sky-low"),
]
# What one must see to use a page without reading it: edges of fields and buttons, the focus ring.
SHAPES = [
    *product(("edge", "focus"), GROUNDS),
    *product(("accent", "warning", "gold"), ("ground", "surface")),
    *((f"bar-{verdict}", "surface") for verdict in ("up", "some", "down", "planned")),
    *(("danger", wash) for wash in ("surface", "danger-wash")),
]


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, "relative luminance"."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_the_standards_own_ends():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_can_be_read(scheme, text, ground):
    colours = SCHEMES[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_shapes_can_be_seen(scheme, shape, ground):
    colours = SCHEMES[scheme]
    assert contrast(colours[shape], colours[ground]) >= 3


def test_the_dark_scheme_names_every_colour_of_the_light_one():
    assert SCHEMES["dark"].keys() == SCHEMES["light"].keys()


def test_rules_use_the_named_colours_only():
    rules = re.sub(r":root \{.*?\n *\}", "", CSS, flags=re.S)
    assert re.findall(r"#[0-9a-f]{3,8}\b", rules) == []
