"""Files of a content pack to a Pack: syntax, types and ranges here, zones against each other in check. Pure.

Never raises on bad content: everything wrong comes back as problems, each with file and line.
"""

import re
import tomllib
from hashlib import sha256
from typing import Any

from worlds.content.check import check_pack
from worlds.content.pack import (
    ChestContent,
    ClusterContent,
    CreatureContent,
    ItemContent,
    LinkContent,
    LootContent,
    Pack,
    SpawnContent,
    VendorContent,
    WallContent,
    WareContent,
    Where,
    ZoneContent,
)
from worlds.content.problems import Problem, Severity
from worlds.content.schema import Field, Flag, Number, OneOf, Reader, Slug, Text, Whole
from worlds.content.toml_lines import KeyPath, key_lines
from zonecluster.rules.items import SLOTS
from zonecluster.rules.sky import CLIMATES, DEFAULT_CLIMATE

FORMAT = 1
PACK_FILE, CLUSTERS_FILE, CREATURES_FILE, ITEMS_FILE, ZONES_FOLDER = (
    "pack.toml",
    "clusters.toml",
    "creatures.toml",
    "items.toml",
    "zones/",
)
MAX_FILE_BYTES = 256 * 1024  # a zone with 200 links and 500 spawns has 90 KB
MAX_FILES = 504  # 500 zones
MAX_ZONE_SIZE = 4096.0  # metres, as worlds.models.Zone
MAX_COINS = 1_000_000_000  # of one price
MAX_CLUSTERS, MAX_CREATURES, MAX_LINKS, MAX_SPAWNS, MAX_WALLS = 100, 1000, 200, 500, 64
MAX_ITEMS, MAX_VENDORS, MAX_WARES, MAX_CHESTS, MAX_LOOT = 2000, 50, 1000, 300, 1500

_HEADING = Number(0, 360, default=0.0, unit="degrees")
_PLACE = Number(0, MAX_ZONE_SIZE, unit="m")
_PACK: dict[str, Field] = {"format": Whole(FORMAT, FORMAT), "name": Text(60), "version": Text(24)}
_CLUSTER: dict[str, Field] = {"slug": Slug(24), "max_players": Whole(1, 10_000, default=5000)}
_CREATURE: dict[str, Field] = {
    "slug": Slug(),
    "name": Text(60),
    "speed": Number(0, 50, default=1.5, unit="m/s"),
}
_ZONE: dict[str, Field] = {
    "slug": Slug(),
    "name": Text(60),
    "description": Text(2000, default="", is_long=True),
    "size": Number(16, MAX_ZONE_SIZE, unit="m"),
    "cluster": Slug(24),
    "is_entry": Flag(default=False),
    "entry_x": _PLACE,
    "entry_y": _PLACE,
    "entry_heading_deg": _HEADING,
    "top_speed": Number(0.5, 50, default=5.0, unit="m/s"),
    "max_players": Whole(1, 10_000, default=500),
    "climate": OneOf(tuple(CLIMATES), default=DEFAULT_CLIMATE),
    "edition": OneOf(("free", "premium"), default="free"),
    "instancing": OneOf(("shared", "alliance"), default="shared"),
    "max_instances": Whole(1, 999, default=8),
}
_LINK: dict[str, Field] = {
    "slug": Slug(),
    "label": Text(80),
    "x": _PLACE,
    "y": _PLACE,
    "radius": Number(0.5, 50, default=2.0, unit="m"),
    "target": Slug(),
    "arrival_x": _PLACE,
    "arrival_y": _PLACE,
    "arrival_heading_deg": _HEADING,
}
_SPAWN: dict[str, Field] = {
    "creature": Slug(),
    "count": Whole(1, 2000),
    "x": _PLACE,
    "y": _PLACE,
    "radius": Number(0.5, 2048, unit="m"),
}
_ITEM: dict[str, Field] = {
    "slug": Slug(),
    "name": Text(60),
    "stack_size": Whole(1, 10_000, default=1),
    "value": Whole(0, MAX_COINS, default=0),
    "weight": Number(0, 10_000, default=0.0, unit="kg"),
    "is_valuable": Flag(default=False),
    "slot": OneOf(SLOTS, default=""),
}
_VENDOR: dict[str, Field] = {
    "slug": Slug(),
    "name": Text(60),
    "x": _PLACE,
    "y": _PLACE,
    "heading_deg": _HEADING,
}
_WARE: dict[str, Field] = {
    "vendor": Slug(),
    "item": Slug(),
    "price": Whole(0, MAX_COINS, default=0),
    "pays": Whole(0, MAX_COINS, default=0),
}
_CHEST: dict[str, Field] = {
    "slug": Slug(),
    "name": Text(60),
    "x": _PLACE,
    "y": _PLACE,
    "refill_s": Whole(10, 604_800, default=600),
    "least_coins": Whole(0, MAX_COINS, default=0),
    "most_coins": Whole(0, MAX_COINS, default=0),
}
_LOOT: dict[str, Field] = {
    "chest": Slug(),
    "item": Slug(),
    "chance": Number(0, 1, default=1.0),
    "least": Whole(1, 10_000, default=1),
    "most": Whole(1, 10_000, default=1),
}
_WALL: dict[str, Field] = {"x": _PLACE, "y": _PLACE, "to_x": _PLACE, "to_y": _PLACE}

