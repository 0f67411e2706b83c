"""What all messages of the bus have in common: the base, and the numbers in them.

Source: docs/protocol.md, section "Bus".
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Incarnation = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Link = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # one WebSocket, unique within its gateway's incarnation
# Fences a session's orders (Admit, Freeze, Thaw, Remove): the daemon numbers them, growing for each session,
# also across daemon restarts. A cluster ignores an order below the highest it has seen of that session (it
# remembers the number for ten minutes after the session left), and answers an equal one again. 0: not
# fenced.
Order = Annotated[int, Meta(ge=0, le=2**63 - 1)]

CommandKind = Annotated[str, Meta(min_length=1, max_length=40)]  # tag of a command, as look
LineKind = Literal["main", "fork"]
LevelCap = Annotated[int, Meta(ge=1, le=2**31 - 1)] | None  # None: none
Group = Annotated[int, Meta(ge=0, le=2**32 - 1)]  # number of an alliance; 0: none


class BusMessage(Struct, frozen=True, tag_field="t"):
    """Anything on the bus."""
