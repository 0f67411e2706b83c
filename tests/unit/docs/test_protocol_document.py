"""docs/protocol.md is normative: its tables are parsed here, and held against the code and real bytes."""

import re
import struct
import typing
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
import pytest

from zonecluster.protocol import bus, figures, from_client, to_client, zone_payloads
from zonecluster.protocol.character import next_chain
from zonecluster.protocol.effects import EFFECTS
from zonecluster.protocol.snapshot_view import CHANGE_BYTES, Refused, Snapshot, SnapshotReader
from zonecluster.rules import items
from zonecluster.simulation.cursor import BUFFER_TICKS, LAST_SEQ, LATE_S, STALE_INPUT_S
from zonecluster.simulation.tables import MAX_PENDING

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "protocol.md").read_text()

CLIENT_MESSAGES = typing.get_args(from_client.ClientMessage)
SERVER_MESSAGES = typing.get_args(to_client.ServerMessage)
PARTS = (
    to_client.CharacterSummary,
    to_client.Stack,
    to_client.Bag,
    to_client.Offered,
    to_client.AllianceMember,
    from_client.OfferedItem,
    to_client.TradeSide,
    to_client.LetterSummary,
    to_client.NearbyEntity,
    to_client.Exit,
    bus.OpenLink,
    bus.Resident,
    figures.ClusterFigures,
    figures.PhaseFigures,
    figures.InstanceFigures,
    figures.Consumer,
)
PAYLOADS = {
    "Snapshot header": zone_payloads.SNAPSHOT_HEADER,
    "Entity record": zone_payloads.ENTITY,
    "Input header": zone_payloads.INPUT_HEADER,
    "Input record": zone_payloads.INPUT_RECORD,
}
FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i8": "b", "i16": "h"}


def table_below(heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table below a heading (before the next one), by column name."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", TEXT, re.M | re.S)
    assert match, f"docs/protocol.md has no heading {heading!r}"
    lines = [line for line in match[1].splitlines() if line.startswith("|")]
    if not lines:
        return []
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def describe(kind: msgspec.inspect.Type) -> str:
    """Return how the document writes a field's type."""
    match kind:
        case msgspec.inspect.IntType(ge=None):
            return "integer"
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"integer {low}..{high}"
        case msgspec.inspect.StrType(min_length=None, max_length=None):
            return "text"
        case msgspec.inspect.StrType(min_length=low, max_length=high):
            return f"text of {low or 0}..{high}"
        case msgspec.inspect.ListType(item_type=item, max_length=None):
            return f"list of {describe(item)}"
        case msgspec.inspect.ListType(item_type=item, min_length=low, max_length=high):
            return f"list of {low}..{high} × {describe(item)}"
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(describe(each) for each in types)
        case msgspec.inspect.LiteralType(values=values) if len(values) <= 5:
            return " or ".join(f'"{value}"' for value in values)
        case msgspec.inspect.LiteralType():
            return "code, see below"
        case msgspec.inspect.StructType(cls=cls):
            return cls.__name__
    plain = {
        msgspec.inspect.UUIDType: "uuid",
        msgspec.inspect.BoolType: "boolean",
        msgspec.inspect.FloatType: "number",
        msgspec.inspect.BytesType: "bytes",
        msgspec.inspect.NoneType: "null",
    }
    return plain[type(kind)]