# tables of a zone: its keys, how many, what is made of one, and the key whose line is told
_GOODS: dict[str, tuple[dict[str, Field], int, Any, str]] = {
    "vendors": (_VENDOR, MAX_VENDORS, VendorContent, "slug"),
    "wares": (_WARE, MAX_WARES, WareContent, "item"),
    "chests": (_CHEST, MAX_CHESTS, ChestContent, "slug"),
    "loot": (_LOOT, MAX_LOOT, LootContent, "item"),
}

_AT_LINE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_TOO_MANY_DIGITS = re.compile(r"[0-9][0-9_]{4000}")


def pack_digest(files: dict[str, bytes]) -> str:
    """Return hex SHA-256 over names and contents of a pack's files, in the order of names."""
    digest = sha256()
    for name in sorted(files):
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
        digest.update(len(files[name]).to_bytes(8, "little") + files[name])
    return digest.hexdigest()


def parse_pack(files: dict[str, bytes]) -> tuple[Pack | None, list[Problem]]:
    """Parse and check a pack.

    Args: files: path relative to the pack, with forward slashes, to content.
    Returns: the pack, or None if there is an error; and all problems, sorted, warnings among them.
    """
    problems: list[Problem] = []
    head = _pack_head(files, problems)
    clusters: list[ClusterContent] = []
    creatures: list[CreatureContent] = []
    items: list[ItemContent] = []
    zones: list[ZoneContent] = []
    for name in sorted(files):
        if name == PACK_FILE:
            continue
        reader_and_document = _document(name, files[name], problems)
        if reader_and_document is None:
            continue
        reader, document = reader_and_document
        if name == CLUSTERS_FILE:
            clusters = _clusters(reader, document)
        elif name == CREATURES_FILE:
            creatures = _creatures(reader, document)
        elif name == ITEMS_FILE:
            items = _items(reader, document)
        else:
            zones.extend(_zone(reader, document))
    has_whole_files = not problems  # a zone that could not be read would make every link to it look wrong
    problems += check_pack(clusters, creatures, items, zones, is_complete=has_whole_files)
    problems = sorted(set(problems))
    if head is None or any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    digest = pack_digest(files)
    parts = (tuple(clusters), tuple(creatures), tuple(items), tuple(zones))
    return Pack(head["name"], head["version"], digest, *parts), problems


def _pack_head(files: dict[str, bytes], problems: list[Problem]) -> dict[str, Any] | None:
    for required in (PACK_FILE, CLUSTERS_FILE):
        if required not in files:
            problems.append(Problem(required, 1, f"{required} is missing; see docs/content.md"))
    if PACK_FILE not in files:
        return None
    reader_and_document = _document(PACK_FILE, files[PACK_FILE], problems)
    if reader_and_document is None:
        return None
    reader, document = reader_and_document
    return reader.table(document, (), _PACK)


