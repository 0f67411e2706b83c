"""Importing content packs: in place, whole or not at all, with a diff."""

import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_play_session, make_world
from tests.unit.worlds.content.packs import encoded, good_pack, pack_with_goods
from worlds.content import importer
from worlds.content.importer import ZoneInUse, import_pack
from worlds.content.pack import Pack
from worlds.content.parse import parse_pack
from worlds.models import (
    ContentPack,
    CreatureKind,
    CreatureSpawn,
    ItemKind,
    PlaySession,
    World,
    Zone,
    ZoneCluster,
    ZoneLink,
)
from zonecluster.daemon.content import load_zone
from zonecluster.rules.items import Ware
from zonecluster.simulation.content import ChestContent, LootContent, VendorContent

pytestmark = pytest.mark.django_db
CONTENT = (Zone, ZoneLink, CreatureKind, CreatureSpawn, ZoneCluster, ContentPack)


@pytest.fixture
def world() -> World:
    return make_world("test")


def pack_of(*changes: tuple[str, str, str], **files: str) -> Pack:
    """Return the good pack with texts replaced: (file, before, after)."""
    texts = good_pack() | files
    for name, before, after in changes:
        assert before in texts[name]
        texts[name] = texts[name].replace(before, after)
    pack, problems = parse_pack(encoded(texts))
    assert pack is not None, problems
    return pack


def bring_in(world: World, pack: Pack, **options: bool):
    return import_pack(world=world, pack=pack, now=timezone.now(), **options)


def rows() -> list[list[dict]]:
    return [list(model.objects.order_by("pk").values()) for model in CONTENT]


def told(result) -> set[tuple[str, str, str]]:
    return {(change.action, change.what, change.name) for change in result.changes}


ISLE = """
slug = "isle"
name = "Isle"
size = 50
cluster = "west"
entry_x = 25
entry_y = 25
[[links]]
slug = "back"
label = "Back"
x = 5
y = 5
target = "quay"
arrival_x = 50
arrival_y = 40
"""
TO_ISLE = """
[[links]]
slug = "boat"
label = "Boat"
x = 90
y = 50
target = "isle"
arrival_x = 25
arrival_y = 25
"""


def pack_with_isle() -> Pack:
    quay = good_pack()["zones/quay.toml"]
    return pack_of(
        **{"zones/isle.toml": ISLE, "zones/quay.toml": quay.replace("[[spawns]]", f"{TO_ISLE}\n[[spawns]]")}
    )


def play_in(world: World, zone: str) -> None:
    make_play_session(world, zone, started_at=timezone.now())


def test_the_first_import_adds_everything(world):
    result = bring_in(world, pack_of())
    assert {change.action for change in result.changes} == {"added"}
    assert not result.is_unchanged and not result.is_dry_run
    quay = Zone.objects.get(world=world, slug="quay")
    assert (quay.size, quay.home_cluster.name, quay.is_entry) == (100.0, "east", True)
    link = quay.links.get()
    assert (link.slug, link.target.slug, link.arrival_x, link.radius) == ("up", "hill", 50.0, 2.0)
    spawn = quay.spawns.get()
    assert (spawn.kind.slug, spawn.count, spawn.radius) == ("gull", 3, 10.0)
    pack = ContentPack.objects.get(world=world)
    assert (pack.name, pack.digest) == ("Test", pack_of().digest)
    assert AuditRecord.objects.get().action == "content_imported"


def test_the_same_pack_again_changes_nothing(world):
    bring_in(world, pack_of())
    before, audits = rows(), AuditRecord.objects.count()
    result = bring_in(world, pack_of())
    assert result.is_unchanged and result.changes == []
    assert rows() == before and AuditRecord.objects.count() == audits


def test_changes_are_made_in_place_and_told(world):
    bring_in(world, pack_of())
    ids = [{row["id"] for row in table} for table in rows()]
    result = bring_in(
        world,
        pack_of(
            ("zones/quay.toml", 'name = "Quay"', 'name = "Old Quay"'),
            ("zones/quay.toml", "radius = 2", "radius = 3"),
            ("zones/quay.toml", "count = 3", "count = 5"),
            ("zones/hill.toml", 'cluster = "west"', 'cluster = "east"'),
            ("creatures.toml", 'name = "gull"', 'name = "grey gull"'),
        ),
    )
    fields = {
        (change.what, change.name): {
            name: tuple(getattr(value, "name", value) for value in values)
            for name, values in change.fields.items()
        }
        for change in result.changes
    }
    assert fields == {
        ("zone", "quay"): {"name": ("Quay", "Old Quay")},
        ("zone", "hill"): {"home_cluster": ("west", "east")},
        ("link", "quay/up"): {"radius": (2.0, 3.0)},
        ("spawn", "quay/gull"): {"count": (3, 5)},
        ("creature", "gull"): {"name": ("gull", "grey gull")},
    }
    assert [{row["id"] for row in table} for table in rows()] == ids
    assert Zone.objects.get(slug="quay").name == "Old Quay" and CreatureSpawn.objects.get().count == 5


