"""What a person types, understood."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystone_client.terminal.commands import CastSpell, Choose, GoTo, Hint, Plain, Speak, Step, WalkTo, parse


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("n", Step(0, 6)),
        ("north", Step(0, 6)),
        ("S 10", Step(0, -10)),
        ("walk e 2.5", Step(2.5, 0)),
        ("go west", Step(-6, 0)),
        ("walk to 120 96", WalkTo(120, 96)),
        ("walk to 120, 96.5", WalkTo(120, 96.5)),
        ("walk to mossgate", GoTo("mossgate")),
        ("go moss-stair", GoTo("moss-stair")),
        ("walk to Alice Berg", GoTo("Alice Berg")),
        ("say Hello there", Speak("Hello there")),
        ("'Hello", Speak("Hello")),
        ('"Hello', Speak("Hello")),
        ("l", Plain("look")),
        ("QUIT", Plain("quit")),
        ("?", Plain("help")),
        ("/look", Plain("look")),
        ("select Alice Berg", Choose("Alice Berg")),
        ("/select", Choose("")),
        ("cast Haste", CastSpell("haste", "")),
        ("/cast root on Gull", CastSpell("root", "Gull")),
        ("cast root gull", CastSpell("root", "gull")),
        ("cast", CastSpell("?", "")),
        ("cast " + "x" * 99, CastSpell("x" * 64, "")),
    ],
)
def test_orders(line: str, order: object) -> None:
    assert parse(line) == order


def test_diagonals_are_as_long_as_the_others() -> None:
    step = parse("ne 10")
    assert isinstance(step, Step) and math.hypot(step.dx, step.dy) == pytest.approx(10)


@pytest.mark.parametrize(
    "line", ["dance", "say", "'", "walk", "walk to", "n far", "n -3", "n 1e9", "n nan", "go to"]
)
def test_what_is_not_understood_gets_a_hint(line: str) -> None:
    order = parse(line)
    assert isinstance(order, Hint) and order.text


@pytest.mark.parametrize("line", ["", "   ", "\n", "/", " / "])
def test_empty_lines_are_nothing(line: str) -> None:
    assert parse(line) is None


@given(st.text(max_size=200))
def test_nothing_typed_raises(line: str) -> None:
    order = parse(line)
    if isinstance(order, Speak):
        assert 1 <= len(order.text) <= 400
