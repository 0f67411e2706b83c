"""Who plays and played here: sessions, quarantines, and receipts of what was saved."""

import uuid

from django.conf import settings
from django.db import models

from worlds.models.world import World


class PlaySession(models.Model):
    """The world's own row of a character in play: what a restarted daemon needs to go on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="play_sessions")
    pseudonym = models.UUIDField()
    admission = models.UUIDField(help_text="jti of the redeemed ticket.")
    character = models.UUIDField()
    character_name = models.CharField(max_length=40)
    edition = models.CharField(max_length=16)
    limits = models.JSONField(
        default=dict, blank=True, help_text="Of the edition, as the master last told them."
    )
    line = models.UUIDField()
    epoch = models.BigIntegerField()
    zone = models.CharField(max_length=40)
    cluster = models.CharField(max_length=24, blank=True)
    instance = models.PositiveBigIntegerField(default=0)
    entity = models.PositiveBigIntegerField(default=0)
    stay = models.BigIntegerField(
        default=0, help_text="Number of its newest admission: an entity with a lower one is a ghost."
    )
    has_gap = models.BooleanField(
        default=True, help_text="The player may have seen more in that stay than is saved: a cluster died."
    )
    resume_digest = models.BinaryField(max_length=32, help_text="SHA-256 of the newest resume token.")
    proven_digest = models.BinaryField(
        max_length=32, default=bytes, help_text="Of the one that the client has shown. Empty: the newest."
    )
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


class WaitingPlayer(models.Model):
    """Somebody in the queue of a full world: what a restarted daemon needs to keep the place."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="waiting_players")
    pseudonym = models.UUIDField()
    admission = models.UUIDField(help_text="jti of the redeemed ticket.")
    character = models.UUIDField()
    character_name = models.CharField(max_length=40)
    edition = models.CharField(max_length=16)
    limits = models.JSONField(
        default=dict, blank=True, help_text="Of the edition, as the master last told them."
    )
    rank = models.PositiveSmallIntegerField(help_text="Lower ones go first.")
    arrival = models.BigIntegerField(help_text="Grows; of one rank the lower one goes first.")
    since = models.DateTimeField()
    resume_digest = models.BinaryField(max_length=32, help_text="SHA-256 of the newest resume token.")
    proven_digest = models.BinaryField(
        max_length=32, default=bytes, help_text="Of the one that the client has shown. Empty: the newest."
    )

    class Meta:
        constraints = [models.UniqueConstraint("world", "pseudonym", name="one_place_in_the_queue")]
        ordering = ["rank", "arrival"]

    def __str__(self) -> str:
        return self.character_name


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
