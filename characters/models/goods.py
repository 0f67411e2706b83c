"""What goes between characters: valuables and who has them, letters, what a world's writes have gained."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from characters.budgets import DEFAULTS
from characters.models.lines import Character, Line
from worlds.models import World


class Valuable(models.Model):
    """One thing with an id, and who has it: of main one row, of each world's forks one more."""

    thing = models.UUIDField(help_text="Its id in documents.")
    world = models.ForeignKey(
        World,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose forks this is about; empty: main.",
    )
    kind = models.CharField(max_length=64)
    line = models.ForeignKey(
        Line, on_delete=models.PROTECT, null=True, blank=True, related_name="owned", help_text="Who has it."
    )
    letter = models.ForeignKey(
        "Letter",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="valuables",
        help_text="The letter it lies in. Neither line nor letter: it is gone.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "thing", "world", nulls_distinct=False, name="one_owner_of_a_valuable_in_a_scope"
            ),
            models.CheckConstraint(
                condition=models.Q(line__isnull=True) | models.Q(letter__isnull=True),
                name="a_valuable_is_in_one_place",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.thing}"


class ValuableEvent(models.Model):
    """One step of a valuable's way: by which accepted write it came to be where it is."""

    class Kind(models.TextChoices):
        FOUND = "found", "was there when this record began"
        MADE = "made", "came into being"
        MOVED = "moved", "changed hands"
        POSTED = "posted", "was put into a letter"
        TAKEN = "taken", "was taken out of a letter"
        GONE = "gone", "was used up or sold"
        FORKED = "forked", "was copied to a world's own line"
        RESTORED = "restored", "was brought back"

    valuable = models.ForeignKey(Valuable, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=Kind)
    world = models.ForeignKey(World, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    op_id = models.UUIDField(null=True, blank=True, help_text="Of the write.")

    class Meta:
        indexes = [models.Index(fields=["world", "at"], name="valuables_of_a_world")]
        ordering = ["valuable", "-at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class Letter(models.Model):
    """A letter between characters, with or without goods. It is there once its sender's write is accepted.

    Its goods are in no document while they lie in it.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    world = models.ForeignKey(
        World,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose forks it goes between; empty: main, on any world.",
    )
    sender = models.ForeignKey(Character, on_delete=models.PROTECT, related_name="letters_sent")
    recipient = models.ForeignKey(Character, on_delete=models.PROTECT, related_name="letters")
    posted_by = models.ForeignKey(
        World, on_delete=models.PROTECT, related_name="+", help_text="The world that it was posted in."
    )
    subject = models.CharField(max_length=80)
    text = models.TextField(max_length=2000, blank=True)
    items = models.JSONField(default=list, blank=True, help_text="Stacks, as in a document's bags.")
    money = models.BigIntegerField(default=0)
    posted_at = models.DateTimeField()
    exchange = models.UUIDField(null=True, blank=True, help_text="The exchange that posted it.")
    digest = models.BinaryField(max_length=32, help_text="Of what was posted, to know a repeat by.")
    taken_at = models.DateTimeField(null=True, blank=True, help_text="The recipient took what lay in it.")
    taken_exchange = models.UUIDField(null=True, blank=True)
    returned_at = models.DateTimeField(
        null=True, blank=True, help_text="Nobody took its goods: sender and recipient changed places."
    )
    read_at = models.DateTimeField(null=True, blank=True)
    discarded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(money__gte=0), name="no_negative_money_in_a_letter")
        ]
        indexes = [
            models.Index(
                fields=["recipient", "posted_at"],
                condition=models.Q(discarded_at__isnull=True),
                name="letters_in_a_mailbox",
            )
        ]
        ordering = ["-posted_at"]

    def __str__(self) -> str:
        return self.subject


class TradeStop(models.Model):
    """Trade and mail of a world, or of one kind of item, or of one kind in one world, are off."""

    world = models.ForeignKey(
        World,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="trade_stops",
        help_text="Empty: in all worlds.",
    )
    item_kind = models.CharField(max_length=64, blank=True, help_text="Empty: everything, money too.")
    reason = models.CharField(max_length=200)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "world", "item_kind", nulls_distinct=False, name="one_trade_stop_for_world_and_kind"
            )
        ]
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.item_kind or 'everything'} in {self.world or 'all worlds'}"


class Gain(models.Model):
    """What one world's writes have gained a character on main in one hour: what budgets are counted by."""

    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="+")
    line = models.ForeignKey(Line, on_delete=models.CASCADE, related_name="gains")
    hour = models.DateTimeField(help_text="Begin of the hour, UTC.")
    xp = models.BigIntegerField(default=0)
    money = models.BigIntegerField(default=0)
    valuables = models.BigIntegerField(default=0)
    items = models.BigIntegerField(default=0, help_text="Things without an id.")

    class Meta:
        constraints = [
            models.UniqueConstraint("world", "line", "hour", name="one_gain_for_world_line_and_hour")
        ]
        indexes = [models.Index(fields=["hour"], name="gains_by_hour")]

    def __str__(self) -> str:
        return f"{self.line_id} {self.hour:%Y-%m-%d %H}h"


class WorldBudget(models.Model):
    """What a verified world may gain a character on main, where the staff set it otherwise than for all."""

    world = models.OneToOneField(World, on_delete=models.CASCADE, related_name="budget")
    xp_hour = models.PositiveBigIntegerField("experience per hour", default=DEFAULTS.hour.xp)
    money_hour = models.PositiveBigIntegerField("money per hour", default=DEFAULTS.hour.money)
    valuables_hour = models.PositiveBigIntegerField("valuables per hour", default=DEFAULTS.hour.valuables)
    items_hour = models.PositiveBigIntegerField("items per hour", default=DEFAULTS.hour.items)
    xp_day = models.PositiveBigIntegerField("experience per day", default=DEFAULTS.day.xp)
    money_day = models.PositiveBigIntegerField("money per day", default=DEFAULTS.day.money)
    valuables_day = models.PositiveBigIntegerField("valuables per day", default=DEFAULTS.day.valuables)
    items_day = models.PositiveBigIntegerField("items per day", default=DEFAULTS.day.items)

    class Meta:
        ordering = ["world"]

    def __str__(self) -> str:
        return f"budget of {self.world}"
