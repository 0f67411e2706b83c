"""The daemon's orders about one session are numbered; here the highest number of each is kept.

So a copy that the bus delivers late or twice cannot let somebody in who has left, or undo a newer order.
"""

from uuid import UUID

KEEP_S = 600.0  # after the last order: a message is never that late


class Orders:
    """The highest order seen of each session."""

    def __init__(self) -> None:
        self._seen: dict[UUID, tuple[int, float]] = {}  # in the order of the instants

    def is_outdated(self, session: UUID, order: int, now: float) -> bool:
        """Note an order; True if a newer one was here before. 0 is no order and never outdated.

        A repetition of the newest is not outdated: it is to be answered again.
        """
        if order == 0:
            return False
        highest, _ = self._seen.pop(session, (0, now))
        self._seen[session] = (max(highest, order), now)
        return order < highest

    def forget_old(self, now: float) -> None:
        """Forget sessions without an order for KEEP_S."""
        while self._seen:
            session, (_, at) = next(iter(self._seen.items()))
            if now - at <= KEEP_S:
                return
            del self._seen[session]
