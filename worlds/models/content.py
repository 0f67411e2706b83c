"""What a content pack brings: zones, ways between them, creatures, things."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.rules import Edition
from worlds.models.running import ZoneCluster
from worlds.models.world import World, slug_validator


class ContentPack(models.Model):
    """A content pack that was imported: plain files, checked, then made into zones."""

    world = models.OneToOneField(World, on_delete=models.CASCADE, related_name="content_pack")
    name = models.CharField(max_length=60)
    version = models.CharField(max_length=24)
    digest = models.CharField(
        max_length=64, help_text="SHA-256 over the pack's files: the same digest is not imported twice."
    )
    imported_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Zone(models.Model):
    """A place. Square, `size` metres on a side, origin in the south-west corner."""

    class Instancing(models.TextChoices):
        SHARED = "shared", "everybody, in as few copies as they fit into"
        ALLIANCE = "alliance", "an alliance by itself, in a copy that closes when it is empty"

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="zones")
    slug = models.CharField(max_length=40, validators=[slug_validator])
    name = models.CharField(max_length=60)
    description = models.TextField(max_length=2000, blank=True)
    size = models.FloatField(validators=[MinValueValidator(16), MaxValueValidator(4096)], help_text="Metres.")
    home_cluster = models.ForeignKey(
        ZoneCluster,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="zones",
        help_text="Where its first instance runs; empty: the daemon chooses.",
    )
    is_pinned = models.BooleanField(
        default=False, help_text="Set: it runs on its home cluster, and the planner moves it nowhere."
    )
    max_instances = models.PositiveIntegerField(
        default=8,
        validators=[MinValueValidator(1), MaxValueValidator(999)],
        help_text="How many copies of it may be open when it is crowded.",
    )
    instancing = models.CharField(
        max_length=16,
        choices=Instancing,
        default=Instancing.SHARED,
        help_text="Who meets whom here.",
    )
    is_entry = models.BooleanField(default=False, help_text="New characters begin here; one zone of a world.")
    entry_x = models.FloatField()
    entry_y = models.FloatField()
    entry_heading_deg = models.FloatField(default=0)
    top_speed = models.FloatField(default=5.0, help_text="Fastest a player moves here, m/s.")
    max_players = models.PositiveIntegerField(default=500)
    climate = models.CharField(max_length=16, default="temperate", help_text="Which weather it has.")
    edition = models.CharField(
        "edition needed",
        max_length=16,
        choices=[(e.value, e.name.title()) for e in Edition],
        default=Edition.FREE,
        help_text="Whoever has less is not let in, by a way or on entering the world.",
    )
    walls = models.JSONField(
        default=list, blank=True, editable=False, help_text="Lines that take the sight: [x, y, x, y], metres."
    )
    vendors = models.JSONField(
        default=list, blank=True, editable=False, help_text="Who buys and sells here, what, and for how much."
    )
    chests = models.JSONField(
        default=list, blank=True, editable=False, help_text="Chests, and what may be in them."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("world", "slug", name="zone_slug_unique_in_world"),
            models.UniqueConstraint(
                "world", condition=models.Q(is_entry=True), name="one_entry_zone_in_world"
            ),
        ]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class ZoneLink(models.Model):
    """A portal: a disc in one zone that leads to a point in another (or the same)."""

    zone = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="links")
    slug = models.CharField(max_length=40, validators=[slug_validator])
    label = models.CharField(max_length=80)
    x = models.FloatField()
    y = models.FloatField()
    radius = models.FloatField(default=2.0)
    target = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="arrivals")
    arrival_x = models.FloatField()
    arrival_y = models.FloatField()
    arrival_heading_deg = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint("zone", "slug", name="link_slug_unique_in_zone")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.label


class CreatureKind(models.Model):
    """A kind of creature of a world's content."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="creature_kinds")
    slug = models.CharField(max_length=40, validators=[slug_validator])
    name = models.CharField(max_length=60)
    speed = models.FloatField(default=1.5, help_text="m/s while wandering.")

    class Meta:
        constraints = [models.UniqueConstraint("world", "slug", name="creature_slug_unique_in_world")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class CreatureSpawn(models.Model):
    """So many creatures of a kind wander within a disc of a zone."""

    zone = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="spawns")
    kind = models.ForeignKey(CreatureKind, on_delete=models.CASCADE, related_name="spawns")
    count = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(2000)])
    x = models.FloatField()
    y = models.FloatField()
    radius = models.FloatField()

    def __str__(self) -> str:
        return f"{self.count} × {self.kind}"


class ItemKind(models.Model):
    """A kind of item of a world's content. Characters remember its slug."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="item_kinds")
    slug = models.CharField(max_length=40, validators=[slug_validator])
    name = models.CharField(max_length=60)
    stack_size = models.PositiveIntegerField(default=1, help_text="How many lie on one stack.")
    value = models.PositiveIntegerField(default=0, help_text="Coins.")
    weight = models.FloatField(default=0, help_text="kg.")
    is_valuable = models.BooleanField(default=False, help_text="Each has an id, and one owner.")
    slot = models.CharField(max_length=16, blank=True, help_text="Where it is worn; empty: nowhere.")

    class Meta:
        constraints = [models.UniqueConstraint("world", "slug", name="item_slug_unique_in_world")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name
