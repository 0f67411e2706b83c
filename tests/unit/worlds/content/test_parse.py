"""Content packs: what is right, and everything that can be wrong, with file and line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worlds.content.packs import encoded, good_pack
from worlds.content.parse import MAX_FILE_BYTES, MAX_WALLS, pack_digest, parse_pack
from worlds.content.problems import Severity


def problems_of(files: dict[str, str]) -> list[tuple[str, int, str]]:
    pack, problems = parse_pack(encoded(files))
    assert pack is None
    return [(p.file, p.line, p.message) for p in problems if p.severity is Severity.ERROR]


def changed(name: str, before: str, after: str) -> tuple[dict[str, str], int]:
    """Return a pack with one text replaced (it must occur once), and the line where it stood."""
    files = good_pack()
    assert files[name].count(before) == 1, before
    line = files[name][: files[name].index(before)].count("\n") + 1
    files[name] = files[name].replace(before, after)
    return files, line


def test_a_good_pack():
    pack, problems = parse_pack(encoded(good_pack()))
    assert problems == [] and pack is not None
    assert (pack.name, pack.version, len(pack.digest)) == ("Test", "1", 64)
    assert [cluster.slug for cluster in pack.clusters] == ["east", "west"]
    assert [(kind.slug, kind.speed) for kind in pack.creatures] == [("gull", 1.5)]
    hill, quay = pack.zones
    assert (quay.slug, quay.size, quay.cluster, quay.is_entry) == ("quay", 100.0, "east", True)
    assert (hill.is_entry, hill.top_speed, hill.max_players, hill.entry_heading_deg) == (False, 5.0, 500, 0.0)
    assert hill.climate == "temperate"
    assert (quay.links[0].target, quay.links[0].radius, hill.links[0].radius) == ("hill", 2.0, 2.0)
    assert (quay.spawns[0].creature, quay.spawns[0].count) == ("gull", 3)


def test_a_heading_of_360_is_0():
    files, _ = changed("zones/quay.toml", "entry_y = 50", "entry_y = 50\nentry_heading_deg = 360")
    pack, _ = parse_pack(encoded(files))
    assert pack is not None and pack.zones[1].entry_heading_deg == 0.0


ONE_FAULT = [
    # file, before, after, lines below it, part of the message
    ("pack.toml", "format = 1", "format = 2", 0, "format must be from 1 to 1"),
    ("pack.toml", 'name = "Test"', "name = 7", 0, "name must be a text in quotes, not a number"),
    ("pack.toml", 'version = "1"', 'version = ""', 0, "version must not be empty"),
    ("pack.toml", 'version = "1"', 'version = "1"\nauthor = "x"', 1, "unknown key 'author'; known here"),
    ("clusters.toml", 'slug = "west"', 'slug = "East Coast"', 0, "use small letters, digits and"),
    ("clusters.toml", 'slug = "west"', 'slug = "east"', 0, "'east' is already defined in clusters.toml:2"),
    ("clusters.toml", 'slug = "west"', 'slug = "west"\nmax_players = 0', 1, "must be from 1 to 10000"),
    ("creatures.toml", 'name = "gull"', 'name = "gull"\nspeed = true', 1, "a number, not true or false"),
    ("creatures.toml", 'name = "gull"', 'nmae = "gull"', 0, "did you mean name?"),
    ("creatures.toml", 'name = "gull"', 'name = "a\\u0007b"', 0, "U+0007"),
    ("zones/quay.toml", 'name = "Quay"', 'name = "' + "x" * 61 + '"', 0, "61 characters; at most 60"),
    ("zones/quay.toml", "size = 100", 'size = 100\nclimate = "lunar"', 1, "climate must be one of"),
    ("zones/quay.toml", "size = 100", "size = inf", 0, "size must be a finite number, not inf"),
    ("zones/quay.toml", "size = 100", "size = nan", 0, "size must be a finite number, not nan"),
    ("zones/quay.toml", "size = 100", "size = 1e400", 0, "size must be a finite number"),
    ("zones/quay.toml", "size = 100", "size = 1" + "0" * 400, 0, "size must be from 16 to 4096 m, not 0x"),
    ("zones/quay.toml", "size = 100", "size = 1" + "0" * 5000, 0, "a number with too many digits"),
    ("zones/quay.toml", "size = 100", "size = 15.9", 0, "from 16 to 4096 m, not 15.9"),
    ("zones/quay.toml", "size = 100", 'size = "100"', 0, "size must be a number, not a text"),
    ("zones/quay.toml", "size = 100", "size = 1979-05-27", 0, "size must be a number, not a date or time"),
    ("zones/quay.toml", "size = 100", "size = [100]", 0, "size must be a number, not a list"),
    ("zones/quay.toml", "is_entry = true", "is_entry = 1", 0, "is_entry must be true or false, not a number"),
    ("zones/quay.toml", "count = 3", "count = 3.5", 0, "count must be a whole number"),
    ("zones/quay.toml", "count = 3", "count = 0", 0, "count must be from 1 to 2000"),
    ("zones/quay.toml", "radius = 10", "radius = -1", 0, "radius must be from 0.5"),
    ("zones/quay.toml", 'cluster = "east"', 'cluster = "eats"', -3, "cluster 'eats'; there are: east, west"),
    ("zones/quay.toml", 'creature = "gull"', 'creature = "dragon"', 0, "no creature 'dragon'; there are: "),
    ("zones/quay.toml", 'target = "hill"', 'target = "nowhere"', -5, "leads nowhere: no zone 'nowhere'"),
    ("zones/quay.toml", "entry_x = 50", "entry_x = 101", -5, "the entry (101, 50) is outside"),
    ("zones/quay.toml", "y = 90", "y = 100.5", -3, "the trigger of link 'up' (50, 100.5) is outside"),
    ("zones/quay.toml", "arrival_x = 50", "arrival_x = 150", -6, "arrival of link 'up' (150, 50) is outside"),
    ("zones/quay.toml", "arrival_y = 50", "arrival_y = 11", -7, "which leads straight back"),
    ("zones/quay.toml", "y = 90", "y = 52", -3, "would carry off everybody"),
    ("zones/quay.toml", "x = 20", "x = 5", -2, "the disc of spawn 'gull' reaches outside"),
    ("zones/hill.toml", 'slug = "hill"', 'slug = "quay"', 0, "is already defined in zones/hill.toml:1"),
    ("zones/hill.toml", 'name = "Hill"', 'name = "Hill"\nis_entry = true', -1, "two entry zones: 'quay'"),
    ("zones/hill.toml", "[[links]]", "[links]", 0, "write [[links]] (two brackets on each side)"),
    ("zones/hill.toml", "size = 100", "size = ", 0, "is not valid TOML: Invalid value"),
    ("zones/hill.toml", "size = 100", 'size = 100\nsize = 100', 1, "TOML: Cannot overwrite a value"),
    ("zones/hill.toml", "arrival_y = 60", 'arrival_y = 60\n[[links]]\nslug = "down', 2, "is not valid TOML"),
    ("zones/hill.toml", "size = 100", "size = " + "[" * 3000, 0, "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "before", "after", "below", "message"), ONE_FAULT, ids=lambda x: str(x)[:24]
)
def test_each_fault_is_told_with_file_and_line(file, before, after, below, message):
    files, line = changed(file, before, after)
    found = problems_of(files)
    where = [(f, n) for f, n, text in found if message in text]
    if "already defined" in message and file == "zones/hill.toml":
        assert where == [("zones/quay.toml", 1)]  # files are read in the order of names
    elif "two entry zones" in message:
        assert where == [("zones/quay.toml", 1)]
    elif "nested too deeply" in message:
        assert where == [(file, 1)]
    else:
        assert where == [(file, line + below)], found


def test_a_missing_key_is_told_at_its_table():
    files, line = changed("zones/hill.toml", "x = 50\ny = 10\n", "")
    assert [(f, n, m) for f, n, m in problems_of(files)] == [
        ("zones/hill.toml", line - 3, "x is missing"),
        ("zones/hill.toml", line - 3, "y is missing"),
    ]


def test_all_faults_are_told_at_once():
    files = good_pack()
    files["pack.toml"] = 'format = "1"\n'
    files["zones/quay.toml"] = (
        files["zones/quay.toml"].replace("size = 100", "size = 1").replace("count = 3", "count = 0")
    )
    files["zones/hill.toml"] = "]"
    found = {(f, n) for f, n, _ in problems_of(files)}
    assert found == {
        ("pack.toml", 1),
        ("zones/quay.toml", 3),
        ("zones/quay.toml", 21),
        ("zones/hill.toml", 1),
    }


def test_a_file_that_cannot_be_read_is_not_held_against_those_who_name_its_zone():
    files = good_pack() | {"zones/hill.toml": "]"}
    assert [f for f, _, _ in problems_of(files)] == ["zones/hill.toml"]


@pytest.mark.parametrize("missing", ["pack.toml", "clusters.toml"])
def test_a_missing_file(missing):
    files = good_pack()
    del files[missing]
    assert (missing, 1, f"{missing} is missing; see docs/content.md") in problems_of(files)


def test_no_zones_and_no_entry():
    files = {name: text for name, text in good_pack().items() if not name.startswith("zones/")}
    assert problems_of(files) == [("zones/", 1, "the pack has no zones: add files zones/<name>.toml")]
    files, _ = changed("zones/quay.toml", "is_entry = true\n", "")
    assert problems_of(files) == [("zones/", 1, "no zone is the entry: set is_entry = true in one of them")]


def test_a_zone_nobody_reaches():
    files = good_pack()
    files["zones/isle.toml"] = files["zones/hill.toml"].replace('slug = "hill"', 'slug = "isle"')
    assert problems_of(files) == [
        ("zones/isle.toml", 1, "no way leads from the entry 'quay' to zone 'isle': add a link")
    ]


def test_a_zone_without_a_way_back_is_only_a_warning():
    files = good_pack()
    files["zones/hill.toml"] = files["zones/hill.toml"].split("[[links]]")[0]
    pack, problems = parse_pack(encoded(files))
    assert pack is not None
    assert [(p.file, p.line, p.severity) for p in problems] == [("zones/hill.toml", 1, Severity.WARNING)]


def test_doubled_links_and_spawns():
    files = good_pack()
    link = files["zones/hill.toml"].split("[[links]]")[1]
    files["zones/hill.toml"] += f"\n[[links]]{link}"
    spawn = files["zones/quay.toml"].split("[[spawns]]")[1]
    files["zones/quay.toml"] += f"\n[[spawns]]{spawn}"
    assert [(f, m.split(" at ")[0].split(" is ")[0]) for f, _, m in problems_of(files)] == [
        ("zones/hill.toml", "link 'down'"),
        ("zones/quay.toml", "a second spawn of 'gull'"),
    ]


def test_too_large_and_not_utf8():
    files = encoded(good_pack())
    files["zones/quay.toml"] += b"#" * MAX_FILE_BYTES
    files["zones/hill.toml"] = files["zones/hill.toml"].replace(b"Hill", b"H\xefll")
    _, problems = parse_pack(files)
    assert [(p.file, p.line) for p in problems] == [("zones/hill.toml", 2), ("zones/quay.toml", 1)]
    assert "UTF-8" in problems[0].message and "at most 262144" in problems[1].message


def test_too_many_of_a_kind():
    files = good_pack()
    files["clusters.toml"] = "".join(f'[[clusters]]\nslug = "c{n}"\n' for n in range(101))
    assert ("clusters.toml", 201, "more than 100 [[clusters]]") in problems_of(files)


def test_too_many_creatures_in_a_zone():
    files = good_pack()
    spawn = '[[spawns]]\ncreature = "gull"\ncount = 2000\nx = {}\ny = 50\nradius = 1\n'
    files["zones/quay.toml"] += "".join(spawn.format(x) for x in (30, 40, 60))
    assert problems_of(files) == [("zones/quay.toml", 1, "zone 'quay' spawns more than 5000 creatures")]


def with_wall(wall: str):
    return good_pack() | {"zones/quay.toml": good_pack()["zones/quay.toml"] + f"\n[[walls]]\n{wall}"}


def test_walls():
    pack, problems = parse_pack(encoded(with_wall("x = 1\ny = 2\nto_x = 3.5\nto_y = 100\n")))
    assert problems == [] and pack is not None
    (wall,) = next(zone for zone in pack.zones if zone.slug == "quay").walls
    assert (wall.x, wall.y, wall.to_x, wall.to_y) == (1, 2, 3.5, 100)


@pytest.mark.parametrize(
    "wall, message",
    [
        ("x = 1\ny = 2\nto_x = 3\n", "to_y is missing"),
        ("x = 1\ny = 2\nto_x = 3\nto_y = nan\n", "to_y must be a finite number, not nan"),
        ("x = 1\ny = 2\nto_x = 3\nto_y = 101\n", "reaches outside: zone 'quay' reaches from 0 to 100 m"),
        ("x = 1\ny = 2\nto_x = 1\nto_y = 2\n", "the wall from (1, 2) to (1, 2) has no length"),
        ("x = 1\ny = 2\nto_x = 3\nto_y = 4\nz = 1\n", "z"),
    ],
)
def test_walls_that_are_none(wall, message):
    ((file, line, told),) = problems_of(with_wall(wall))
    assert file == "zones/quay.toml" and line > 25 and message in told


def test_too_many_walls():
    wall = "[[walls]]\nx = 1\ny = 2\nto_x = 3\nto_y = 4\n"
    assert [m for _, _, m in problems_of(with_wall(wall.removeprefix("[[walls]]\n") + wall * MAX_WALLS))] == [
        f"more than {MAX_WALLS} [[walls]]"
    ]


def test_the_digest_is_of_names_and_contents():
    files = encoded(good_pack())
    assert pack_digest(files) == pack_digest(dict(reversed(files.items())))
    assert pack_digest(files) != pack_digest(files | {"zones/quay.toml": b""})
    assert pack_digest({"a": b"bc"}) != pack_digest({"ab": b"c"})


WORDS = 'slug size = 1 -1 nan 1e999 [[links]] [links] [ ] { } , . target x y 1979-05-27 # spawns é \' "quay"'
TOKENS = st.sampled_from([*WORDS.split(), "\n", "\r", "\x00", '"""', "9" * 400, r'"\ud800"'])
MESS = st.one_of(
    st.binary(max_size=60),
    st.lists(TOKENS, max_size=25).map(lambda parts: " ".join(parts).encode()),
)


