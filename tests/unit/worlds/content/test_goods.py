"""Items, vendors and chests of a content pack: what is right, and everything that can be wrong."""

import pytest

from tests.unit.worlds.content.packs import encoded, good_pack, pack_with_goods
from tests.unit.worlds.content.test_parse import problems_of
from worlds.content.parse import parse_pack

QUAY, ITEMS = "zones/quay.toml", "items.toml"
WARE = 'vendor = "marta"\nitem = "bread"\nprice = 3\npays = 1\n'


def test_goods_are_read():
    pack, problems = parse_pack(encoded(pack_with_goods()))
    assert problems == [] and pack is not None
    bread, crown = pack.items
    assert (bread.slug, bread.stack_size, bread.value, bread.is_valuable) == ("bread", 20, 2, False)
    assert (crown.stack_size, crown.slot, crown.is_valuable, crown.weight) == (1, "head", True, 0.0)
    quay = next(zone for zone in pack.zones if zone.slug == "quay")
    assert [(v.slug, v.x, v.y) for v in quay.vendors] == [("marta", 30.0, 31.0)]
    assert [(w.vendor, w.item, w.price, w.pays) for w in quay.wares] == [("marta", "bread", 3, 1)]
    assert [(c.slug, c.refill_s, c.least_coins, c.most_coins) for c in quay.chests] == [("crate", 600, 2, 9)]
    assert [(loot.chest, loot.item, loot.chance, loot.least) for loot in quay.loot] == [
        ("crate", "crown", 0.25, 1)
    ]


def test_a_pack_without_items():
    pack, problems = parse_pack(encoded(good_pack()))
    assert problems == [] and pack is not None and pack.items == ()


@pytest.mark.parametrize(
    ("file", "before", "after", "below", "message"),
    [
        (ITEMS, "stack_size = 20", "stack_size = 0", 0, "stack_size must be from 1 to 10000, not 0"),
        (ITEMS, "value = 2", "value = -2", 0, "value must be from 0 to"),
        (ITEMS, "value = 2", "value = 1.5", 0, "value must be a whole number"),
        (ITEMS, "value = 2", "weight = -1", 0, "weight must be from 0 to 10000 kg, not -1"),
        (ITEMS, 'slot = "head"', 'slot = "tail"', 0, "slot must be one of head, body"),
        (ITEMS, 'slot = "head"', "slot = 1", 0, "slot must be a text in quotes"),
        (
            ITEMS,
            'slot = "head"',
            '\n[[items]]\nslug = "bread"\nname = "x"',
            2,
            "item 'bread' is already defined in items.toml:2",
        ),
        (ITEMS, 'slot = "head"', "stack_size = 2", -3, "'crown' is a valuable"),
        (ITEMS, "value = 2", 'value = 2\nslot = "feet"', -3, "'bread' is worn, so each is by itself"),
        (QUAY, 'name = "Marta"', 'name = "Marta"\nmood = "bad"', 1, "unknown key 'mood'"),
        (QUAY, "x = 30", "x = 101", -2, "vendor 'marta' (101, 31) is outside"),
        (QUAY, "y = 41", "y = 100.5", -3, "chest 'crate' (40, 100.5) is outside"),
        (QUAY, WARE, WARE.replace("marta", "bob"), 1, "no vendor 'bob' in this zone"),
        (QUAY, WARE, WARE.replace("bread", "cake"), 1, "no item 'cake' in items.toml"),
        (QUAY, WARE, WARE.replace("price = 3\npays = 1\n", ""), 1, "neither sells nor buys 'bread'"),
        (QUAY, WARE, WARE.replace("price = 3", "price = -3"), 2, "price must be from 0 to"),
        (QUAY, WARE, WARE.replace("pays = 1", "pays = 4"), 1, "pays 4 for 'bread', which is sold for 3"),
        (QUAY, WARE, f"{WARE}\n[[wares]]\n{WARE}", 7, "'marta' has 'bread' twice"),
        (QUAY, "most_coins = 9", "most_coins = 1", -5, "least_coins is more than most_coins"),
        (QUAY, "chance = 0.25", "chance = 1.5", 0, "chance must be from 0 to 1, not 1.5"),
        (QUAY, "chance = 0.25", "chance = nan", 0, "must be a finite number"),
        (QUAY, "chance = 0.25", "least = 3\nmost = 2", -1, "loot 'crown': least is more than most"),
        (QUAY, 'chest = "crate"', 'chest = "box"', 1, "no chest 'box' in this zone"),
    ],
)
def test_one_fault(file, before, after, below, message):
    files = pack_with_goods()
    assert files[file].count(before) == 1
    line = files[file][: files[file].index(before)].count("\n") + 1
    files[file] = files[file].replace(before, after)
    found = problems_of(files)
    assert [(name, number) for name, number, _ in found] == [(file, line + below)], found
    assert message in found[0][2]


def test_nobody_buys_dear_what_another_sells_cheap():
    files = pack_with_goods()
    files["zones/hill.toml"] += '\n[[vendors]]\nslug = "bren"\nname = "Bren"\nx = 1\ny = 1\n'
    files["zones/hill.toml"] += '[[wares]]\nvendor = "bren"\nitem = "bread"\nprice = 9\npays = 4\n'
    assert [
        "'bren' pays 4 for 'bread', which is sold for 3" in message for *_, message in problems_of(files)
    ] == [True]
