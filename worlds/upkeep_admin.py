"""What was noted and is changed by nobody: alarms, how many played when, what zones cost."""

from django.contrib import admin
from django.utils import timezone
from django.utils.timesince import timesince
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin_parts import ViewOnlyAdmin
from worlds.models import Alarm, PopulationHour, ZoneCost
from worlds.planning.words import hour_name
from worlds.world_admin import WORLD, OfWorld, OfZone


@admin.register(Alarm)
class AlarmAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("text", "level_label", "state", "world_link", "began_at", "lasted", "times")
    list_filter = (
        WORLD,
        ("ended_at", admin.EmptyFieldListFilter),
        "level",
        ("began_at", RangeDateTimeFilter),
    )
    search_fields = ("key", "text", "advice", "world__slug")
    list_select_related = ("world",)
    fields = (
        *("state", "level_label", "text", "advice", "world", "key", "began_at", "last_at", "times"),
        *("ended_at", "lasted"),
    )
    readonly_fields = ("state", "level_label", "lasted")

    @display(description="level", label={"warning": "warning", "urgent": "danger"})
    def level_label(self, alarm: Alarm) -> str:
        return alarm.level

    @display(description="state", label={"lasts": "danger", "over": "success"})
    def state(self, alarm: Alarm) -> str:
        return "lasts" if alarm.ended_at is None else "over"

    @display(description="for")
    def lasted(self, alarm: Alarm) -> str:
        return timesince(alarm.began_at, alarm.ended_at or timezone.now())


@admin.register(PopulationHour)
class PopulationHourAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("at", "world_link", "mean_players", "most", "samples")
    list_filter = (WORLD, ("at", RangeDateTimeFilter))
    search_fields = ("world__slug", "world__name")
    list_select_related = ("world",)
    fields = ("world", "at", "mean", "most", "samples")

    @display(description="players, mean", ordering="mean")
    def mean_players(self, row: PopulationHour) -> str:
        return f"{row.mean:.1f}"


@admin.register(ZoneCost)
class ZoneCostAdmin(OfZone, ViewOnlyAdmin):
    list_display = ("zone_link", "hour_label", "cost", "mean_players", "weeks", "updated_at")
    list_filter = (
        ("zone", AutocompleteSelectFilter),
        ("zone__world", AutocompleteSelectFilter),
    )
    search_fields = ("zone__slug", "zone__name")
    list_select_related = ("zone",)
    fields = ("zone", "hour_label", "cpu_ms", "players", "commands", "weeks", "updated_at")
    readonly_fields = ("hour_label",)

    @display(description="hour, UTC", ordering="hour")
    def hour_label(self, row: ZoneCost) -> str:
        return hour_name(row.hour)

    @display(description="CPU ms a second", ordering="cpu_ms")
    def cost(self, row: ZoneCost) -> str:
        return f"{row.cpu_ms:.1f}"

    @display(description="players, mean", ordering="players")
    def mean_players(self, row: ZoneCost) -> str:
        return f"{row.players:.1f}"
