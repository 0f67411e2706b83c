"""Game time and weather as pure functions: what hour it is in a world, and what the sky does over a zone.

Nobody keeps the weather anywhere. It is a Markov chain over the hours of game time whose random numbers are
digests of (seed of the world, zone, hour), so whoever asks for an hour gets the same answer: the world daemon
that tells players, the one after its restart, a cluster, a test. What makes that possible without walking
through all hours since the beginning: in one hour of seven (`FRONT`) a front comes, and the sky is
drawn anew, whatever it was. From the newest such hour on a few steps lead to the hour that was asked for.
"""

from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, takewhile

from zonecluster.protocol.sky import Weather

HOUR_S = 3_600.0  # of game time
FRONT = 0.15  # chance of an hour in which the sky is drawn anew
STAYS = 0.6  # else: chance that it stays as it was; if not, it moves to a neighbour
LONGEST_H = 400  # without a front: (1 - FRONT)^400 = 6e-29, which is never

# What comes of each kind of sky from one hour to the next, where the climate has it.
NEIGHBOURS: dict[Weather, tuple[Weather, ...]] = {
    "clear": ("cloudy", "fog"),
    "cloudy": ("clear", "rain", "snow", "fog"),
    "fog": ("clear", "cloudy"),
    "rain": ("cloudy", "storm"),
    "storm": ("rain", "cloudy"),
    "snow": ("cloudy", "clear"),
}

# How often a front brings what, by climate. A zone's content names its climate.
CLIMATES: dict[str, dict[Weather, float]] = {
    "temperate": {"clear": 4, "cloudy": 4, "fog": 1, "rain": 3, "storm": 0.5},
    "coastal": {"clear": 3, "cloudy": 4, "fog": 3, "rain": 3, "storm": 1.5},
    "desert": {"clear": 12, "cloudy": 2, "storm": 0.3},
    "alpine": {"clear": 3, "cloudy": 4, "fog": 1, "snow": 4, "storm": 0.5},
    "swamp": {"clear": 1, "cloudy": 3, "fog": 5, "rain": 4},
    "indoors": {"clear": 1},  # no weather comes in
}
DEFAULT_CLIMATE = "temperate"


@dataclass(frozen=True)
class GameClock:
    """A world's clock. `epoch_s`: when its time began, seconds since 1970; `rate`: game time per time."""

    epoch_s: float
    rate: float

    def game_s(self, unix_s: float) -> float:
        """Return the game time at an instant, seconds since the epoch; before it there is none: 0."""
        return max(0.0, (unix_s - self.epoch_s) * self.rate)

    def at_rate(self, rate: float, unix_s: float) -> "GameClock":
        """Return the clock that goes on from this instant's game time at another rate. Raises: ValueError."""
        if rate <= 0:
            raise ValueError(f"a clock does not run at rate {rate}")
        return GameClock(unix_s - self.game_s(unix_s) / rate, rate)


def hour_of(game_s: float) -> int:
    """Return the hour of game time, counted from the epoch, for which the weather holds."""
    return int(game_s // HOUR_S)


def weather_at(seed: str, zone: str, climate: str, hour: int) -> Weather:
    """Return the sky over a zone in an hour of game time.

    Args: seed: of the world; climate: of CLIMATES, an unknown one is DEFAULT_CLIMATE.
    """
    weights = CLIMATES.get(climate, CLIMATES[DEFAULT_CLIMATE])
    if len(weights) == 1:
        return next(iter(weights))
    back = range(hour, hour - LONGEST_H, -1)
    calm = list(takewhile(lambda each: not _is_front(seed, zone, each), back))
    begin = hour - len(calm)
    weather = _drawn(weights, _chance(seed, zone, begin, "front"))
    for each in range(begin + 1, hour + 1):
        weather = _next(weather, weights, _chance(seed, zone, each, "step"))
    return weather


def _is_front(seed: str, zone: str, hour: int) -> bool:
    return _chance(seed, zone, hour, "is") < FRONT


def _next(weather: Weather, weights: dict[Weather, float], chance: float) -> Weather:
    if chance < STAYS:
        return weather
    near = {other: weights[other] for other in NEIGHBOURS[weather] if other in weights}
    return _drawn(near, (chance - STAYS) / (1 - STAYS)) if near else weather


def _drawn(weights: dict[Weather, float], chance: float) -> Weather:
    """Return one of them, by a chance of 0 to 1 (1 excluded)."""
    bounds = list(accumulate(weights.values()))
    goal = chance * bounds[-1]
    return next(
        (each for each, bound in zip(weights, bounds, strict=True) if goal < bound), list(weights)[-1]
    )


def _chance(seed: str, zone: str, hour: int, what: str) -> float:
    """Return a number of 0 to 1 (1 excluded) that belongs to these names for ever."""
    digest = sha256(f"{seed}\0{zone}\0{hour}\0{what}".encode()).digest()
    return int.from_bytes(digest[:6], "little") / 2**48
