"""The tables of the character repository: fields and constraints only.

States are the canonical bytes of zonecluster.protocol.character, kept as bytes so that they stay byte-equal.
"""

from characters.models.goods import Gain, Letter, TradeStop, Valuable, ValuableEvent, WorldBudget
from characters.models.lines import Character, Fall, FormerName, Line, ThinnedVersions, Version
from characters.models.restores import Incarnation, Reoffer, WaitingOffer

__all__ = [
    "Character",
    "Fall",
    "FormerName",
    "Gain",
    "Incarnation",
    "Letter",
    "Line",
    "Reoffer",
    "ThinnedVersions",
    "TradeStop",
    "Valuable",
    "ValuableEvent",
    "Version",
    "WaitingOffer",
    "WorldBudget",
]
