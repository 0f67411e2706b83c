"""How a world looks after itself: restarts, backups, announcements, alarms."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from worlds.models.world import World


class RestartPolicy(models.Model):
    """When a world is restarted by itself."""

    class When(models.TextChoices):
        NEVER = "never"
        FIXED = "fixed", "at a fixed local time"
        OFF_PEAK = "off_peak", "in its quietest hour"

    class Kind(models.TextChoices):
        ROLLING = "rolling", "cluster by cluster, nobody is put out"
        FULL = "full", "everything at once, back within two minutes"

    world = models.OneToOneField(World, on_delete=models.CASCADE, related_name="restart_policy")
    when = models.CharField(max_length=16, choices=When, default=When.NEVER)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.ROLLING)
    at = models.TimeField(null=True, blank=True, help_text="Local time of a fixed restart.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="As Europe/Berlin.")
    weekdays = models.PositiveSmallIntegerField(
        default=127,
        validators=[MinValueValidator(1), MaxValueValidator(127)],
        help_text="Bit 0 is Monday: on which days.",
    )
    min_uptime_h = models.PositiveIntegerField(default=20, help_text="Hours between two restarts at least.")
    blackout_days = models.JSONField(default=list, blank=True, help_text="Local dates without a restart.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "restart policies"

    def __str__(self) -> str:
        return f"{self.world}: {self.get_when_display()}"


class Restart(models.Model):
    """One restart of a world: planned, announced, carried out by the world daemon, written down."""

    class State(models.TextChoices):
        PLANNED = "planned"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="restarts")
    kind = models.CharField(max_length=16, choices=RestartPolicy.Kind)
    state = models.CharField(max_length=16, choices=State, default=State.PLANNED)
    due_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True, help_text="Told to the players.")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: the policy.",
    )
    made_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    steps = models.JSONField(default=list, blank=True, help_text="What was done when, and how it went.")
    error = models.CharField(max_length=400, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "world", condition=models.Q(state__in=["planned", "running"]), name="one_restart_at_a_time"
            )
        ]
        ordering = ["-due_at"]

    def __str__(self) -> str:
        return f"{self.world}, {self.kind}, {self.due_at:%Y-%m-%d %H:%M}"


class Backup(models.Model):
    """One backup of this deployment's database: made, copied away, and proven by a restore."""

    class State(models.TextChoices):
        RUNNING = "running"
        MADE = "made"
        PROVEN = "proven"  # restored into a scratch database, every invariant holds
        FAILED = "failed"
        DELETED = "deleted"  # by retention

    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    name = models.CharField(max_length=80, unique=True, help_text="Of its file.")
    place = models.CharField(max_length=400, blank=True, help_text="Where it is on this machine.")
    target = models.CharField(max_length=400, blank=True, help_text="Where its copy is; empty: nowhere.")
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    sha256 = models.CharField(max_length=64, blank=True)
    progress = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    copied_at = models.DateTimeField(null=True, blank=True)
    proven_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(
        default=dict, blank=True, help_text="Of the restore drill: invariants, rows, time."
    )
    error = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return self.name


class Announcement(models.Model):
    """A line to everybody on a world, said once by its daemon."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="announcements")
    text = models.CharField(max_length=400)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(help_text="When it is to be said.")
    said_at = models.DateTimeField(null=True, blank=True)
    heard = models.PositiveIntegerField(default=0, help_text="How many players were in the world.")

    class Meta:
        indexes = [models.Index(fields=["world", "said_at"])]
        ordering = ["-at"]

    def __str__(self) -> str:
        return self.text


class Alarm(models.Model):
    """Something somebody has to look at. One row for as long as it lasts; see worlds/alarms.py."""

    class Level(models.TextChoices):
        WARNING = "warning"
        URGENT = "urgent"

    world = models.ForeignKey(
        World, on_delete=models.CASCADE, null=True, blank=True, related_name="alarms", help_text="Empty: all."
    )
    key = models.CharField(max_length=120, help_text="What is wrong, as cluster_dead:east.")
    level = models.CharField(max_length=16, choices=Level, default=Level.WARNING)
    text = models.CharField(max_length=400, help_text="What is wrong, for a person.")
    advice = models.CharField(max_length=400, blank=True, help_text="What to do.")
    began_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "world",
                "key",
                condition=models.Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="one_open_alarm_of_a_key",
            )
        ]
        indexes = [models.Index(fields=["ended_at", "-began_at"])]
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return self.text
