"""The master's incarnation: a part of every epoch, raised by a restore from a backup."""

from django.db.models import Max

from characters.models import Incarnation


def current_incarnation() -> int:
    """Return the master's incarnation; 1 until a restore has raised it."""
    return Incarnation.objects.aggregate(newest=Max("number"))["newest"] or 1
