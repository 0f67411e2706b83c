"""A document on which the rules raise: its player is taken out with a report, and everybody else goes on.

Wherever the cluster works on one player's document (letting in, commands, exchanges, what is folded into it
and sent to be saved), whatever is raised there ends in `Cluster.poisoned`. The reports are kept and repeated
until the world daemon has them on its disk: what was not saved of the player is in them only.
"""

from traceback import format_exception
from uuid import UUID

import msgspec

from zonecluster.daemon.players import Player
from zonecluster.protocol.bus import Admit, Poisoned
from zonecluster.protocol.character import CharacterState

MAX_ERROR_CHARS = 8000  # the end of a traceback: what was raised, and where
MAX_REPORTS = 200  # that wait, of 72 KB at most
REPEAT_S = 1.0


class Reports:
    """The reports that the world daemon has not confirmed yet, by session and stay."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[UUID, int], Poisoned] = {}
        self._repeat_at = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, report: Poisoned) -> bool:
        """Keep a report. Returns: whether an older one had to go for it."""
        self._waiting[report.session, report.stay] = report
        is_over = len(self._waiting) > MAX_REPORTS
        if is_over:
            del self._waiting[next(iter(self._waiting))]
        return is_over

    def of_session(self, session: UUID) -> list[Poisoned]:
        """Return the reports about a session."""
        return [report for report in self._waiting.values() if report.session == session]

    def stored(self, session: UUID, stay: int) -> None:
        """That report is durable."""
        self._waiting.pop((session, stay), None)

    def due(self, now: float) -> list[Poisoned]:
        """Return what is to be sent again now, monotonic seconds."""
        if now < self._repeat_at:
            return []
        self._repeat_at = now + REPEAT_S
        return list(self._waiting.values())


def report_of(who: Player | Admit, where: str, error: Exception, cluster: str, incarnation: int) -> Poisoned:
    """Return what is told of a player on whose document something was raised."""
    text = "".join(format_exception(error))
    if isinstance(who, Player):
        metres = int(who.instance.tables.metres_walked[who.row]) + who.metres_owed
        text += f"Walked and not in the document: {metres} m.\n" if metres else ""
    return Poisoned(
        cluster=cluster,
        incarnation=incarnation,
        session=who.session,
        stay=who.stay if isinstance(who, Player) else who.order,
        where=where,
        error=_sendable(text),
        document=document_bytes(who.state),
        character=who.character,
        name=who.name,
    )


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()[-MAX_ERROR_CHARS:]


def document_bytes(state: CharacterState) -> bytes:
    """Return a document as JSON, also one that is against the schema; empty if it cannot be written."""
    try:
        return msgspec.json.encode(state, order="sorted")
    except (OverflowError, RecursionError, TypeError, ValueError):
        return b""