def test_the_entry_may_move_to_another_zone(world):
    bring_in(world, pack_of())
    entry = (
        ("zones/quay.toml", "is_entry = true\n", ""),
        ("zones/hill.toml", "size = 100", "size = 100\nis_entry = true"),
    )
    result = bring_in(world, pack_of(*entry))
    assert Zone.objects.get(world=world, is_entry=True).slug == "hill"
    assert told(result) == {("changed", "zone", "quay"), ("changed", "zone", "hill")}


def test_walls_come_and_go_with_their_zone(world):
    quay = good_pack()["zones/quay.toml"]
    wall = "\n[[walls]]\nx = 1\ny = 2\nto_x = 3\nto_y = 4\n"
    bring_in(world, pack_of())
    assert told(bring_in(world, pack_of(**{"zones/quay.toml": quay + wall}))) == {("changed", "zone", "quay")}
    assert Zone.objects.get(world=world, slug="quay").walls == [[1.0, 2.0, 3.0, 4.0]]
    bring_in(world, pack_of())
    assert Zone.objects.get(world=world, slug="quay").walls == []


def test_items_vendors_and_chests_come_and_go(world):
    bring_in(world, pack_of())
    with_goods, problems = parse_pack(encoded(pack_with_goods()))
    assert with_goods is not None and problems == []
    assert told(bring_in(world, with_goods)) == {
        ("added", "item", "bread"),
        ("added", "item", "crown"),
        ("changed", "zone", "quay"),
    }
    crown = ItemKind.objects.get(world=world, slug="crown")
    assert (crown.name, crown.stack_size, crown.is_valuable, crown.slot) == ("crown", 1, True, "head")
    content = load_zone("test", "quay")
    assert content.vendors == (VendorContent("marta", "Marta", 30.0, 31.0, 0.0, (Ware("bread", 3, 1),)),)
    loot = LootContent("crown", 0.25, 1, 1)
    assert content.chests == (ChestContent("crate", "Crate", 40.0, 41.0, 600, 2, 9, (loot,)),)
    assert [kind.slug for kind in content.kinds] == ["bread", "crown"]
    assert told(bring_in(world, pack_of())) == {
        ("removed", "item", "bread"),
        ("removed", "item", "crown"),
        ("changed", "zone", "quay"),
    }
    content = load_zone("test", "quay")
    assert (content.vendors, content.chests, content.kinds) == ((), (), ())


def test_zones_links_spawns_and_creatures_are_added_and_removed(world):
    bring_in(world, pack_of())
    added = bring_in(world, pack_with_isle())
    assert told(added) == {
        ("added", "zone", "isle"),
        ("added", "link", "quay/boat"),
        ("added", "link", "isle/back"),
    }
    removed = bring_in(world, pack_of())
    assert told(removed) == {("removed", "zone", "isle"), ("removed", "link", "quay/boat")}
    assert set(Zone.objects.values_list("slug", flat=True)) == {"quay", "hill"}
    spawns = good_pack()["zones/quay.toml"].split("[[spawns]]")
    empty = bring_in(world, pack_of(**{"zones/quay.toml": spawns[0], "creatures.toml": ""}))
    assert told(empty) == {("removed", "spawn", "quay/gull"), ("removed", "creature", "gull")}
    assert not CreatureKind.objects.exists()


def test_a_link_that_led_to_a_removed_zone_is_led_elsewhere_in_place(world):
    bring_in(world, pack_with_isle())
    boat = ZoneLink.objects.get(slug="boat").pk
    quay = good_pack()["zones/quay.toml"]
    elsewhere = TO_ISLE.replace('"isle"', '"hill"').replace("arrival_x = 25", "arrival_x = 30")
    bring_in(world, pack_of(**{"zones/quay.toml": quay.replace("[[spawns]]", f"{elsewhere}\n[[spawns]]")}))
    link = ZoneLink.objects.get(pk=boat)
    assert (link.target.slug, link.arrival_x) == ("hill", 30.0)


def test_a_zone_in_play_is_not_removed(world):
    bring_in(world, pack_with_isle())
    play_in(world, "isle")
    before = rows()
    with pytest.raises(ZoneInUse, match="Aria in isle"):
        bring_in(world, pack_of())
    assert rows() == before
    PlaySession.objects.update(ended_at=timezone.now())
    bring_in(world, pack_of())
    assert not Zone.objects.filter(slug="isle").exists()


