"""The client's clock: how long a client tick lasts, so that inputs arrive just before they are played. Pure.

Every snapshot says how many client ticks the newest input was ahead of the one being played (`input_lead`).
Too few: the client hurries, by 5 % at most; too many: it takes its time. The more the lead swings, the more
of it is kept.
"""

from waystone_client.prediction import TICK_S

BEST_LEAD = 1.5  # ticks, on a link that does not swing
MOST_LEAD = 5.0  # more is felt as lag; the server keeps 16
MOST_CHANGE = 0.05  # of the tick's length
GAIN = 0.05  # of that change for each tick of error
WEIGHT = 0.1  # of a new measurement
LEAST_DILATION = 0.1


class Steering:
    """One zone link's clock. `lead`: smoothed, in ticks; `swing`: how far measurements are from it."""

    def __init__(self) -> None:
        self.lead = BEST_LEAD
        self.swing = 0.0
        self._dilation = 1.0
        self._tick = 0
        self._newest = 0

    @property
    def target(self) -> float:
        """The lead that is aimed at, in ticks."""
        return min(BEST_LEAD + 2.0 * self.swing, MOST_LEAD)

    @property
    def interval_s(self) -> float:
        """How long the next client tick lasts."""
        change = GAIN * (self.target - self.lead)
        return TICK_S / (self._dilation * (1.0 + min(max(change, -MOST_CHANGE), MOST_CHANGE)))

    def take(self, tick: int, input_ack: int, input_lead: int, dilation: float) -> None:
        """Take what a snapshot says; snapshots come in the order of their ticks.

        Only a lead that is fresh tells of the link: an input came in between this tick and the one before.
        """
        self._dilation = min(max(dilation, LEAST_DILATION), 1.0)
        newest = input_ack + input_lead
        is_fresh = input_ack > 0 and newest > self._newest and tick == self._tick + 1
        self._tick, self._newest = tick, newest
        if is_fresh:
            self.swing += WEIGHT * (abs(input_lead - self.lead) - self.swing)
            self.lead += WEIGHT * (input_lead - self.lead)
