"""Reading a pack's folder: nothing is followed out of it, nothing that does not belong is passed over."""

import os

import pytest

from tests.unit.worlds.content.packs import good_pack
from worlds.content.files import load_pack, read_files
from worlds.content.parse import MAX_FILE_BYTES, parse_pack
from worlds.content.problems import InvalidPack


@pytest.fixture
def folder(tmp_path):
    for name, text in good_pack().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def refused(folder) -> list[tuple[str, str]]:
    with pytest.raises(InvalidPack) as error:
        load_pack(folder)
    return [(problem.file, problem.message) for problem in error.value.problems]


def test_a_good_folder(folder):
    (folder / "README.md").write_text("not read")
    (folder / ".DS_Store").write_bytes(b"\xff")
    pack, warnings = load_pack(folder)
    assert [zone.slug for zone in pack.zones] == ["hill", "quay"] and warnings == []


@pytest.mark.parametrize(
    "name", ["zone/hill.toml", "notes.txt", "creature.toml", "zones/deep/hill.toml", "zones/a.json"]
)
def test_what_does_not_belong_is_refused(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1")
    top = name if name.count("/") < 2 and not name.startswith("zone/") else name.rsplit("/", 1)[0]
    assert [file for file, message in refused(folder) if "does not belong here" in message] == [top]


@pytest.mark.parametrize("name", ["zones/secret.toml", "pack.toml", "README.md"])
def test_links_are_not_followed(folder, name, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    problems = refused(folder)
    assert (name, "is a symbolic link: put the file itself here") in problems
    assert not any("secret'" in message for _, message in problems)


def test_a_linked_zones_folder_is_not_followed(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (folder / "zones").rename(outside / "zones")
    (folder / "zones").symlink_to(outside / "zones")
    assert ("zones", "is a symbolic link: put the file itself here") in refused(folder)


def test_a_pipe_does_not_hang_the_import(folder):
    os.mkfifo(folder / "zones" / "pipe.toml")
    assert ("zones/pipe.toml", "is not a plain file") in refused(folder)


def test_a_huge_file_is_cut_and_refused(folder):
    (folder / "zones" / "huge.toml").write_bytes(b"#" * (3 * MAX_FILE_BYTES))
    files, problems = read_files(folder)
    assert len(files["zones/huge.toml"]) == MAX_FILE_BYTES + 1 and problems == []
    assert any(file == "zones/huge.toml" and "bytes; at most" in message for file, message in refused(folder))


def test_too_many_files(folder, monkeypatch):
    monkeypatch.setattr("worlds.content.files.MAX_FILES", 3)
    assert any("more than 3 files" in message for _, message in refused(folder))


def test_no_folder(tmp_path):
    assert (str(tmp_path / "none"), "is not a folder") in refused(tmp_path / "none")


def test_a_folder_in_place_of_a_file(folder):
    (folder / "clusters.toml").unlink()
    (folder / "clusters.toml").mkdir()
    assert ("clusters.toml", "is not a plain file") in refused(folder)


def test_the_demo_pack_is_right(settings):
    files, refused_files = read_files(settings.ROOT / "content" / "demo")
    pack, problems = parse_pack(files)
    assert pack is not None and refused_files == problems == []
    assert len(pack.zones) >= 6 and {zone.cluster for zone in pack.zones} == {"east", "west"}
    crossing = [
        link for zone in pack.zones for link in zone.links
        if zone.cluster != next(z.cluster for z in pack.zones if z.slug == link.target)
    ]  # fmt: skip
    assert len(crossing) >= 2
    assert all(zone.description and zone.spawns for zone in pack.zones)
