"""The sprite of icons: what a template draws is there, and what is there is documented."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SPRITE = (ROOT / "static" / "site" / "icons.svg").read_text()
ICONS = set(re.findall(r'<symbol id="([\w-]+)"', SPRITE))
DRAWN = re.compile(r'{% icon "([\w-]+)"')
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html") if "{% icon" in path.read_text())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_draws_icons_that_are_there(path):
    assert set(DRAWN.findall(path.read_text())) <= ICONS


def test_every_icon_is_named_in_the_document():
    document = (ROOT / "docs" / "design.md").read_text()
    assert not ICONS - set(re.findall(r"`([\w-]+)`", document))


def test_the_sprite_has_no_colour_of_its_own():
    assert len(ICONS) > 40
    assert not re.search(r"fill=|stroke=|style|#[0-9a-f]{3}", SPRITE)