def test_players_of_another_world_do_not_hinder(world):
    bring_in(world, pack_with_isle())
    play_in(make_world("other"), "isle")
    bring_in(world, pack_of())
    assert not Zone.objects.filter(world=world, slug="isle").exists()


def test_a_dry_run_tells_and_changes_nothing(world):
    bring_in(world, pack_of())
    before, audits = rows(), AuditRecord.objects.count()
    result = bring_in(world, pack_with_isle(), is_dry_run=True)
    assert ("added", "zone", "isle") in told(result) and result.is_dry_run
    assert rows() == before and AuditRecord.objects.count() == audits


def test_a_failure_half_way_changes_nothing(world, monkeypatch):
    bring_in(world, pack_of())
    before = rows()

    def fail(*args: object) -> None:
        raise IntegrityError("the disk is full")

    monkeypatch.setattr(importer, "_sync_spawns", fail)
    with pytest.raises(IntegrityError):
        bring_in(world, pack_with_isle())
    assert rows() == before


def test_worlds_do_not_touch_each_other(world):
    other = make_world("other")
    bring_in(other, pack_of())
    before = list(Zone.objects.filter(world=other).values())
    bring_in(world, pack_of(("zones/quay.toml", 'name = "Quay"', 'name = "Other Quay"')))
    assert list(Zone.objects.filter(world=other).values()) == before


def test_where_clusters_listen_is_left_to_the_operator(world):
    bring_in(world, pack_of())
    ZoneCluster.objects.filter(name="east").update(udp_port=40000, max_players=7)
    ZoneCluster.objects.create(world=world, name="spare", udp_port=40001)
    bring_in(world, pack_of(("clusters.toml", 'slug = "east"', 'slug = "east"\nmax_players = 50')))
    east = ZoneCluster.objects.get(name="east")
    assert (east.udp_port, east.max_players) == (40000, 7)
    assert ZoneCluster.objects.filter(name="spare").exists()


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    return shutil.copytree(settings.ROOT / "content" / "demo", tmp_path / "pack")


def command(folder: Path, *options: str, world: str = "test") -> str:
    out = StringIO()
    call_command("importcontent", str(folder), "--world", world, *options, stdout=out)
    return out.getvalue()


def test_the_command_prints_a_diff(world, folder):
    assert "0 changed, 0 removed" in command(folder, "--dry-run") and not Zone.objects.exists()
    text = command(folder)
    assert "Lanternrest 1.0 imported" in text and "long-causeway" in text
    assert "already imported" in command(folder)
    zone = folder / "zones" / "harbour.toml"
    zone.write_text(zone.read_text().replace("size = 240", "size = 250"))
    changed = command(folder)
    assert "0 added, 1 changed, 0 removed" in changed and "size: 240 → 250" in changed


def test_the_command_tells_every_problem_with_file_and_line(world, folder, capsys):
    zone = folder / "zones" / "harbour.toml"
    zone.write_text(
        zone.read_text()
        .replace('target = "mossgate"', 'target = "nowhere"')
        .replace("size = 240", "size = 1")
    )
    out = StringIO()
    with pytest.raises(CommandError, match="nothing was imported"):
        call_command("importcontent", str(folder), "--world", "test", stdout=out)
    assert "zones/harbour.toml:7: error: size must be from 16 to 4096 m, not 1" in out.getvalue()
    zone.write_text(zone.read_text().replace("size = 1\n", "size = 240\n"))
    out = StringIO()
    with pytest.raises(CommandError, match="1 error; nothing was imported"):
        call_command("importcontent", str(folder), "--world", "test", stdout=out)
    assert "error: link 'moss-stair' leads nowhere: no zone 'nowhere'" in out.getvalue()
    assert not Zone.objects.exists()


def test_the_command_names_the_worlds_there_are(world, folder):
    with pytest.raises(CommandError, match="no world 'tets'. Worlds here: test"):
        command(folder, world="tets")


def test_the_command_refuses_to_remove_a_zone_in_play(world, folder):
    command(folder)
    play_in(world, "high-fell")
    (folder / "zones" / "high-fell.toml").unlink()
    stones = folder / "zones" / "standing-stones.toml"
    text = stones.read_text()
    start = text.index('[[links]]\nslug = "fell-track"')
    stones.write_text(text[:start] + text[text.index("[[spawns]]") :])
    with pytest.raises(CommandError, match="Aria in high-fell"):
        command(folder)
    assert Zone.objects.filter(slug="high-fell").exists()
