"""The master's memory of what could be used when: counted minutes, and what staff wrote of incidents."""

from django.conf import settings
from django.db import models

from worlds.models.world import World


class Availability(models.Model):
    """The minutes of one hour or day (UTC) of a world, or of a part of the platform (no world)."""

    class Span(models.TextChoices):
        HOUR = "hour"
        DAY = "day"

    world = models.ForeignKey(
        World, on_delete=models.CASCADE, null=True, blank=True, related_name="availability"
    )
    part = models.CharField(max_length=16, blank=True, help_text="Of the platform; empty for a world.")
    span = models.CharField(max_length=4, choices=Span)
    at = models.DateTimeField(help_text="Begin of the hour or day, UTC.")
    last_at = models.DateTimeField(help_text="The minute that was counted last: none counts twice.")
    samples = models.PositiveIntegerField(help_text="Minutes that were counted.")
    was_up = models.BooleanField(help_text="In the minute that was counted last.")
    up = models.PositiveIntegerField(help_text="Of these, in which players could enter.")
    planned = models.PositiveIntegerField(help_text="Of these, in which they could not, as announced.")
    players = models.PositiveBigIntegerField(help_text="Sum over the minutes, counted by leases.")
    most = models.PositiveIntegerField(help_text="Most players in a minute.")

    class Meta:
        verbose_name_plural = "availability"
        ordering = ["-at"]
        indexes = [models.Index(fields=["span", "at"], name="old_availability")]
        constraints = [
            models.UniqueConstraint(
                fields=["world", "part", "span", "at"],
                name="one_availability_of_world_and_span",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.world or self.part}, {self.span} {self.at:%Y-%m-%d %H:00}"


class Incident(models.Model):
    """Something that players should know of: staff writes it for the status page."""

    class Impact(models.TextChoices):
        NOTICE = "notice", "nothing is out of order"
        MINOR = "minor", "some things do not work, or slowly"
        MAJOR = "major", "most people cannot play"
        PLANNED = "planned", "work that was announced"

    class State(models.TextChoices):
        LOOKING = "looking", "we are looking into it"
        KNOWN = "known", "we know what it is"
        WATCHING = "watching", "mended; we keep an eye on it"
        OVER = "over", "it is over"

    title = models.CharField(max_length=120)
    impact = models.CharField(max_length=16, choices=Impact, default=Impact.MINOR)
    state = models.CharField(max_length=16, choices=State, default=State.LOOKING)
    worlds = models.ManyToManyField(
        World, blank=True, related_name="incidents", help_text="Which it concerns; none: the whole platform."
    )
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return self.title


class IncidentUpdate(models.Model):
    """What staff wrote about an incident at one time. Nobody edits it afterwards."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=Incident.State)
    text = models.TextField(max_length=1000)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.incident}, {self.at:%Y-%m-%d %H:%M}"
