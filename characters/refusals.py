"""The repository's no, as an exception with one of the uplink's codes."""

from worlds.uplink.messages import Refusal


class Refused(Exception):
    """A request of a world that is not granted; nothing was changed. Carries the Refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.detail}")
        self.refusal = refusal
