"""Spell effects that can be seen, by their bits in an entity's `effects`.

Source: docs/protocol.md, section "Effects".
"""

EFFECTS = ("haste", "slow", "root", "light", "shield")  # bit 0 first; the other bits are reserved


def effect_names(bits: int) -> tuple[str, ...]:
    """Return the names of a set of bits; reserved ones are left out."""
    return tuple(name for bit, name in enumerate(EFFECTS) if bits >> bit & 1)
