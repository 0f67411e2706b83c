"""What an invariant is, and the pieces of SQL that several of them share."""

from dataclasses import dataclass

# Kinds of versions that worlds ask for; the others are written by the master itself or for the staff.
ASKED_KINDS = "('periodic', 'level', 'quest', 'item', 'trade', 'mail', 'handoff', 'logout')"
KEPT_WHOLE = "interval '14 days'"  # retention leaves younger versions alone (characters/thinning.py)


@dataclass(frozen=True)
class Invariant:
    """One statement about the database.

    `query` is one SELECT that returns a row for each thing that breaks it; its columns, with their names,
    are for people. `sentence` says what is true when it returns none.
    """

    name: str
    sentence: str
    query: str


def little_endian(number: str) -> str:
    """Return SQL for the 8 bytes of a bigint, lowest first. Args: number: an SQL expression."""
    return " || ".join(f"substring(int8send({number}) from {byte} for 1)" for byte in range(8, 0, -1))


def chain_after(prev_chain: str, version: str, link: str) -> str:
    """Return SQL for a version's chain. Args: link: op_id and hash of the state, 48 bytes."""
    return f"sha256({prev_chain} || {little_endian(version)} || {link})"


def document(state: str) -> str:
    """Return SQL for a state as jsonb.

    A name in a document may hold U+0000, which is JSON but not jsonb: it is read as U+0001 here.
    """
    return rf"replace(convert_from({state}, 'UTF8'), '\u0000', '\u0001')::jsonb"


def stacks(state: str) -> str:
    """Return SQL for the stacks of a document, one jsonb in a row."""
    return f"jsonb_path_query({document(state)}, '$.bags.*[*]')"


def ids(state: str) -> str:
    """Return SQL for the stacks of a document that have an id."""
    return f"jsonb_path_query({document(state)}, '$.bags.*[*] ? (@.id != null)')"
