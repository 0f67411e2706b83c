"""The history of one restart, as its row keeps it: what was done when. Pure.

Written by services (planned, postponed) and by the world daemon (all else), and only ever added to: by it a
restarted daemon goes on.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

What = Literal[
    "planned",
    "changed",  # another instant: postponed, brought forward, or by another policy
    "called_off",
    "notice",  # `minutes` before `due` the players were told
    "begun",
    "frozen",  # full: everybody stands still and is saved, each receipt checked; `text`: how many
    "cluster",  # its restart was asked for; `run` is the process that is to go
    "cluster_back",
    "players_back",
    "processes",  # gateways and the daemon were asked to restart; `run` is the daemon that is to go
    "daemon_back",
    "note",
    "done",
    "failed",
]
MAX_STEPS = 4000  # a world of 1,000 clusters takes two for each


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step. `run`: which process (incarnation of a cluster, start of a daemon); `by`: staff."""

    at: datetime
    what: What
    name: Annotated[str, msgspec.Meta(max_length=80)] = ""
    run: Annotated[str, msgspec.Meta(max_length=40)] = ""
    minutes: int = 0
    due: datetime | None = None
    text: Annotated[str, msgspec.Meta(max_length=400)] = ""
    by: Annotated[str, msgspec.Meta(max_length=120)] = ""


def steps_of(document: object) -> list[Step]:
    """Read the steps of a row. Raises: ValueError: they are none; the text says what is wrong."""
    try:
        return msgspec.convert(document, list[Step])
    except msgspec.ValidationError as error:
        raise ValueError(f"the steps of the restart cannot be read: {error}") from error


def document_of(*steps: Step) -> list[dict[str, object]]:
    """Return steps as a row keeps them."""
    return msgspec.to_builtins(list(steps))  # type: ignore[no-any-return]
