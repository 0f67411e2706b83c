"""Messages of the bus that the world daemon sends to zone clusters.

Source: docs/protocol.md, section "Bus".
"""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from zonecluster.protocol.bus_message import (
    BusMessage,
    CommandKind,
    Group,
    Incarnation,
    LevelCap,
    LineKind,
    Link,
    Order,
)
from zonecluster.protocol.character import CharacterState

# ---------------------------------------------------------------- daemon → cluster


class OpenInstance(BusMessage):
    """Run a copy of this zone; content comes from the ORM. Repeated for an open instance: answered again."""

    instance: Annotated[int, Meta(ge=1, le=2**32 - 1)]
    zone: str
    is_again: bool = False  # it ran before, elsewhere or in a process that died: its chests begin empty
    # Of a move: opened *vacant*, nothing stirs in it before ActivateInstance. One that runs already is opened
    # anew, if nobody is in it. 0: of none; a vacant one stirs from then on, with nothing on the ground
    move: Order = 0


class CloseInstance(BusMessage):
    """Stop an empty instance."""

    instance: int


class ExportInstance(BusMessage):
    """First phase of a move: still everything but the players, and tell what is there → InstanceExported.

    From then on nothing is laid down, picked up or looted there. It is answered once nothing on the ground
    waits for its owner's document any more. `move` grows; one at or below an ended one counts for nothing.
    """

    instance: int
    move: Order


class ImportInstance(BusMessage):
    """Have this in the vacant instance of that move → InstanceImported. Nothing stirs yet."""

    instance: int
    move: Order
    cargo: bytes


class ActivateInstance(BusMessage):
    """The vacant instance is the one from now on: it stirs. Repeated while ClusterAlive calls it vacant."""

    instance: int
    move: Order


class ResumeInstance(BusMessage):
    """The move is off: what was stilled stirs again. Repeated while ClusterAlive calls it exported."""

    instance: int
    move: Order
    is_emptied: bool = False  # what lay there and in chests is gone: the target may have shown it


class Admit(BusMessage):
    """Take this player into an instance; repeat with the same `request` gets the same answer.

    The state is one that the repository has committed; `place` in it for this world says where to stand, else
    the zone's entry.
    """

    session: UUID
    request: UUID
    instance: int
    character: UUID
    name: str
    state: CharacterState
    gateway: str
    link: Link | None
    order: Order = 0
    incarnation: Incarnation = 0  # the process that is meant; another one ignores it. 0: any
    after: UUID | None = None  # the newest exchange of the line, which the state knows
    line: LineKind = "main"
    level_cap: LevelCap = None  # of the account's edition, see LimitsAre


class MintToken(BusMessage):
    """A fresh connect token for a player who is here (zone link lost, client restarted) → Admitted."""

    session: UUID
    request: UUID


class Attach(BusMessage):
    """The player's world link is now this one (None: none; the entity stands still)."""

    session: UUID
    gateway: str
    link: Link | None


class Freeze(BusMessage):
    """First phase of a handoff or a logout: stop changing this player and tell the state."""

    session: UUID
    request: UUID
    instance: int = 0  # 0: wherever the session is on this cluster
    order: Order = 0


class Thaw(BusMessage):
    """The handoff failed: go on here. `text` is told to the player. Harmless where no Freeze has come."""

    session: UUID
    text: str = ""
    # go on in this one, and drop the session from any other of this cluster; 0: the frozen one
    instance: int = 0
    order: Order = 0


class Remove(BusMessage):
    """The player is elsewhere or gone: delete the entity and its zone link.

    After a handoff between two instances of one cluster only `instance` is meant: the session lives on in
    the other.
    """

    session: UUID
    instance: int = 0  # 0: all of this cluster
    order: Order = 0


class TakeCheckpoint(BusMessage):
    """Tell the state now, to be saved."""

    session: UUID
    kind: str = "periodic"


class Saved(BusMessage):
    """The repository accepted a checkpoint of this player: what was dirty up to it is clean."""

    session: UUID
    serial: int = 0  # of the Checkpoint or Frozen that was accepted; 0: the last one sent
    stay: Order = 0  # of the entity that sent it; another one has serials of its own. 0: any
    # The line that has it now: what lies on the ground belongs there. None: the one it was on before
    line: LineKind | None = None


class Journaled(BusMessage):
    """That document is durable on the world's disk: what is new in it may be told to the player (rule 8)."""

    session: UUID
    serial: int
    stay: Order = 0  # of the entity that sent it


class Withhold(BusMessage):
    """The character cannot be saved: it walks and chats, and gains nothing durable (rule 9).

    Repeated while Residents say otherwise.
    """

    session: UUID
    is_on: bool
    order: Order = 0  # of the numbers that stays are of: one that a newer has overtaken changes nothing


class Silence(BusMessage):
    """What the player says is heard by nobody: `text` tells why. Empty: it is heard again.

    Repeated while Residents say otherwise.
    """

    session: UUID
    text: Annotated[str, Meta(max_length=400)] = ""


class Hold(BusMessage):
    """First phase of an exchange: change nothing but the place until Settle, and tell the document.

    Repeated until Held. A cluster never ends a hold by itself.
    """

    session: UUID
    exchange: UUID
    stay: Order
    order: Order = 0  # numbered as Freeze and Thaw are: a late or doubled one cannot act


class Settle(BusMessage):
    """The exchange is over; the player may change again.

    `state`: the document from now on, which knows the exchange `after`; the place stays the cluster's. None:
    the document is what it was. Repeated while Residents say that the cluster has not heard. Ignored if the
    document knows `after` already and nothing is held.
    """

    session: UUID
    stay: Order
    after: UUID | None
    state: CharacterState | None = None
    text: str = ""  # told to the player
    order: Order = 0
    line: LineKind | None = None  # as in Saved: what was laid down before is shown now, if it was not yet


class LineIs(BusMessage):
    """The player's character has gone on to another line: what lies on the ground belongs to lines.

    Repeated while Residents say otherwise.
    """

    session: UUID
    line: LineKind


class LimitsAre(BusMessage):
    """What the account's edition limits from now on. Repeated while Residents say otherwise."""

    session: UUID
    level_cap: LevelCap  # at that level no experience is gained; None: no cap


class ReportStored(BusMessage):
    """The report of a Poisoned is durable: it need not be repeated any more."""

    session: UUID
    stay: Order


class Grouped(BusMessage):
    """The player is in this alliance: its members are shown to each other first. Repeated as Withhold is."""

    session: UUID
    group: Group


class HandlersOff(BusMessage):
    """All kinds of commands that this world refuses from now on. Repeated while ClusterAlive differs."""

    kinds: list[CommandKind]


class StandDown(BusMessage):
    """Another process is the cluster of that name: this one is to end, and to save nothing."""

    cluster: str
    incarnation: Incarnation
    reason: str


class Hail(BusMessage):
    """Broadcast by a starting daemon to its clusters and gateways: announce yourselves at once."""

    world: str
