"""What zones cost, and where they are moved: the planner's memory, and its history."""

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models

from worlds.models.content import Zone
from worlds.models.world import World


class ZoneCost(models.Model):
    """What all instances of a zone cost in one hour of the week, as an average that forgets slowly."""

    zone = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="costs")
    hour = models.PositiveSmallIntegerField(
        validators=[MaxValueValidator(167)], help_text="Of the week, UTC: 0 is Monday 00:00 to 01:00."
    )
    cpu_ms = models.FloatField(help_text="CPU time in a second, milliseconds: tick and commands.")
    players = models.FloatField()
    commands = models.FloatField(help_text="In a second.")
    weeks = models.PositiveIntegerField(default=1, help_text="How many weeks are in it.")
    minutes = models.PositiveIntegerField(default=1, help_text="How many minutes were measured.")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("zone", "hour", name="one_cost_of_zone_and_hour")]
        ordering = ["zone", "hour"]

    def __str__(self) -> str:
        return f"{self.zone}, hour {self.hour}"


class PopulationHour(models.Model):
    """How many played on a world in one hour: kept eight weeks, from which quiet hours are learned."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="population_hours")
    at = models.DateTimeField(help_text="Begin of the hour, UTC.")
    mean = models.FloatField()
    most = models.PositiveIntegerField()
    samples = models.PositiveIntegerField(help_text="Minutes that were counted.")

    class Meta:
        constraints = [models.UniqueConstraint("world", "at", name="one_population_of_world_and_hour")]
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:00}: {self.mean:.1f}"


class PlacementPlan(models.Model):
    """Where zones shall run from now on, why, and what it is hoped to change; also those that nobody took."""

    class State(models.TextChoices):
        PROPOSED = "proposed"  # a dry run: somebody of the staff may approve it
        APPROVED = "approved"  # the world daemon carries out its moves
        DONE = "done"
        FAILED = "failed"  # some moves did not work
        DROPPED = "dropped"

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="placement_plans")
    state = models.CharField(max_length=16, choices=State, default=State.PROPOSED)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: the planner by itself.",
    )
    reason = models.CharField(max_length=400)
    figures = models.JSONField(
        default=dict, blank=True, help_text="Imbalance and overload, before and after."
    )
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"{self.world} {self.made_at:%Y-%m-%d %H:%M}"


class ZoneMove(models.Model):
    """One zone instance goes to another cluster, with everybody in it. The world daemon carries it out."""

    class State(models.TextChoices):
        PROPOSED = "proposed"  # part of a plan that nobody has approved
        WAITING = "waiting"
        MOVING = "moving"
        DONE = "done"
        FAILED = "failed"
        DROPPED = "dropped"

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="zone_moves")
    plan = models.ForeignKey(
        PlacementPlan, on_delete=models.CASCADE, null=True, blank=True, related_name="moves"
    )
    zone = models.CharField(max_length=40)
    instance = models.PositiveBigIntegerField(
        default=0, help_text="0: the zone is in no instance now; it is to open there when it is needed."
    )
    source = models.CharField(max_length=24, blank=True)
    target = models.CharField(max_length=24)
    reason = models.CharField(max_length=400)
    state = models.CharField(max_length=16, choices=State, default=State.PROPOSED)
    asked_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    players = models.PositiveIntegerField(default=0, help_text="How many were taken along.")
    error = models.CharField(max_length=400, blank=True)

    class Meta:
        indexes = [models.Index(fields=["world", "state"])]
        ordering = ["-asked_at", "id"]

    def __str__(self) -> str:
        return f"{self.zone}: {self.source or 'nowhere'} → {self.target}"
