"""What is told of the sky: kinds of weather, and how people say a game time. For servers and clients."""

from dataclasses import dataclass
from typing import Literal, get_args

Weather = Literal["clear", "cloudy", "fog", "rain", "storm", "snow"]
WEATHERS: tuple[Weather, ...] = get_args(Weather)
Daylight = Literal["night", "dawn", "day", "dusk"]

DAWN_H, MORNING_H, DUSK_H, NIGHT_H = 5, 7, 19, 21  # hours at which each part of a day begins


@dataclass(frozen=True)
class TimeOfDay:
    """A game time as people say it: days are counted from 1."""

    day: int
    hour: int
    minute: int

    @property
    def daylight(self) -> Daylight:
        """Which part of the day it is."""
        if DAWN_H <= self.hour < MORNING_H:
            return "dawn"
        if MORNING_H <= self.hour < DUSK_H:
            return "day"
        return "dusk" if DUSK_H <= self.hour < NIGHT_H else "night"

    def __str__(self) -> str:
        return f"day {self.day}, {self.hour:02}:{self.minute:02}"


def time_of_day(game_s: float) -> TimeOfDay:
    """Return day, hour and minute of a game time in seconds."""
    minutes = int(game_s // 60)
    return TimeOfDay(minutes // 1440 + 1, minutes // 60 % 24, minutes % 60)
