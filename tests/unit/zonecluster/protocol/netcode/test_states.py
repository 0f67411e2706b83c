"""The transition tables, the diagrams drawn from them in docs/netcode.md, and the purity of the package."""

import ast
from pathlib import Path

import pytest

from zonecluster.protocol import netcode
from zonecluster.protocol.netcode.states import (
    CLIENT_TRANSITIONS,
    LINK_TRANSITIONS,
    ClientEvent,
    ClientState,
    ForbiddenTransition,
    LinkEvent,
    LinkState,
    following,
    state_diagram,
)

PACKAGE = Path(netcode.__file__).parent
DOCUMENT = PACKAGE.parents[2] / "docs" / "netcode.md"


@pytest.mark.parametrize(
    ("table", "states", "events", "first"),
    [
        (CLIENT_TRANSITIONS, ClientState, ClientEvent, ClientState.DISCONNECTED),
        (LINK_TRANSITIONS, LinkState, LinkEvent, LinkState.NONE),
    ],
)
def test_every_state_can_be_reached_and_every_event_does_something(table, states, events, first):
    reached = {first}
    for _ in states:
        reached |= {target for (source, _), target in table.items() if source in reached}
    assert reached == set(states)
    assert {event for _, event in table} == set(events)


def test_error_states_are_final():
    assert all(source.value >= 0 for source, _ in CLIENT_TRANSITIONS)


def test_only_the_response_leads_to_connected():
    ways = [source for (source, _), target in CLIENT_TRANSITIONS.items() if target is ClientState.CONNECTED]
    assert ways == [ClientState.SENDING_CONNECTION_RESPONSE]


def test_a_change_that_is_not_in_the_table_raises():
    with pytest.raises(ForbiddenTransition, match="TIMED_OUT in state NONE"):
        following(LINK_TRANSITIONS, LinkState.NONE, LinkEvent.TIMED_OUT)


@pytest.mark.parametrize(
    ("table", "first"),
    [(CLIENT_TRANSITIONS, ClientState.DISCONNECTED), (LINK_TRANSITIONS, LinkState.NONE)],
)
def test_the_document_holds_the_diagram_of_the_table(table, first):
    assert f"```mermaid\n{state_diagram(table, first)}\n```" in DOCUMENT.read_text()


def test_the_document_names_modules_and_tests_that_exist():
    text = DOCUMENT.read_text()
    here = Path(__file__).parent
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    tests = {path.name for path in here.glob("test_*.py")}
    assert {name for name in modules | tests if f"`{name}" not in text} == set()


def test_the_cores_do_no_input_or_output():
    forbidden = {"django", "asyncio", "socket", "time", "random", "logging", "os", "secrets", "datetime"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.split(".")[0] for name in names} & forbidden, path.name
