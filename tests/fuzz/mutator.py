"""Seeded changes to bytes: the same seed, corpus and count give the same cases on every machine."""

from random import Random

MAX_BYTES = 2200  # more than the longest thing a decoder takes
NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63,
    2**64 - 1,
)


def mutated(data: bytes, others: list[bytes], random: Random) -> bytes:
    """Return the data changed in one to four places, or spliced with another of the corpus."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(CHANGES)(changed, others, random)
    return bytes(changed[:MAX_BYTES])


def _place(data: bytearray, random: Random) -> int:
    return random.randrange(len(data)) if data else 0


def _flip(data: bytearray, others: list[bytes], random: Random) -> None:
    if data:
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _byte(data: bytearray, others: list[bytes], random: Random) -> None:
    if data:
        data[_place(data, random)] = random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, random.randrange(256)))


def _number(data: bytearray, others: list[bytes], random: Random) -> None:
    width = random.choice((1, 2, 4, 8))
    at = _place(data, random)
    number = random.choice(NUMBERS) & ((1 << 8 * width) - 1)
    data[at : at + width] = number.to_bytes(width, random.choice(("little", "big")))


def _insert(data: bytearray, others: list[bytes], random: Random) -> None:
    at = _place(data, random)
    data[at:at] = random.randbytes(random.randrange(1, 9))


def _remove(data: bytearray, others: list[bytes], random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.randrange(1, 17)]


def _repeat(data: bytearray, others: list[bytes], random: Random) -> None:
    at = _place(data, random)
    piece = data[at : at + random.randrange(1, 33)]
    data[at:at] = piece * random.randrange(1, 5)


def _cut(data: bytearray, others: list[bytes], random: Random) -> None:
    del data[_place(data, random) :]


def _lengthen(data: bytearray, others: list[bytes], random: Random) -> None:
    data += random.randbytes(random.randrange(1, 65))


def _splice(data: bytearray, others: list[bytes], random: Random) -> None:
    other = random.choice(others)
    at = _place(data, random)
    data[at:] = other[min(at, len(other)) :]


CHANGES = (_flip, _flip, _byte, _byte, _number, _number, _insert, _remove, _repeat, _cut, _lengthen, _splice)
