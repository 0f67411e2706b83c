"""Incidents: what staff writes for the status page, with an audit row each; and how pages read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import Incident, IncidentUpdate, World

log = structlog.get_logger(__name__)

SHOWN_FOR = timedelta(days=14)  # after they are over
MOST_SHOWN = 10
MAX_TITLE, MAX_TEXT = 120, 1000


class IncidentRefused(ValueError):
    """It cannot be written so; the message says why and what to do."""


@dataclass(frozen=True)
class UpdateRow:
    """One thing that was written."""

    at: datetime
    state: str  # for people
    text: str


@dataclass(frozen=True)
class IncidentRow:
    """An incident as pages show it."""

    id: int
    title: str
    impact: str
    impact_words: str
    state: str
    state_words: str
    began_at: datetime
    ended_at: datetime | None
    worlds: Sequence[tuple[str, str]]  # slug, name
    updates: Sequence[UpdateRow]  # newest first


def begin_incident(
    *, title: str, impact: str, text: str, worlds: Sequence[World], by: Account | None, now: datetime
) -> Incident:
    """Tell everybody of an incident. Args: worlds: which it concerns; none: the whole platform.

    Raises: IncidentRefused: nothing said, too long, or no such impact.
    """
    title, text = (
        _said(title, MAX_TITLE, "a title on one line"),
        _said(text, MAX_TEXT, "a text", is_line=False),
    )
    if impact not in Incident.Impact.values:
        raise IncidentRefused(f"Choose an impact: {', '.join(Incident.Impact.values)}.")
    with transaction.atomic():
        incident = Incident.objects.create(title=title, impact=impact, began_at=now)
        incident.worlds.set(worlds)
        IncidentUpdate.objects.create(incident=incident, at=now, state=incident.state, text=text, by=by)
        detail: dict[str, object] = {
            "title": title,
            "impact": impact,
            "text": text,
            "worlds": [world.slug for world in worlds],
        }
        record_audit(action="incident_begun", account=by, target=str(incident.pk), detail=detail, now=now)
    log.info("incident_begun", incident=incident.pk, impact=impact)
    return incident


def update_incident(
    *, incident: Incident, state: str, text: str, by: Account | None, now: datetime
) -> IncidentUpdate:
    """Write how it goes on; the state "over" ends it, any other one begins it again.

    Raises: IncidentRefused: nothing said, too long, or no such state.
    """
    text = _said(text, MAX_TEXT, "a text", is_line=False)
    if state not in Incident.State.values:
        raise IncidentRefused(f"Choose a state: {', '.join(Incident.State.values)}.")
    with transaction.atomic():
        row = Incident.objects.select_for_update().get(pk=incident.pk)
        before = row.state
        row.state, row.ended_at = state, (row.ended_at or now) if state == Incident.State.OVER else None
        row.save(update_fields=["state", "ended_at"])
        update = IncidentUpdate.objects.create(incident=row, at=now, state=state, text=text, by=by)
        detail: dict[str, object] = {"before": before, "after": state, "text": text}
        record_audit(action="incident_updated", account=by, target=str(row.pk), detail=detail, now=now)
    incident.state, incident.ended_at = row.state, row.ended_at
    log.info("incident_updated", incident=row.pk, state=state)
    return update


def open_incidents(*, world: str = "") -> list[IncidentRow]:
    """Return what is not over. Args: world: slug; only what concerns it. Three queries."""
    return _rows(_of(world).filter(ended_at=None))


def recent_incidents(now: datetime, *, world: str = "") -> list[IncidentRow]:
    """Return what is not over, or has not been for long, newest first. Three queries."""
    rows = _of(world).exclude(ended_at__lt=now - SHOWN_FOR)
    return _rows(rows)


def _of(world: str) -> QuerySet[Incident]:
    return Incident.objects.filter(worlds__slug=world) if world else Incident.objects.all()


def _rows(incidents: QuerySet[Incident]) -> list[IncidentRow]:
    found = incidents.order_by("-began_at", "-pk").prefetch_related("worlds", "updates")[:MOST_SHOWN]
    return [
        IncidentRow(
            id=row.pk,
            title=row.title,
            impact=row.impact,
            impact_words=row.get_impact_display(),
            state=row.state,
            state_words=row.get_state_display(),
            began_at=row.began_at,
            ended_at=row.ended_at,
            worlds=[(world.slug, world.name) for world in row.worlds.all() if world.is_listed],
            updates=[UpdateRow(each.at, each.get_state_display(), each.text) for each in row.updates.all()],
        )
        for row in found
    ]


def _said(text: str, longest: int, what: str, *, is_line: bool = True) -> str:
    text = text.strip().replace("\r\n", "\n")
    shown = text if is_line else text.replace("\n", " ")
    if not text or len(text) > longest or not shown.isprintable():
        raise IncidentRefused(f"Write {what} of at most {longest} characters that can be shown.")
    return text
