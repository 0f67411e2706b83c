"""The repository as a core without I/O: `handle(world, request, now) -> answer`, over plain values.

It holds lines, versions, letters, accounts and tickets. Every decision is one of rules.py or
exchange_rules.py; here they are applied to plain values, as leases, saves, exchanges and worlds.tickets
apply them to rows. An integration test gives both the same requests and compares every answer and every row.
Used by the simulator. Not here: proofs, signatures, logs.
"""

from characters.core.records import Account, Letter, Line, Ticket, Version, Waiting, World
from characters.core.repository import Answer, Repository, Request

__all__ = [
    "Account",
    "Answer",
    "Letter",
    "Line",
    "Repository",
    "Request",
    "Ticket",
    "Version",
    "Waiting",
    "World",
]
