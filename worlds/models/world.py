"""The master's side of the world catalog: worlds, their keys, and who was let into them."""

import uuid
from datetime import UTC, datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from accounts.rules import Edition

slug_validator = RegexValidator(
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "Use small letters, digits and single hyphens, and start with a letter."
)

# When game time began in a new world.
GAME_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class World(models.Model):
    """An operator's game world."""

    class Tier(models.TextChoices):
        OFFICIAL = "official"
        VERIFIED = "verified"
        OPEN = "open"

    class Placement(models.TextChoices):
        AUTOMATIC = "automatic", "the planner, by itself"
        PROPOSED = "proposed", "the planner proposes, staff approves"
        BY_HAND = "by_hand", "staff only"

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
    tags = ArrayField(
        models.CharField(max_length=24), default=list, blank=True, help_text="Of worlds.operating.texts.TAGS."
    )
    house_rules = models.TextField("rules", max_length=4000, blank=True, help_text="How people behave here.")
    appeals = models.TextField(
        max_length=600, blank=True, help_text="How somebody who was banned here can ask for it back."
    )
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
    max_queue = models.PositiveIntegerField(
        default=500,
        validators=[MaxValueValidator(5000)],
        help_text="How many may wait for a place when the world is full; more are turned away.",
    )
    spawn_budget = models.PositiveIntegerField(
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text="How many creatures each zone cluster lets appear in a tick; counts from its next start.",
    )
    game_rate = models.FloatField(
        default=24.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(1000)],
        help_text="How much faster game time runs: at 24 an hour is a day.",
    )
    game_epoch = models.DateTimeField(
        default=GAME_EPOCH, help_text="When game time began; moves with the rate, so that time never jumps."
    )
    gateway_url = models.CharField(max_length=200, help_text="ws:// or wss:// address of the world link.")
    is_listed = models.BooleanField(default=True)
    suspended_at = models.DateTimeField(
        null=True, blank=True, help_text="Set: no tickets, no grants, no writes."
    )
    limited_at = models.DateTimeField(
        null=True, blank=True, help_text="Set: what it writes goes to its own forks, not to main."
    )
    placement = models.CharField(
        "placement of zones",
        max_length=16,
        choices=Placement,
        default=Placement.AUTOMATIC,
        help_text="Who decides which zone runs on which cluster.",
    )
    maintenance_since = models.DateTimeField(
        null=True, blank=True, help_text="Set: nobody enters but the world's operators and staff."
    )
    maintenance_text = models.CharField(max_length=200, blank=True, help_text="What players are told then.")
    created_at = models.DateTimeField(auto_now_add=True)
    last_report_at = models.DateTimeField(null=True, blank=True, editable=False)
    host_status = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="The world daemon's own machine, and where agents of others reach it.",
    )
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
