"""Character documents of a wanted size, made like a player's: mostly things with ids."""

from random import Random
from string import ascii_lowercase
from uuid import UUID

from zonecluster.protocol.character import CharacterState, Item, Place, encode_state

KINDS = ("ember-dagger", "copper-staff", "woolen-cloak", "bronze-spear", "silver-chain")  # of one length
MOST_PAD = 64  # characters of a name


def document(size_bytes: int, seed: int) -> bytes:
    """Return the canonical bytes of a document of exactly this size; another for each seed.

    Raises: ValueError: no document is so small.
    """
    rng = Random(seed)
    bare = _state(Random(seed), [], (1, 1))
    room = size_bytes - len(encode_state(bare))
    if room < 0:
        raise ValueError(f"a document has at least {size_bytes - room} bytes, not {size_bytes}")
    of_one = len(encode_state(_state(Random(seed), [_thing(rng)], (1, 1)))) - (size_bytes - room)
    count = (room + 1) // (of_one + 1)  # a comma between two
    rest = room - max(count * (of_one + 1) - 1, 0)
    pads = 1 + min(rest, MOST_PAD - 1), 1 + max(rest - (MOST_PAD - 1), 0)
    return encode_state(_state(Random(seed), [_thing(rng) for _ in range(count)], pads))


def _thing(rng: Random) -> Item:
    return Item(kind=rng.choice(KINDS), id=UUID(int=rng.getrandbits(128)))


def _state(rng: Random, things: list[Item], pads: tuple[int, int]) -> CharacterState:
    """Return a state. Args: pads: how long two texts are (1 to 64), by which any size can be met."""
    first, second = ("".join(rng.choices(ascii_lowercase, k=MOST_PAD))[:pad] for pad in pads)
    position = (rng.uniform(0, 500), rng.uniform(0, 500), 0.0)
    return CharacterState(
        attributes={"hp": rng.randrange(1, 100), "level": rng.randrange(1, 60), "xp": rng.randrange(10**6)},
        bags={"backpack": things},
        money=rng.randrange(10**6),
        places={"w": Place(zone="meadow", position=position)},
        quests={"the-first-page": first, "the-second-page": second},
        skills={"wayfaring": rng.randrange(10**4)},
    )
