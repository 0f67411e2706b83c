"""Spells: what there is to cast, and why a cast is refused. Who they are cast on is the cluster's to find."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Spell:
    """One spell. `effect` is what its target bears for `seconds`; `range` in metres; `cooldown` in seconds.

    needs_target: it is cast on somebody selected; otherwise on the caster, if nobody is named. is_harmful: it
    may be cast on creatures only.
    """

    name: str
    effect: str
    seconds: float
    range: float
    cooldown: float
    needs_target: bool = False
    is_harmful: bool = False


BUILT_IN = (
    Spell("haste", "haste", seconds=10.0, range=20.0, cooldown=20.0),
    Spell("light", "light", seconds=120.0, range=20.0, cooldown=3.0),
    Spell("shield", "shield", seconds=20.0, range=20.0, cooldown=15.0),
    Spell("slow", "slow", seconds=8.0, range=25.0, cooldown=8.0, needs_target=True, is_harmful=True),
    Spell("root", "root", seconds=4.0, range=20.0, cooldown=12.0, needs_target=True, is_harmful=True),
)
SPELLS = {spell.name: spell for spell in BUILT_IN}


@dataclass(frozen=True)
class Target:
    """On whom a spell is cast. Distance in metres from the caster."""

    distance: float
    is_self: bool
    is_player: bool
    is_frozen: bool = False


def why_not(spell: Spell, target: Target | None, ready_in_s: float) -> str:
    """Return why this cast is refused, for people; empty if it is not.

    Args: target: None: nobody is there, or nobody was named. ready_in_s: of its cooldown that is left.
    """
    if ready_in_s > 0:
        return f"{spell.name} is ready again in {ceil(ready_in_s)} s."
    if target is None:
        return "There is nobody to cast it on."
    if spell.needs_target and target.is_self:
        return f"{spell.name} is cast on others: select somebody first."
    if spell.is_harmful and target.is_player:
        return f"{spell.name} works on creatures only."
    if target.is_frozen:
        return "That one is between two places just now."
    if target.distance > spell.range:
        return f"Too far: {ceil(target.distance)} m, and {spell.name} reaches {spell.range:.0f} m."
    return ""
