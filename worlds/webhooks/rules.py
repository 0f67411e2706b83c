"""Which events there are, when a delivery is tried again, what an address must look like. Pure."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

# Event → what it means, for people.
EVENTS: dict[str, str] = {
    "world.online": "The world is online",
    "world.offline": "The world is not online any more",
    "world.suspended": "Staff suspended the world",
    "world.unsuspended": "The suspension was lifted",
    "world.limited": "Staff limited the world: it writes to its own forks",
    "world.unlimited": "The limit was lifted",
    "world.tier": "The world's tier changed",
    "world.changed": "Name, page, gateway or maintenance changed",
    "world.keys": "A key was made or revoked",
    "world.keepers": "A keeper came, went, or has another role",
    "world.restart": "A restart was planned, moved or cancelled",
    "world.sanction": "A player was kicked, muted or banned, or that was taken back",
}
TEST = "test"
# Deeds of the audit (whose target is the world) → the event. A deed that is not here is nobody's news.
EVENT_OF_DEED: dict[str, str] = {
    "world_suspended": "world.suspended",
    "world_suspension_lifted": "world.unsuspended",
    "world_limited": "world.limited",
    "world_limit_lifted": "world.unlimited",
    "world_tier_set": "world.tier",
    "world_renamed": "world.changed",
    "world_gateway_moved": "world.changed",
    "world_page_changed": "world.changed",
    "world_banner_set": "world.changed",
    "world_banner_removed": "world.changed",
    "maintenance_begun": "world.changed",
    "maintenance_ended": "world.changed",
    "world_key_registered": "world.keys",
    "world_key_revoked": "world.keys",
    "keeper_joined": "world.keepers",
    "keeper_left": "world.keepers",
    "keeper_removed": "world.keepers",
    "keeper_role_changed": "world.keepers",
    "world_handed_over": "world.keepers",
    "restart_planned": "world.restart",
    "restart_postponed": "world.restart",
    "restart_brought_forward": "world.restart",
    "restart_cancelled": "world.restart",
    "ordered_restart": "world.restart",
    "ordered_postpone": "world.restart",
    "ordered_cancel": "world.restart",
    "ordered_policy": "world.restart",
    "ordered_kick": "world.sanction",
    "player_banned": "world.sanction",
    "player_muted": "world.sanction",
    "ban_lifted": "world.sanction",
    "mute_lifted": "world.sanction",
}
MAX_WEBHOOKS = 5  # of one world
MAX_URL = 300
OLD_SECRET_FOR = timedelta(hours=24)
KEPT_FOR = timedelta(days=30)  # a delivery, after its end
MAX_OLD_SECRETS = 4  # that sign beside the newest, if it is changed several times within OLD_SECRET_FOR
LOOKED_BACK = timedelta(minutes=10)  # at the audit: longer than any transaction that writes to it lasts
LOOKED_BACK_AT_MOST = timedelta(days=7)  # after an outage of the worker; well within KEPT_FOR
NOTED_EVERY = timedelta(minutes=1)  # how far the audit was looked at: far more often than LOOKED_BACK
# Between the attempts of one delivery: nine in all, within a day and a half.
PAUSES = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200, 18_000, 36_000, 72_000))


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """Return when to try again after so many attempts; None: no more."""
    return now + PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def looked_back_to(looked_at: datetime | None, now: datetime) -> datetime:
    """Return from when on deeds are told to a webhook. Args: looked_at: None: never noted, as before 0015."""
    return max(looked_at or now, now - LOOKED_BACK_AT_MOST) - LOOKED_BACK


def signing_numbers(newest: int, old_secrets: int, old_secret_until: datetime | None, now: datetime) -> range:
    """Return the numbers of the secrets that sign now, the newest first."""
    has_old = old_secret_until is not None and now < old_secret_until
    return range(newest, newest - 1 - (old_secrets if has_old else 0), -1)


def is_delivered(status: int) -> bool:
    """Return whether an answer means that it was taken."""
    return 200 <= status < 300


def url_fault(url: str, *, may_be_plain: bool) -> str | None:
    """Return what is wrong with an address; None: nothing. Where it leads is judged at each delivery."""
    schemes = ("https", "http") if may_be_plain else ("https",)
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"Use at most {MAX_URL} characters of ASCII, without spaces."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is not an address. It looks like https://bot.example.org/waystone."
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        return "The address begins with https:// and names a host, as https://bot.example.org/waystone."
    if parts.username is not None or parts.password is not None:
        return "Leave name and password out of the address: what we send is signed."
    if parts.fragment:
        return "Leave out the part after #: it is not sent."
    return None
