"""Worlds with a past, for the pages that show it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from worlds.models import Incident, World
from worlds.public_answers import answers
from worlds.status.incidents import begin_incident
from worlds.status.sampling import Sample, keep


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    answers.clear()


@pytest.fixture
def lanternrest(db: None) -> World:
    return World.objects.create(
        slug="lanternrest",
        name="Lanternrest",
        tier="official",
        gateway_url="wss://lantern.example:8443/world-link/",
        last_report_at=timezone.now() + timedelta(hours=1),
        tags=["story", "co-op"],
        house_rules="Be kind.",
    )


@pytest.fixture
def staff(db: None) -> Account:
    return Account.objects.create(email="alice@example.org", is_staff=True, is_superuser=True)


def make_world(slug: str, **values: object) -> World:
    """Register a world, named as its slug."""
    usual = {"name": slug.title(), "name_key": slug, "gateway_url": "ws://127.0.0.1:1/"}
    return World.objects.create(slug=slug, **{**usual, **values})


def tell(title: str = "Slow", **values: object) -> Incident:
    """Begin an incident."""
    usual = {"impact": "minor", "text": "We see it.", "worlds": [], "by": None, "now": timezone.now()}
    return begin_incident(title=title, **{**usual, **values})


def make_minutes(world: World | None, since: datetime, up: str, players: int = 3, part: str = "") -> None:
    """Count minutes from an instant on. Args: up: one sign a minute: + up, - away, p planned."""
    for number, sign in enumerate(up):
        sample = Sample(world.pk if world else None, part, sign == "+", sign == "p", players)
        keep([sample], since + timedelta(minutes=number))


def hour_ago(hours: int = 1) -> datetime:
    """Return the begin of an hour that is past."""
    return timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
