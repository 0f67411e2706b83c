"""Recomputing a line's chain: whole histories pass, every kind of damage is named."""

from dataclasses import replace
from uuid import UUID

import pytest

from characters.history import Link, fault_of
from characters.thinning import pack_link
from zonecluster.protocol.character import GENESIS_CHAIN, next_chain, state_hash


def history(length: int) -> list[Link]:
    links, chain = [], GENESIS_CHAIN
    for version in range(1, length + 1):
        state, op_id = b'{"money":%d}' % version, UUID(int=version)
        following = next_chain(chain, version, op_id, state_hash(state))
        links.append(Link(version, op_id, chain, following, state_hash(state), state))
        chain = following
    return links


def test_a_whole_history_has_no_fault():
    links = history(5)
    assert fault_of(links) == fault_of(links, links[-1]) == fault_of(links[2:], links[-1]) == ""


def test_a_run_that_retention_left_is_no_fault():
    links = history(5)
    run = b"".join(pack_link(link.op_id, link.state_hash) for link in links[1:3])
    assert fault_of([links[0], *links[3:]], links[-1], {(2, 3): run}) == ""


def test_a_gap_that_retention_does_not_account_for_is_a_fault():
    links = history(5)
    run = b"".join(pack_link(link.op_id, link.state_hash) for link in links[1:3])
    assert fault_of([links[0], *links[3:]]) == "v2 is missing"
    assert fault_of([links[0], *links[3:]], None, {(2, 2): run[:48]}) == "v2 is missing"
    damaged = bytes([run[0] ^ 1]) + run[1:]
    assert fault_of([links[0], *links[3:]], None, {(2, 3): damaged}) == "v4: does not continue v1"


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ({"state": b'{"money":9}'}, "v3: the state is not the one that was hashed"),
        ({"state": b"{}", "state_hash": state_hash(b"{}")}, "v3: the chain does not follow from its parts"),
        ({"op_id": UUID(int=99)}, "v3: the chain does not follow from its parts"),
        ({"chain": bytes(32)}, "v3: the chain does not follow from its parts"),
        ({"prev_chain": bytes(32)}, "v3: the chain does not follow from its parts"),
    ],
)
def test_each_damage_is_named(damage, fault):
    links = history(5)
    links[2] = replace(links[2], **damage)
    assert fault_of(links) == fault


def test_a_version_of_another_history_does_not_continue_this_one():
    links = history(3)
    state = b"{}"
    chain = next_chain(bytes(32), 3, UUID(int=3), state_hash(state))
    links[2] = Link(3, UUID(int=3), bytes(32), chain, state_hash(state), state)
    assert fault_of(links) == "v3: does not continue v2"


@pytest.mark.parametrize("change", [{"version": 6}, {"chain": bytes(32)}, {"state": b"{}"}])
def test_a_head_that_is_not_the_newest_version_is_a_fault(change):
    links = history(5)
    head = replace(links[-1], **change)
    assert fault_of(links, head) == f"the head (v{head.version}) is not the newest version"


def test_no_versions_at_all_is_a_fault():
    assert "is not the newest version" in fault_of([], history(1)[0])
