"""A small pack that is right, for tests that make one thing wrong."""

PACK = 'format = 1\nname = "Test"\nversion = "1"\n'
CLUSTERS = '[[clusters]]\nslug = "east"\n\n[[clusters]]\nslug = "west"\n'
CREATURES = '[[creatures]]\nslug = "gull"\nname = "gull"\n'
ITEMS = """[[items]]
slug = "bread"
name = "bread"
stack_size = 20
value = 2

[[items]]
slug = "crown"
name = "crown"
is_valuable = true
slot = "head"
"""
QUAY = """slug = "quay"
name = "Quay"
size = 100
cluster = "east"
is_entry = true
entry_x = 50
entry_y = 50

[[links]]
slug = "up"
label = "Up"
x = 50
y = 90
radius = 2
target = "hill"
arrival_x = 50
arrival_y = 50

[[spawns]]
creature = "gull"
count = 3
x = 20
y = 20
radius = 10
"""
HILL = """slug = "hill"
name = "Hill"
size = 100
cluster = "west"
entry_x = 50
entry_y = 50

[[links]]
slug = "down"
label = "Down"
x = 50
y = 10
target = "quay"
arrival_x = 50
arrival_y = 60
"""


QUAY_GOODS = """
[[vendors]]
slug = "marta"
name = "Marta"
x = 30
y = 31
heading_deg = 360

[[wares]]
vendor = "marta"
item = "bread"
price = 3
pays = 1

[[chests]]
slug = "crate"
name = "Crate"
x = 40
y = 41
least_coins = 2
most_coins = 9

[[loot]]
chest = "crate"
item = "crown"
chance = 0.25
"""


def good_pack() -> dict[str, str]:
    """Return the files of a pack without problems."""
    return {
        "pack.toml": PACK,
        "clusters.toml": CLUSTERS,
        "creatures.toml": CREATURES,
        "zones/quay.toml": QUAY,
        "zones/hill.toml": HILL,
    }


def pack_with_goods() -> dict[str, str]:
    """Return the files of a pack with items, a vendor and a chest, without problems."""
    return good_pack() | {"items.toml": ITEMS, "zones/quay.toml": QUAY + QUAY_GOODS}


def encoded(files: dict[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}
