"""After a restore: which offered versions the repository takes back."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from characters.collecting_rules import decide_offer
from characters.rules import Head
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import next_chain

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LINE, CHAIN, STATE = UUID(int=1), bytes(range(32)), bytes(32)


def receipt(version: int, prev_chain: bytes, op_id: UUID | None = None) -> Receipt:
    op_id = op_id or uuid4()
    chain = next_chain(prev_chain, version, op_id, STATE)
    return Receipt("aurora", LINE, version, 1_000_001, op_id, chain, STATE, NOW)


@pytest.mark.parametrize(
    ("head", "offered", "is_known", "outcome"),
    [
        (Head(version=4, chain=CHAIN), receipt(5, CHAIN), False, "replayed"),
        (Head(version=4, chain=CHAIN), receipt(5, CHAIN), True, "known"),
        (Head(version=9, chain=CHAIN), receipt(5, CHAIN), True, "known"),
        (Head(version=4, chain=CHAIN), receipt(6, CHAIN), False, "waiting"),
        (None, receipt(2, CHAIN), False, "unknown"),
        (Head(version=4, chain=CHAIN), receipt(5, bytes(32)), False, "overtaken"),
        (Head(version=4, chain=CHAIN), receipt(4, CHAIN), False, "overtaken"),
    ],
    ids=["next", "again", "long ago", "gap", "no such line", "same number, another history", "overtaken"],
)
def test_outcome(head: Head | None, offered: Receipt, is_known: bool, outcome: str) -> None:
    assert decide_offer(head, offered, is_known=is_known) == outcome
