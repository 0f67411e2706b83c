"""The sky over each zone, told to players: on entering a zone, and when weather or clock change their course.

The core has no wall clock; each read of the upkeep rows tells it the instant, and it counts on from there.
What the weather is, is a pure function of world, zone and hour (zonecluster/rules/sky.py): nothing is kept.
"""

from collections import defaultdict

from worlds.daemon.core import saying
from worlds.daemon.core.catalog import ZoneInfo
from worlds.daemon.core.living import ToldSky
from worlds.daemon.core.session import IN_PLAY, Session
from worlds.daemon.core.state import World
from zonecluster.protocol.sky import Weather
from zonecluster.protocol.to_client import SkyIs
from zonecluster.rules.sky import GameClock, hour_of, weather_at


def clock_of(w: World) -> GameClock:
    """Return the world's clock."""
    return GameClock(w.catalog.game_epoch_s, w.catalog.game_rate)


def game_s(w: World) -> float | None:
    """Return the game time now, seconds; None until the upkeep rows were read once."""
    if w.wall is None:
        return None
    read_at, then = w.wall
    return clock_of(w).game_s(read_at.timestamp() + w.now - then)


def tell(w: World, s: Session) -> None:
    """Tell a player who has come into a zone what time it is there, and what the weather does."""
    zone = w.catalog.zone_of_instance(s.home.instance) if s.home is not None else None
    now = game_s(w)
    if zone is not None and now is not None:
        w.to_link(s.link, _sky(w, zone, now))


def step(w: World) -> None:
    """Tell everybody in a zone whose weather has changed with the hour; everybody, of another clock."""
    now = game_s(w)
    if now is None:
        return
    before, told = w.life.told_sky, ToldSky(clock_of(w), hour_of(now))
    if before == told:
        return
    w.life.told_sky = told
    # A daemon that has just begun does not know what the one before it told: it tells everybody.
    is_all_new = before is None or before.clock != told.clock
    for zone, players in _by_zone(w).items():
        if before is None or is_all_new or _weather(w, zone, before.hour) != _weather(w, zone, told.hour):
            saying.to_all(w, players, _sky(w, zone, now))


def _by_zone(w: World) -> dict[ZoneInfo, list[Session]]:
    """Return who is in which zone, of those who hear it."""
    zones: dict[int, ZoneInfo | None] = {}
    players: dict[ZoneInfo, list[Session]] = defaultdict(list)
    for s in w.sessions.values():
        if s.home is None or s.link is None or s.phase not in IN_PLAY:
            continue
        number = s.home.instance
        if number not in zones:
            zones[number] = w.catalog.zone_of_instance(number)
        if (zone := zones[number]) is not None:
            players[zone].append(s)
    return players


def _weather(w: World, zone: ZoneInfo, hour: int) -> Weather:
    return weather_at(w.catalog.world, zone.slug, zone.climate, hour)


def _sky(w: World, zone: ZoneInfo, now: float) -> SkyIs:
    weather = _weather(w, zone, hour_of(now))
    return SkyIs(zone=zone.slug, weather=weather, game_s=round(now, 1), rate=w.catalog.game_rate)