@given(
    st.dictionaries(
        st.sampled_from(["pack.toml", "clusters.toml", "creatures.toml", "zones/quay.toml", "zones/x.toml"]),
        MESS,
        max_size=5,
    )
)
def test_no_content_makes_the_parser_fail(files):
    pack, problems = parse_pack({**encoded(good_pack()), **files})
    assert pack is not None or any(p.severity is Severity.ERROR for p in problems)
    assert all(p.line >= 1 and p.message for p in problems)


LEAVES = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["quay", "hill", "gull", "east"]),
)


def toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value if not 0xD800 <= ord(c) <= 0xDFFF) + '"'
    return repr(value)


@given(st.data())
def test_no_values_in_the_right_places_make_the_parser_fail(data):
    files = good_pack()
    name = data.draw(st.sampled_from(sorted(files)))
    lines = files[name].split("\n")
    keyed = [number for number, line in enumerate(lines) if " = " in line]
    for number in data.draw(st.lists(st.sampled_from(keyed), min_size=1, max_size=4)):
        lines[number] = f"{lines[number].split(' = ')[0]} = {toml_value(data.draw(LEAVES))}"
    files[name] = "\n".join(lines)
    pack, problems = parse_pack(encoded(files))
    assert pack is not None or any(p.severity is Severity.ERROR for p in problems)
