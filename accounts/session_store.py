"""Sessions in the database, as Django keeps them, with an end: SESSION_COOKIE_AGE after the log-in.

Django's own begin their time anew whenever something is written to them, so one that is used could live for
ever. Every log-in and every new password makes a new key (`cycle_key`): from there the time counts.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.utils import timezone

SINCE = "since"  # in the session: Unix seconds


class SessionStore(db.SessionStore):
    """A session that ends (SESSION_ENGINE names this module)."""

    def cycle_key(self) -> None:
        """Give the session a new key; its time begins."""
        self[SINCE] = timezone.now().timestamp()
        super().cycle_key()

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return when the session ends, however often it is written to."""
        ends: datetime = super().get_expiry_date(**kwargs)
        since = self.get(SINCE)
        if since is None:  # nobody is logged in
            return ends
        last = timedelta(seconds=settings.SESSION_COOKIE_AGE)
        return min(ends, datetime.fromtimestamp(since, ends.tzinfo or timezone.get_current_timezone()) + last)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return how many seconds are left; the browser's cookie ends with the session."""
        left = int((self.get_expiry_date(**kwargs) - timezone.now()).total_seconds())
        return max(0, left) if self.get(SINCE) is not None else super().get_expiry_age(**kwargs)
