import pytest

from zonecluster.protocol.effects import EFFECTS
from zonecluster.rules.spells import BUILT_IN, SPELLS, Spell, Target, why_not

HERE = Target(distance=0.0, is_self=True, is_player=True)
NEAR_CREATURE = Target(distance=4.0, is_self=False, is_player=False)
NEAR_PLAYER = Target(distance=4.0, is_self=False, is_player=True)


@pytest.mark.parametrize("spell", BUILT_IN, ids=lambda spell: spell.name)
def test_every_spell_can_be_cast_on_somebody(spell: Spell) -> None:
    target = NEAR_CREATURE if spell.needs_target else HERE
    assert why_not(spell, target, 0.0) == ""
    assert spell.effect in EFFECTS and spell.seconds > 0 and spell.cooldown > 0


def test_names_are_unique() -> None:
    assert len(SPELLS) == len(BUILT_IN)


@pytest.mark.parametrize(
    ("spell", "target", "ready_in_s", "why"),
    [
        ("haste", HERE, 2.2, "haste is ready again in 3 s."),
        ("haste", None, 0.0, "There is nobody to cast it on."),
        ("slow", HERE, 0.0, "slow is cast on others: select somebody first."),
        ("slow", NEAR_PLAYER, 0.0, "slow works on creatures only."),
        ("haste", Target(20.5, False, True), 0.0, "Too far: 21 m, and haste reaches 20 m."),
        ("light", Target(1.0, False, True, is_frozen=True), 0.0, "That one is between two places just now."),
    ],
)
def test_refusals_say_why(spell: str, target: Target | None, ready_in_s: float, why: str) -> None:
    assert why_not(SPELLS[spell], target, ready_in_s) == why
