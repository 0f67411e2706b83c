"""What the master remembers of being restored from a backup."""

from django.db import models

from worlds.models import World


class Incarnation(models.Model):
    """How often the master was restored from a backup, as a part of every epoch: old leases cannot come back.

    No row counts as incarnation 1.
    """

    number = models.PositiveIntegerField(unique=True)
    began_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    collects_since = models.DateTimeField(
        null=True, blank=True, help_text="Worlds are asked for what was accepted since then."
    )
    closed_at = models.DateTimeField(
        null=True, blank=True, help_text="Since then the master is in service again."
    )

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return str(self.number)

    @property
    def is_collecting(self) -> bool:
        """Whether worlds are asked for what they hold, and for nothing else."""
        return self.collects_since is not None and self.closed_at is None


class Reoffer(models.Model):
    """What one world has offered after a restore of the master."""

    incarnation = models.ForeignKey(Incarnation, on_delete=models.CASCADE, related_name="reoffers")
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="+")
    replayed = models.PositiveIntegerField(default=0, help_text="Versions that were taken back.")
    completed_at = models.DateTimeField(null=True, blank=True, help_text="It had offered all it holds.")

    class Meta:
        constraints = [
            models.UniqueConstraint("incarnation", "world", name="one_reoffer_of_a_world_for_an_incarnation")
        ]

    def __str__(self) -> str:
        return f"{self.world_id} for {self.incarnation_id}"


class WaitingOffer(models.Model):
    """The newest state that a world has proved of a line, while something before it is missing."""

    line = models.UUIDField(unique=True)
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="+")
    version = models.BigIntegerField()
    state = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.line} v{self.version}"
