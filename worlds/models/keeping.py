"""Who keeps a world, what they have ordered it to do, and whom they have shut out or silenced in it."""

import uuid

from django.conf import settings
from django.db import models

from worlds.models.world import World
from worlds.operating.rules import GIVEN_ROLES


class WorldKeeper(models.Model):
    """A person who operates a world besides its owner (`World.owner`), with a role."""

    ROLES = [(role.value, role.value) for role in GIVEN_ROLES]

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="keepers")
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="kept_worlds"
    )
    role = models.CharField(max_length=16, choices=ROLES)
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("world", "account", name="one_role_for_world_and_account")]
        ordering = ["since"]

    def __str__(self) -> str:
        return f"{self.account}: {self.role} of {self.world}"


class KeeperInvitation(models.Model):
    """An address that is asked to keep a world. Taken up by the account that has confirmed the address."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address")  # in small letters, as accounts have it
    role = models.CharField(max_length=16, choices=WorldKeeper.ROLES)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("world", "email", name="one_invitation_for_world_and_email")]
        ordering = ["made_at"]

    def __str__(self) -> str:
        return f"{self.email}: {self.role} of {self.world}"


class WorldSanction(models.Model):
    """A ban from a world, or a mute in it, by its keepers. It is in force until `until`, or `ended_at`."""

    class Kind(models.TextChoices):
        BAN = "ban"
        MUTE = "mute"

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="sanctions")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sanctions")
    kind = models.CharField(max_length=8, choices=Kind)
    character_name = models.CharField(max_length=40, help_text="All that keepers know of whom it is.")
    reason = models.CharField(max_length=200, help_text="Told to the player.")
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: for good.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(
        null=True, blank=True, help_text="Taken back, or replaced by a newer one."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["world", "account", "kind"],
                condition=models.Q(ended_at__isnull=True),
                name="one_sanction_of_a_kind_in_force",
            )
        ]
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"{self.kind} of {self.character_name} in {self.world}"


class WorldOrder(models.Model):
    """What a keeper ordered a world to do. Sent with answers to its reports until a report says: done."""

    class Kind(models.TextChoices):
        KICK = "kick", "put a player out"
        ANNOUNCE = "announce", "tell all players"
        RESTART = "restart", "restart the world"
        POSTPONE = "postpone", "postpone the next restart"
        CANCEL = "cancel", "cancel the next restart"
        POLICY = "policy", "restart policy"

    class Outcome(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        REFUSED = "refused", "the world would not"
        EXPIRED = "expired", "the world did not answer in time"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="orders")
    kind = models.CharField(max_length=16, choices=Kind)
    body = models.JSONField(default=dict, help_text="As worlds.uplink.orders has it.")
    about = models.CharField(max_length=200, help_text="For people: whom or what it is about.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Not sent any more after this.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="First time that an answer carried it.")
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.WAITING)
    told = models.CharField(max_length=200, blank=True, help_text="What the world said to it.")

    class Meta:
        indexes = [
            models.Index(
                fields=["world", "made_at"], condition=models.Q(outcome="waiting"), name="open_orders"
            )
        ]
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"{self.kind} for {self.world}: {self.about}"


class WorldBanner(models.Model):
    """The picture over a world's page: made anew by us from what was uploaded, never that itself."""

    world = models.OneToOneField(World, on_delete=models.CASCADE, related_name="banner")
    image = models.BinaryField(help_text="WebP.")
    digest = models.CharField(
        max_length=16, help_text="Of the image; in its address, so that caches may keep it."
    )
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"banner of {self.world}"
