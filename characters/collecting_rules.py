"""What becomes of a receipt that a world offers after a restore of the master. Pure.

The replay follows the hash chain: a version is taken back only where the head's chain leads to the chain that
the master itself signed. Repeating is harmless.
"""

from typing import Literal

from characters.rules import Head
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import next_chain

Outcome = Literal[
    "replayed",  # it continues the head: it is the head now
    "known",  # the repository has it
    "waiting",  # something before it is missing, which another world may hold
    "overtaken",  # another write has its place
    "unknown",  # there is no such line: it was begun after the backup, and nobody can say whose it was
]


def decide_offer(head: Head | None, receipt: Receipt, *, is_known: bool) -> Outcome:
    """Decide one offered version, whose receipt and state were checked.

    Args: head: of its line, None: there is no such line (it was begun after the backup); is_known: a version
        with its op_id is in the journal.
    """
    if is_known:
        return "known"
    if head is None:
        return "unknown"
    if receipt.version > head.version + 1:
        return "waiting"
    chain = next_chain(head.chain, receipt.version, receipt.op_id, receipt.state_hash)
    if receipt.version == head.version + 1 and chain == receipt.chain:
        return "replayed"
    return "overtaken"
