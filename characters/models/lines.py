"""Characters, their lines and versions. Line and Version carry the safety."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from worlds.models import World


class Character(models.Model):
    """A character of an account. Its edition is the account's; nothing of it is stored here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="characters")
    name = models.CharField(max_length=20)
    name_key = models.CharField(
        max_length=40, help_text="The name without case and look-alikes: reserved on all worlds."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)
    kept_open_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Set: the player wants this one open when there are more than the edition has slots.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "name_key", condition=models.Q(deleted_at__isnull=True), name="character_name_taken"
            )
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FormerName(models.Model):
    """What a character was called until then. Not in the audit record, which is for good: this one can go."""

    character = models.ForeignKey(Character, on_delete=models.CASCADE, related_name="former_names")
    name = models.CharField(max_length=20, db_index=True)
    until = models.DateTimeField()

    class Meta:
        ordering = ["-until"]

    def __str__(self) -> str:
        return f"{self.name} until {self.until:%Y-%m-%d}"


class Line(models.Model):
    """The head of one line of history: who may write, and the newest accepted state."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Its index is the first half of a constraint's.
    character = models.ForeignKey(Character, on_delete=models.PROTECT, related_name="lines", db_index=False)
    world = models.ForeignKey(
        World,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="forks",
        help_text="The world whose fork this is; empty: the main line.",
    )
    grants = models.PositiveIntegerField(default=0, help_text="How often a lease was granted.")
    epoch = models.BigIntegerField(default=0, help_text="Fencing number of the newest lease.")
    holder = models.ForeignKey(World, on_delete=models.PROTECT, null=True, blank=True, related_name="leases")
    lease_until = models.DateTimeField(null=True, blank=True, db_index=True)
    acquire_op_id = models.UUIDField(
        null=True, blank=True, help_text="Key of the newest grant: repeated, it is the same grant."
    )
    acquire_order = models.BigIntegerField(
        default=0, help_text="Its order among the acquires of that world: an older one comes too late."
    )
    version = models.BigIntegerField(default=0)
    chain = models.BinaryField(max_length=32)
    state_hash = models.BinaryField(max_length=32)
    state = models.BinaryField()
    valuables = models.BinaryField(
        default=b"", db_default=b"", help_text="Ids of the valuables in the state, sorted, 16 bytes each."
    )
    exchange = models.UUIDField(
        null=True, blank=True, help_text="The newest trade or mail that this line was part of."
    )
    undecided_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="A fork to which writes fell for the budget: the world plays it until the staff decides.",
    )
    updated_at = models.DateTimeField(default=timezone.now, editable=False, help_text="Of the newest write.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "character", "world", nulls_distinct=False, name="one_line_for_character_and_world"
            )
        ]

    def __str__(self) -> str:
        return f"{self.character_id} {'main' if self.world_id is None else 'fork'} v{self.version}"


class Version(models.Model):
    """One accepted write. Append-only."""

    class Kind(models.TextChoices):
        CREATE = "create"
        FORK = "fork"
        PERIODIC = "periodic"
        LEVEL = "level"
        QUEST = "quest"
        ITEM = "item"
        TRADE = "trade"
        MAIL = "mail"
        HANDOFF = "handoff"
        LOGOUT = "logout"
        RESTORE = "restore"
        ROLLBACK = "rollback"
        LIFT = "lift"

    # Line and world are the first halves of other indexes: each further one costs every save.
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="versions", db_index=False)
    version = models.BigIntegerField()
    op_id = models.UUIDField(unique=True)
    epoch = models.BigIntegerField()
    world = models.ForeignKey(
        World, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=Kind)
    prev_chain = models.BinaryField(max_length=32)
    chain = models.BinaryField(max_length=32)
    state_hash = models.BinaryField(max_length=32)
    state = models.BinaryField()
    source = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="brought_back",
        db_index=False,
        help_text="The version whose state this one brings back, or whose line it forks.",
    )
    exchange = models.UUIDField(null=True, blank=True, help_text="The trade or mail that it was part of.")
    letter = models.UUIDField(null=True, blank=True, help_text="The letter that it posted or emptied.")

    class Meta:
        constraints = [models.UniqueConstraint("line", "version", name="version_once_in_line")]
        indexes = [
            models.Index(fields=["world", "at", "id"], name="versions_of_a_world"),
            models.Index(
                fields=["source"], condition=models.Q(source__isnull=False), name="versions_brought_back"
            ),
            models.Index(
                fields=["exchange"], condition=models.Q(exchange__isnull=False), name="versions_of_exchanges"
            ),
        ]
        ordering = ["line", "-version"]

    def __str__(self) -> str:
        return f"v{self.version} ({self.kind})"


class ThinnedVersions(models.Model):
    """An unbroken run of versions that retention has deleted: what the chain over them is recomputed from."""

    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="thinned")
    first = models.BigIntegerField(help_text="Number of the first version of the run.")
    last = models.BigIntegerField()
    links = models.BinaryField(help_text="For each version: op_id (16 bytes) and hash of the state (32).")

    class Meta:
        verbose_name_plural = "thinned versions"
        constraints = [
            models.UniqueConstraint("line", "first", name="one_run_begins_there"),
            models.UniqueConstraint("line", "last", name="one_run_ends_there"),
        ]
        ordering = ["line", "-first"]

    def __str__(self) -> str:
        return f"v{self.first} to v{self.last}"


class Fall(models.Model):
    """A write that a world asked for on main and that fell to its fork: how the world names it."""

    class Reason(models.TextChoices):
        LIMITED = "limited", "the world is limited"
        BUDGET = "budget", "it was over the world's budget"

    write = models.OneToOneField(Version, on_delete=models.PROTECT, related_name="fall")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="falls")
    epoch = models.BigIntegerField()
    version = models.BigIntegerField(help_text="The head that the write names; it becomes the next one.")
    prev_chain = models.BinaryField(max_length=32)
    chain = models.BinaryField(max_length=32)
    reason = models.CharField(max_length=16, choices=Reason)

    class Meta:
        indexes = [models.Index(fields=["line", "epoch", "-version"], name="newest_fall_of_a_lease")]

    def __str__(self) -> str:
        return f"v{self.version + 1} of main, v{self.write.version} of the fork ({self.reason})"