def _document(name: str, data: bytes, problems: list[Problem]) -> tuple[Reader, dict[str, Any]] | None:
    """Decode and parse one file; None when that fails (noted)."""
    if len(data) > MAX_FILE_BYTES:
        problems.append(
            Problem(name, 1, f"has {len(data)} bytes; at most {MAX_FILE_BYTES} are allowed: split it up")
        )
        return None
    try:
        source = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(Problem(name, line, "is not UTF-8 here: save the file as UTF-8"))
        return None
    try:
        document = tomllib.loads(source)
        return Reader(name, key_lines(source), problems), document
    except RecursionError:
        problems.append(Problem(name, 1, "has lists or tables nested too deeply"))
    except ValueError as error:
        problems.append(_syntax_problem(name, source, error))
    return None


def _syntax_problem(name: str, source: str, error: ValueError) -> Problem:
    """Return what is wrong with the TOML; the line is in tomllib's text, and only there."""
    message = str(error)
    place = _AT_LINE.search(message)
    if place is None:  # int() refuses absurdly long numbers without telling where
        digits = _TOO_MANY_DIGITS.search(source)
        line = source.count("\n", 0, digits.start()) + 1 if digits else 1
        return Problem(
            name, line, "holds a number with too many digits" if digits else f"is not valid TOML: {message}"
        )
    line = int(place[1]) if place[1] else source.rstrip("\n").count("\n") + 1
    return Problem(name, line, f"is not valid TOML: {message[: place.start()]}")


def _clusters(reader: Reader, document: dict[str, Any]) -> list[ClusterContent]:
    reader.table(document, (), {}, also=("clusters",))
    found = []
    for table, path in reader.tables(document, "clusters", MAX_CLUSTERS):
        if values := reader.table(table, path, _CLUSTER):
            found.append(ClusterContent(**values, where=_where(reader, path, "slug")))
    return found


def _creatures(reader: Reader, document: dict[str, Any]) -> list[CreatureContent]:
    reader.table(document, (), {}, also=("creatures",))
    found = []
    for table, path in reader.tables(document, "creatures", MAX_CREATURES):
        if values := reader.table(table, path, _CREATURE):
            found.append(CreatureContent(**values, where=_where(reader, path, "slug")))
    return found


def _items(reader: Reader, document: dict[str, Any]) -> list[ItemContent]:
    reader.table(document, (), {}, also=("items",))
    found = []
    for table, path in reader.tables(document, "items", MAX_ITEMS):
        if values := reader.table(table, path, _ITEM):
            found.append(ItemContent(**values, where=_where(reader, path, "slug")))
    return found


def _goods(reader: Reader, document: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Read a zone's vendors and chests with what is in them."""
    found: dict[str, list[Any]] = {name: [] for name in _GOODS}
    for name, (fields, limit, make, key) in _GOODS.items():
        for table, path in reader.tables(document, name, limit):
            if values := reader.table(table, path, fields):
                if "heading_deg" in values:
                    values["heading_deg"] %= 360
                found[name].append(make(**values, where=_where(reader, path, key)))
    return {name: tuple(each) for name, each in found.items()}


def _zone(reader: Reader, document: dict[str, Any]) -> list[ZoneContent]:
    """Read a zone with all that is in it; empty if anything of that is wrong."""
    noted = len(reader.problems)
    values = reader.table(document, (), _ZONE, also=("links", "spawns", "walls", *_GOODS))
    goods = _goods(reader, document)
    links, spawns, walls = [], [], []
    for table, path in reader.tables(document, "links", MAX_LINKS):
        if link := reader.table(table, path, _LINK):
            link["arrival_heading_deg"] %= 360
            links.append(LinkContent(**link, where=_where(reader, path, "slug")))
    for table, path in reader.tables(document, "spawns", MAX_SPAWNS):
        if spawn := reader.table(table, path, _SPAWN):
            spawns.append(SpawnContent(**spawn, where=_where(reader, path, "creature")))
    for table, path in reader.tables(document, "walls", MAX_WALLS):
        if wall := reader.table(table, path, _WALL):
            walls.append(WallContent(**wall, where=_where(reader, path, "x")))
    if values is None or len(reader.problems) != noted:
        return []
    values["entry_heading_deg"] %= 360
    where = _where(reader, (), "slug")
    values |= {"links": tuple(links), "spawns": tuple(spawns), "walls": tuple(walls), **goods}
    return [ZoneContent(**values, where=where)]


def _where(reader: Reader, path: KeyPath, key: str) -> Where:
    return reader.where((*path, key))
