"""What the daemon writes of a restart: its state, and the steps it has done. Sync; called by the shell."""

from datetime import datetime
from typing import Any

from django.db import transaction

from worlds.daemon.core.upkeep import NoteRestart
from worlds.models import Restart, World
from worlds.restart_steps import MAX_STEPS, document_of

OPEN_STATES = (Restart.State.PLANNED, Restart.State.RUNNING)
MAX_TEXT = 400  # characters of an error


def note_restart(world: World, note: NoteRestart, now: datetime) -> None:
    """Carry out one note, beside what staff writes at the same time. A row that has ended stays as it is."""
    with transaction.atomic():
        row = Restart.objects.select_for_update().filter(world=world, pk=note.row).first()
        if row is None or row.state not in OPEN_STATES or not _is_claimable(row, note):
            return
        fields: dict[str, Any] = {"steps": [*row.steps, *document_of(*note.steps)][-MAX_STEPS:]}
        if note.state != Restart.State.PLANNED:  # a note about a planned one says nothing of its state
            fields["state"] = note.state
        if note.state == Restart.State.RUNNING and row.started_at is None:
            fields["started_at"] = now
        if note.state not in OPEN_STATES:
            fields |= {"ended_at": now, "error": note.error[:MAX_TEXT]}
        Restart.objects.filter(pk=row.pk).update(**fields)


def _is_claimable(row: Restart, note: NoteRestart) -> bool:
    """Whether the row is still what the daemon saw when it began."""
    return note.due_at is None or (row.state == Restart.State.PLANNED and row.due_at == note.due_at)
