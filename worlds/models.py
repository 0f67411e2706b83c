"""The world catalog: fields and constraints only.

Two kinds of rows. The master's: World, WorldKey, Pseudonym, Ticket. The world's own (in its own database
when the deployment is world-only): ContentPack, ZoneCluster, Zone, ZoneLink, CreatureKind, CreatureSpawn,
ItemKind, PlaySession, Quarantine, StoredReceipt; these name their World too, whose row a world-only
deployment keeps as a copy.
"""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from accounts.rules import Edition

slug_validator = RegexValidator(
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "Use small letters, digits and single hyphens, and start with a letter."
)


class World(models.Model):
    """An operator's game world."""

    class Tier(models.TextChoices):
        OFFICIAL = "official"
        VERIFIED = "verified"
        OPEN = "open"

    slug = models.CharField(max_length=40, unique=True, validators=[slug_validator])
    name = models.CharField(max_length=60)
    name_key = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="The name without case and look-alikes; set by services.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="worlds"
    )
    tier = models.CharField(max_length=16, choices=Tier, default=Tier.OPEN)
    tagline = models.CharField(max_length=140, blank=True)
    description = models.TextField(max_length=4000, blank=True)
    motd = models.CharField("message of the day", max_length=400, blank=True)
    language = models.CharField(max_length=8, default="en")
    region = models.CharField(max_length=24, default="local")
    ruleset = models.CharField(max_length=24, default="co-op")
    edition = models.CharField(
        "edition needed",
        max_length=16,
        choices=[(e.value, e.name.title()) for e in Edition],
        default=Edition.FREE,
    )
    max_players = models.PositiveIntegerField(default=1000, validators=[MinValueValidator(1)])
    gateway_url = models.CharField(max_length=200, help_text="ws:// or wss:// address of the world link.")
    is_listed = models.BooleanField(default=True)
    suspended_at = models.DateTimeField(
        null=True, blank=True, help_text="Set: no tickets, no grants, no writes."
    )
    limited_at = models.DateTimeField(
        null=True, blank=True, help_text="Set: what it writes goes to its own forks, not to main."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_report_at = models.DateTimeField(null=True, blank=True, editable=False)
    report = models.JSONField(
        default=dict, blank=True, editable=False, help_text="What the world last said of itself."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name_key"], condition=~models.Q(name_key=""), name="world_name_taken"
            )
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class WorldKey(models.Model):
    """An Ed25519 public key by which a world proves itself on the uplink; several are valid in a rotation."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="keys")
    kid = models.CharField(max_length=64, unique=True, help_text="RFC 7638 thumbprint of the key.")
    public_key = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.kid[:12]


class Pseudonym(models.Model):
    """The only name under which one world knows one account."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pseudonyms")
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="pseudonyms")
    value = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("account", "world", name="one_pseudonym_for_account_and_world")
        ]

    def __str__(self) -> str:
        return str(self.value)


class Ticket(models.Model):
    """A ticket that was issued. Redeemed at most once; then it is the account's admission to that world."""

    jti = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tickets")
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="tickets")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since then the world may not acquire characters of this account by it.",
    )

    class Meta:
        indexes = [models.Index(fields=["account", "world", "redeemed_at"])]
        ordering = ["-issued_at"]

    def __str__(self) -> str:
        return str(self.jti)


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


class ZoneCluster(models.Model):
    """A zone cluster process of a world: where it listens, and which zones are placed on it by default."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="clusters")
    name = models.CharField(max_length=24, validators=[slug_validator])
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


class Zone(models.Model):
    """A place. Square, `size` metres on a side, origin in the south-west corner."""

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
    is_entry = models.BooleanField(default=False, help_text="New characters begin here; one zone of a world.")
    entry_x = models.FloatField()
    entry_y = models.FloatField()
    entry_heading_deg = models.FloatField(default=0)
    top_speed = models.FloatField(default=5.0, help_text="Fastest a player moves here, m/s.")
    max_players = models.PositiveIntegerField(default=500)
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


class PlaySession(models.Model):
    """The world's own row of a character in play: what a restarted daemon needs to go on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="play_sessions")
    pseudonym = models.UUIDField()
    admission = models.UUIDField(help_text="jti of the redeemed ticket.")
    character = models.UUIDField()
    character_name = models.CharField(max_length=40)
    edition = models.CharField(max_length=16)
    line = models.UUIDField()
    epoch = models.BigIntegerField()
    zone = models.CharField(max_length=40)
    cluster = models.CharField(max_length=24, blank=True)
    instance = models.PositiveBigIntegerField(default=0)
    entity = models.PositiveBigIntegerField(default=0)
    stay = models.BigIntegerField(
        default=0, help_text="Number of its newest admission: an entity with a lower one is a ghost."
    )
    resume_digest = models.BinaryField(max_length=32, help_text="SHA-256 of the resume token.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "world", "character", condition=models.Q(ended_at__isnull=True), name="character_in_play_once"
            )
        ]
        indexes = [models.Index(fields=["world", "ended_at"])]
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.character_name} ({self.zone})"


class Quarantine(models.Model):
    """A report of a character on whose document this world's rules raised: it is out until this has ended."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="quarantines")
    character = models.UUIDField(db_index=True)
    character_name = models.CharField(max_length=40)
    session = models.UUIDField()
    stay = models.BigIntegerField(help_text="Number of the admission that made the entity.")
    cluster = models.CharField(max_length=24)
    where = models.CharField(max_length=60, help_text="What the zone cluster did.")
    error = models.TextField(help_text="The end of the traceback.")
    document = models.BinaryField(help_text="As it was, what was not saved of it included.")
    line = models.UUIDField(null=True)
    version = models.BigIntegerField(default=0, help_text="Newest of the line when the player was put out.")
    digest = models.BinaryField(
        max_length=32,
        help_text="SHA-256 of the line's document without places: with another one the character is let in. "
        "Empty: with none.",
    )
    at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty though it is over: the document became another.",
    )

    class Meta:
        constraints = [models.UniqueConstraint("session", "stay", name="one_report_of_a_stay")]
        indexes = [models.Index(fields=["world", "released_at"])]
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.character_name}: {self.where}"


class StoredReceipt(models.Model):
    """The world's copy of a write that the master acknowledged: receipt and state, kept 14 days."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="receipts")
    op_id = models.UUIDField(unique=True)
    line = models.UUIDField()
    version = models.BigIntegerField()
    receipt = models.TextField(help_text="JWS signed by the master.")
    kind = models.CharField(max_length=16, default="periodic", help_text="Of the write.")
    state = models.BinaryField()
    at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["line", "version"])]
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.line} v{self.version}"
