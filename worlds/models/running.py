"""Where a world runs: machines, and the zone cluster processes on them."""

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models

from worlds.models.world import World, slug_validator


class Host(models.Model):
    """A machine that runs zone clusters of a world. Its host agent dials the world daemon and proves itself.

    The machine of `manage.py up` and the world daemon has no row: it is where clusters without a host run.
    """

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="hosts")
    name = models.CharField(max_length=24, validators=[slug_validator])
    public_key = models.BinaryField(
        max_length=32, null=True, blank=True, help_text="Ed25519; of the agent. None: it has not joined yet."
    )
    join_digest = models.BinaryField(
        max_length=32, null=True, blank=True, help_text="SHA-256 of the code by which an agent joins once."
    )
    join_until = models.DateTimeField(null=True, blank=True)
    cores = models.FloatField(
        null=True, blank=True, help_text="Cores that clusters may use here; empty: what the agent counts."
    )
    memory_mb = models.PositiveIntegerField(
        null=True, blank=True, help_text="Memory that clusters may use here; empty: what the agent counts."
    )
    is_enabled = models.BooleanField(default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("world", "name", name="host_name_unique_in_world")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ZoneCluster(models.Model):
    """A zone cluster process of a world: where it listens, and which zones are placed on it by default."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="clusters")
    name = models.CharField(max_length=24, validators=[slug_validator])
    host = models.ForeignKey(
        Host,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="clusters",
        help_text="Machine that it runs on; empty: that of the world daemon.",
    )
    udp_host = models.CharField(max_length=120, default="127.0.0.1", help_text="Address the process binds.")
    udp_port = models.PositiveIntegerField(
        validators=[MaxValueValidator(65535)], help_text="Port the process binds; 0: any free one."
    )
    public_host = models.CharField(
        max_length=120,
        blank=True,
        help_text="Address players use, or several with commas, tried in order; empty: the bound one.",
    )
    max_players = models.PositiveIntegerField(
        default=5000, help_text="More are not let onto this cluster. Its memory is set aside for so many."
    )
    is_enabled = models.BooleanField(default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("world", "name", name="cluster_name_unique_in_world")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SlowHandler(models.Model):
    """A kind of command that kept taking too long: refused until staff switches it on again."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="slow_handlers")
    kind = models.CharField(max_length=40, help_text="Of the command, as clients name it.")
    cluster = models.CharField(max_length=24, help_text="That noticed it.")
    p99_ms = models.FloatField(help_text="CPU time that 99 of 100 runs took at most.")
    worst_ms = models.FloatField()
    runs = models.PositiveIntegerField(help_text="That were looked at.")
    off_at = models.DateTimeField()
    on_at = models.DateTimeField(null=True, blank=True)
    on_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "world", "kind", condition=models.Q(on_at__isnull=True), name="handler_off_once_in_a_world"
            )
        ]
        ordering = ["-off_at"]

    def __str__(self) -> str:
        return f"{self.world}: {self.kind}"
