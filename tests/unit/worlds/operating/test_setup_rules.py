"""The five steps of a set-up: what each is waiting for, and what is said where it does not go on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worlds.operating.registering_rules import address_fault, slug_of
from worlds.operating.setup_rules import Facts, StepState, is_done, next_look, steps

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOTHING = Facts(
    called_at=None,
    call_fault="",
    has_key=False,
    is_online=False,
    last_report_at=None,
    gateway_url="ws://not-yet.invalid/",
    gateway_at=None,
    gateway_fault="",
    udp_at=None,
    udp_fault="",
    udp_addresses="",
    zone_at=None,
    master_url="https://play.example.org",
    now=NOW,
)
JOINED = replace(NOTHING, called_at=NOW, has_key=True)
REPORTS = replace(JOINED, is_online=True, last_report_at=NOW, gateway_url="ws://203.0.113.7:8001/")
REACHED = replace(REPORTS, gateway_at=NOW, udp_at=NOW, udp_addresses="203.0.113.7:8004")
ALL_WELL = replace(REACHED, zone_at=NOW)


def _states(facts: Facts) -> list[str]:
    return [step.state.value for step in steps(facts)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (NOTHING, ["now", "", "", "", ""]),
        (replace(NOTHING, called_at=NOW, call_fault="A wrong code."), ["done", "failed", "", "", ""]),
        (JOINED, ["done", "now", "", "", ""]),
        (REPORTS, ["done", "done", "now", "", ""]),
        (replace(REPORTS, gateway_fault="No answer."), ["done", "done", "failed", "", ""]),
        (replace(REPORTS, gateway_at=NOW), ["done", "done", "done", "now", ""]),
        (replace(REPORTS, gateway_at=NOW, udp_fault="No."), ["done", "done", "done", "failed", ""]),
        (replace(REPORTS, gateway_fault="No.", zone_at=NOW), ["done", "done", "failed", "", "done"]),
        (REACHED, ["done", "done", "done", "done", "now"]),
        (ALL_WELL, ["done"] * 5),
        (replace(ALL_WELL, is_online=False), ["done", "failed", "done", "done", ""]),
        (replace(ALL_WELL, gateway_fault="It was there before."), ["done", "done", "failed", "done", "done"]),
    ],
)
def test_one_step_after_the_other(facts: Facts, expected: list[str]) -> None:
    assert _states(facts) == expected
    assert is_done(steps(facts)) is (expected == ["done"] * 5)


def test_what_fails_says_why_and_what_to_do() -> None:
    failed = [
        replace(NOTHING, called_at=NOW, call_fault="A wrong code."),
        replace(REPORTS, gateway_fault="No answer."),
        replace(REPORTS, gateway_at=NOW, udp_fault="No answer by UDP."),
        replace(ALL_WELL, is_online=False),
    ]
    for facts in failed:
        step = next(step for step in steps(facts) if step.state is StepState.FAILED)
        assert step.text
        assert step.advice


def test_nobody_is_called_without_end() -> None:
    """An address of somebody else's, given by Mallory, is knocked at some times, then every ten minutes."""
    soon = next_look(is_well=False, looks=0, now=NOW)
    late = next_look(is_well=False, looks=1000, now=NOW)
    assert soon - NOW <= timedelta(seconds=15)
    assert late - NOW >= timedelta(minutes=10)
    assert next_look(is_well=True, looks=0, now=NOW) - NOW >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Northlight", "northlight"),
        ("The  Ålands Öar!", "the-alands-oar"),
        ("北", ""),
        ("-x-" * 30, "x" + "-x" * 19),
    ],
)
def test_a_slug_is_made_from_the_name(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@pytest.mark.parametrize("address", ["", "play.example.org", "203.0.113.7", "2001:db8::7", "a-1.example"])
def test_addresses_of_machines(address: str) -> None:
    assert address_fault(address) == ""


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://play.example.org", "without https"),
        ("play.example.org/x", "without a path"),
        ("play.example.org:8001", "without a port"),
        ("-x.example", "no name"),
        ("a b", "no name"),
        ("$(reboot)", "no name"),
        ("a;id", "no name"),
        ("x" * 121, "no name"),
    ],
)
def test_what_is_no_address_is_said(address: str, says: str) -> None:
    """It becomes a part of a command that people paste into a shell: nothing but a name gets in."""
    assert says in address_fault(address)