def rows_of(kind: type) -> list[tuple[str, str]]:
    """Return (field, type as the document writes it) of a message; optional fields end in `?`."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return [(each.name + ("" if each.required else "?"), describe(each.type)) for each in info.fields]


def tag_of(kind: type) -> str:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return str(info.tag)


@pytest.mark.parametrize("kind", [*CLIENT_MESSAGES, *SERVER_MESSAGES], ids=lambda kind: kind.__name__)
def test_every_message_of_the_world_link_is_documented(kind: type) -> None:
    rows = table_below(f"`{tag_of(kind)}`")
    assert [(row["field"], row["type"]) for row in rows] == rows_of(kind)
    assert all(row["meaning"] for row in rows)


@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_every_part_of_a_message_is_documented(kind: type) -> None:
    if kind.__module__.startswith(bus.__name__) or kind.__module__ == figures.__name__:
        fields = next(
            row["fields"] for row in table_below("Parts of bus messages") if row["part"] == kind.__name__
        )
        assert fields.split(", ") == list(kind.__struct_fields__)
    else:
        rows = table_below(f"`{kind.__name__}`")
        assert [(row["field"], row["type"]) for row in rows] == rows_of(kind)


def test_no_message_is_documented_that_does_not_exist() -> None:
    known = {tag_of(kind) for kind in (*CLIENT_MESSAGES, *SERVER_MESSAGES)}
    known |= {kind.__name__ for kind in PARTS}
    assert set(re.findall(r"^#### `([^`]+)`$", TEXT, re.M)) <= known


def test_every_reason_of_goods_is_documented() -> None:
    assert [row["code"] for row in table_below("Goods")] == list(typing.get_args(items.Why))


def test_every_reason_of_trade_and_mail_is_documented() -> None:
    codes = [row["code"] for row in table_below("Codes of trade and mail")]
    assert codes == list(typing.get_args(to_client.ExchangeCode))
    assert not set(codes) & set(typing.get_args(items.Why))


def test_every_refusal_code_is_documented() -> None:
    codes = [row["code"] for row in table_below("Refusals")]
    assert codes == list(typing.get_args(to_client.RefusalCode))


@pytest.mark.parametrize(
    ("heading", "union"),
    [
        ("Gateway to daemon", bus.FromGateway),
        ("Cluster to daemon", bus.FromCluster),
        ("To gateways", bus.ToGateway),
        ("To clusters", bus.ToCluster),
    ],
)
def test_every_bus_message_is_documented(heading: str, union: typing.Any) -> None:
    documented = {row["message"]: row["fields"].split(", ") for row in table_below(heading)}
    assert documented == {kind.__name__: list(kind.__struct_fields__) for kind in typing.get_args(union)}


@pytest.mark.parametrize("heading", PAYLOADS)
def test_payload_tables_are_the_code(heading: str) -> None:
    dtype = PAYLOADS[heading]
    rows = table_below(heading)
    assert [row["name"] for row in rows] == list(dtype.names or ())
    for row in rows:
        field, offset = (dtype.fields or {})[row["name"]][:2]
        assert int(row["offset"]) == offset, row
        assert struct.calcsize("<" + FORMATS[row["type"]]) == field.itemsize, row
        assert FORMATS[row["type"]].isupper() == (field.kind == "u"), row
    last = rows[-1]
    assert int(last["offset"]) + struct.calcsize("<" + FORMATS[last["type"]]) == dtype.itemsize


def read_by_document(heading: str, data: bytes) -> dict[str, int]:
    """Read bytes by the document's table alone."""
    return {
        row["name"]: struct.unpack_from("<" + FORMATS[row["type"]], data, int(row["offset"]))[0]
        for row in table_below(heading)
    }


@pytest.mark.parametrize("heading", PAYLOADS)
def test_real_bytes_read_by_the_document(heading: str) -> None:
    """What the code writes, the document's tables read back, field by field."""
    dtype = PAYLOADS[heading]
    random = np.random.default_rng(1)
    for _ in range(50):
        data = random.bytes(dtype.itemsize)
        record = np.frombuffer(data, dtype, 1)[0]
        assert read_by_document(heading, data) == {name: int(record[name]) for name in dtype.names or ()}


def change_by_document(data: bytes, at: int, entity: dict[str, int]) -> tuple[dict[str, int], int]:
    """Read a change by the table "Changes"; return what the entity is then, and where the next begins."""
    fields, at, entity = data[at], at + 1, dict(entity)
    for row in table_below("Changes"):
        bits, _, last = row["bits"].partition("-")
        low, width = int(bits), int(last or bits) - int(bits) + 1
        if fields >> low & (1 << width) - 1 != int(row["value"]):
            continue
        if row["bytes that follow"].startswith("3:"):
            packed = int.from_bytes(data[at : at + 3], "little")
            for name, offset in re.findall(
                r"bits (\d+) to \d+ to be added to `(\w)", row["bytes that follow"]
            ):
                value = packed >> int(name) & 0xFFF
                entity[offset] += value - (value >> 11 << 12)
            at += 3
        else:
            for kind, is_added, name in re.findall(
                r"([ui]\d+) (to be added to )?`(\w+)", row["bytes that follow"]
            ):
                (value,) = struct.unpack_from("<" + FORMATS[kind], data, at)
                entity[name] = entity[name] + value if is_added else value
                at += struct.calcsize("<" + FORMATS[kind])
    return entity, at


def view_by_document(data: bytes, views: dict[int, dict[int, dict[str, int]]]) -> list[dict[str, int]]:
    """Read a snapshot by the document alone; keep its view, return the own entity and the view's."""
    header = read_by_document("Snapshot header", data)
    own = read_by_document("Entity record", data[34:])
    mask_bytes = (header["slots"] + 7) // 8
    mask, at = int.from_bytes(data[50 : 50 + mask_bytes], "little"), 50 + mask_bytes
    before = views[header["baseline_tick"]]
    view = {place: entity for place, entity in before.items() if place < header["slots"]}
    for place in range(header["slots"]):
        if not mask >> place & 1:
            continue
        if data[at] == 0x80:
            del view[place]
            at += 1
        elif data[at] == 0xFF:
            view[place] = read_by_document("Entity record", data[at + 1 :])
            at += 17
        else:
            view[place], at = change_by_document(data, at, view[place])
    assert at == len(data)
    views[header["tick"]] = view
    return [own, *(view[place] for place in sorted(view))]


