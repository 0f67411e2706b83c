"""docs/content.md is true: its example imports, and every key and limit that it names is one."""

import re

import pytest
from django.utils import timezone

from tests.integration.worlds.makers import make_world
from worlds.content import parse
from worlds.content.importer import import_pack
from worlds.content.parse import parse_pack
from worlds.content.schema import REQUIRED
from worlds.models import Zone

TABLES = {"pack.toml": parse._PACK, "[[clusters]]": parse._CLUSTER, "[[creatures]]": parse._CREATURE,
          "zones/*.toml": parse._ZONE, "[[links]]": parse._LINK, "[[spawns]]": parse._SPAWN,
          "[[walls]]": parse._WALL,
          "[[items]]": parse._ITEM, "[[vendors]]": parse._VENDOR, "[[wares]]": parse._WARE,
          "[[chests]]": parse._CHEST, "[[loot]]": parse._LOOT}  # fmt: skip


@pytest.fixture
def text(settings) -> str:
    return (settings.ROOT / "docs" / "content.md").read_text()


@pytest.mark.django_db
def test_the_example_imports(text):
    files = {name: body.encode() for name, body in re.findall(r"```toml (\S+)\n(.*?)```", text, re.DOTALL)}
    assert len(files) == 5
    pack, problems = parse_pack(files)
    assert pack is not None and problems == []
    world = make_world("documented")
    import_pack(world=world, pack=pack, now=timezone.now())
    assert set(Zone.objects.filter(world=world).values_list("slug", flat=True)) == {"hall", "yard"}


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_documented_and_no_other(text, heading):
    """The table of a heading is the first one after it in section Keys."""
    section = text.split("## Keys")[1].split("## What is checked")[0]
    start = min(at for at in (section.find(f"**{heading}**"), section.find(f"`{heading}`")) if at >= 0)
    rows = section[start:].split("| key |")[1].split("\n\n")[0]
    named = {key for row in rows.split("\n")[2:] for key in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert named == set(TABLES[heading])
    for name, field in TABLES[heading].items():
        if field.default not in (REQUIRED, "", False, 0.0):
            row = next(row for row in rows.split("\n") if f"`{name}`" in row)
            default = field.default if isinstance(field.default, str) else f"{field.default:g}"
            assert f"default {default}" in row


def test_limits_are_the_real_ones(text):
    limits = (parse.MAX_CLUSTERS, parse.MAX_CREATURES, parse.MAX_LINKS, parse.MAX_SPAWNS, parse.MAX_WALLS)
    limits += (parse.MAX_ITEMS, parse.MAX_VENDORS, parse.MAX_WARES, parse.MAX_CHESTS, parse.MAX_LOOT)
    for limit in limits:
        assert f"at most {limit}" in text
    assert f"at most {parse.MAX_FILE_BYTES // 1024} KB" in text
