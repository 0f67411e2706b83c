"""Character documents of a wanted size, made like a player's: mostly things with ids."""

from random import Random
from string import ascii_lowercase
from uuid import UUID

from zonecluster.protocol.character import CharacterState, Item, Place, encode_state

KINDS = ("ember-dagger", "copper-staff", "woolen-cloak", "bronze-spear", "silver-chain")  # of one length
MOST_PAD = 64  # characters of a name
SPARE = 24  # bytes by which numbers may be longer in another turn, with as many things


def document(size_bytes: int, seed: int, turn: int = 0) -> bytes:
    """Return the canonical bytes of a document of exactly this size; another for each seed.

    Args: turn: documents of one seed have the same things, and other numbers and texts at each turn.
    Raises: ValueError: no document is so small.
    """
    room, of_one = _room(size_bytes, seed, 0), _size_of_one(seed)
    count = max((room - SPARE + 1) // (of_one + 1), 0)  # a comma between two
    rest = _room(size_bytes, seed, turn) - max(count * (of_one + 1) - 1, 0)
    if rest < 0:
        raise ValueError(f"a document has at least {size_bytes - rest} bytes, not {size_bytes}")
    pads = 1 + min(rest, MOST_PAD - 1), 1 + max(rest - (MOST_PAD - 1), 0)
    rng = Random(seed)
    return encode_state(_state(_rng(seed, turn), [_thing(rng) for _ in range(count)], pads))


def _rng(seed: int, turn: int) -> Random:
    return Random(f"{seed}.{turn}")


def _room(size_bytes: int, seed: int, turn: int) -> int:
    """Return the bytes that a document has beside its numbers and two texts of one character."""
    return size_bytes - len(encode_state(_state(_rng(seed, turn), [], (1, 1))))


def _size_of_one(seed: int) -> int:
    """Return the bytes of one thing in a bag."""
    bare, one = (_state(_rng(seed, 0), things, (1, 1)) for things in ([], [_thing(Random(seed))]))
    return len(encode_state(one)) - len(encode_state(bare))


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