def as_dicts(entities: np.ndarray) -> list[dict[str, int]]:
    names = entities.dtype.names or ()
    return [dict(zip(names, entity, strict=True)) for entity in entities.tolist()]


def test_the_example_of_a_snapshot() -> None:
    """The document's example is what the reader and the document's own tables make of it."""
    data = bytes.fromhex("".join(row["hex"] for row in table_below("Example of a snapshot")))
    before = np.zeros(2, zone_payloads.ENTITY)
    before["id"], before["x"], before["y"] = (65537, 65538), (1000, 1010), (2000, 2010)
    header = np.zeros(1, zone_payloads.SNAPSHOT_HEADER)
    header["kind"], header["slots"], header["tick"] = zone_payloads.SNAPSHOT, 2, 1000
    own = np.frombuffer(data, zone_payloads.ENTITY, 1, 34)
    first = header.tobytes() + own.tobytes() + b"\3" + b"".join(b"\xff" + each.tobytes() for each in before)
    reader = SnapshotReader()
    assert isinstance(reader.read(first), Snapshot)
    views = {0: {}, 1000: dict(enumerate(as_dicts(before)))}
    snapshot = reader.read(data)
    assert isinstance(snapshot, Snapshot) and snapshot.tick == 1002
    assert as_dicts(snapshot.entities) == view_by_document(data, views)
    moved, wolf = snapshot.entities[1:]
    assert (moved["id"], moved["x"], moved["y"], moved["heading"]) == (65537, 1040, 1934, 85)
    assert (wolf["id"], wolf["kind_flags"]) == (131175, 1)


def test_changes_are_read_by_the_document() -> None:
    """Each first byte that means something, random bytes behind it: reader and document agree."""
    random = np.random.default_rng(2)
    header = np.zeros(1, zone_payloads.SNAPSHOT_HEADER)
    entities = np.zeros(2, zone_payloads.ENTITY)
    entities["id"], entities["x"], entities["y"] = (1, 2), 30_000, 40_000
    header["kind"], header["slots"], header["tick"] = zone_payloads.SNAPSHOT, 1, 1
    first = header.tobytes() + entities[:1].tobytes() + b"\1\xff" + entities[1:].tobytes()
    header["tick"], header["baseline_tick"] = 2, 1
    agreed = 0
    for fields in (fields for fields in range(256) if CHANGE_BYTES[fields]):
        data = header.tobytes() + entities[:1].tobytes() + b"\1" + bytes([fields])
        data += random.bytes(CHANGE_BYTES[fields] - 1)
        reader = SnapshotReader()
        reader.read(first)
        snapshot = reader.read(data)
        assert not isinstance(snapshot, Refused)
        views: dict[int, dict[int, dict[str, int]]] = {0: {}}
        view_by_document(first, views)
        assert as_dicts(snapshot.entities) == view_by_document(data, views)
        agreed += 1
    assert agreed == 129  # 127 ways to change an entity, an empty place, a whole entity


def test_the_limits_in_the_document() -> None:
    for name, value in (
        ("protocol version", from_client.PROTOCOL_VERSION),
        ("frame", from_client.MAX_FRAME_BYTES),
        ("payload", zone_payloads.MAX_PAYLOAD_BYTES),
        ("nearest", zone_payloads.MAX_NEAREST),
        ("inputs", zone_payloads.MAX_INPUTS_PER_PACKET),
        ("baselines", zone_payloads.MAX_BASELINE_TICKS),
    ):
        row = next(row for row in table_below("Limits") if row["limit"] == name)
        assert int(row["value"].replace(",", "")) == value


def test_the_chain_example() -> None:
    """The document's worked example of the hash chain is right."""
    rows = {row["what"]: row["hex"] for row in table_below("The hash chain")}
    found = next_chain(
        bytes.fromhex(rows["prev_chain"]),
        int(rows["version"]),
        UUID(hex=rows["op_id"]),
        bytes.fromhex(rows["state hash"]),
    )
    assert found.hex() == rows["chain"]


def test_effects_are_documented_by_their_bits() -> None:
    assert [(int(row["bit"]), row["effect"]) for row in table_below("Effects")] == list(enumerate(EFFECTS))


def test_rules_of_the_cursor_are_the_codes() -> None:
    section = re.search(r"^### Inputs\n(.*?)(?=^#### )", TEXT, re.M | re.S)
    assert section
    for words in (
        f"up to {MAX_PENDING} client ticks ahead",
        f"set the cursor to {BUFFER_TICKS} before",
        f"above {LAST_SEQ:,} is none",
        f"after {STALE_INPUT_S:.0f} s without",
        f"{LATE_S} s were",
    ):
        assert words in " ".join(section[1].split()), words
