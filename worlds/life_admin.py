"""World life in the admin: announcements, who waits for a place, and the levers on a world's page."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from accounts.admin_parts import ReasonForm, ViewOnlyAdmin, link_to, staff_of
from accounts.levers import Told, lever
from worlds.models import Announcement, WaitingPlayer, World
from worlds.world_admin import WORLD, OfWorld
from worlds.world_life import (
    HIGHEST_RATE,
    LOWEST_RATE,
    MAX_ANNOUNCEMENT,
    MAX_MAINTENANCE,
    LifeRefused,
    announce,
    begin_maintenance,
    end_maintenance,
    set_game_rate,
)
from zonecluster.protocol.sky import time_of_day
from zonecluster.rules.sky import GameClock


class AnnouncementForm(forms.ModelForm):
    """What is to be said, on which world, and when."""

    class Meta:
        model = Announcement
        fields = ("world", "text", "at")

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"].strip()
        if not text.isprintable():
            raise ValidationError("Use characters that can be shown, on one line.")
        return text


@admin.register(Announcement)
class AnnouncementAdmin(OfWorld, ViewOnlyAdmin):
    """Made once and said once: nobody edits one. What is not said yet can be deleted."""

    form = AnnouncementForm
    list_display = ("text", "world_link", "at", "state", "heard", "by_link")
    list_filter = (WORLD, ("said_at", admin.EmptyFieldListFilter), ("at", RangeDateTimeFilter))
    search_fields = ("text", "world__slug")
    list_select_related = ("world", "by")
    autocomplete_fields = ("world",)
    fields = ("world", "text", "at", "by", "said_at", "heard")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("worlds.add_announcement")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        is_said = isinstance(obj, Announcement) and obj.said_at is not None
        return request.user.has_perm("worlds.delete_announcement") and not is_said

    def get_fields(self, request: HttpRequest, obj: Announcement | None = None) -> tuple[str, ...]:
        return ("world", "text", "at") if obj is None else self.fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"at": timezone.now(), **super().get_changeform_initial_data(request)}

    def save_model(
        self, request: HttpRequest, obj: Announcement, form: forms.ModelForm, change: bool
    ) -> None:
        made = announce(world=obj.world, text=obj.text, at=obj.at, by=staff_of(request), now=timezone.now())
        obj.pk = made.pk

    @display(description="state", label={"said": "success", "waits": "info"})
    def state(self, row: Announcement) -> str:
        return "waits" if row.said_at is None else "said"

    @display(description="by")
    def by_link(self, row: Announcement) -> Any:
        return link_to(row.by)


@admin.register(WaitingPlayer)
class WaitingPlayerAdmin(OfWorld, ViewOnlyAdmin):
    """The queue of a full world, in its order."""

    list_display = ("character_name", "world_link", "edition", "rank", "since")
    list_filter = (WORLD, "edition")
    search_fields = ("character_name", "character", "pseudonym")
    list_select_related = ("world",)
    fields = ("world", "character_name", "character", "pseudonym", "admission", "edition", "rank", "since")


class MaintenanceForm(ReasonForm):
    """What players are told, and why it is done."""

    text = forms.CharField(
        max_length=MAX_MAINTENANCE,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Told to players, on the site too. Until when, if that is known.",
    )


class AnnounceForm(ReasonForm):
    """One line for everybody."""

    text = forms.CharField(
        max_length=MAX_ANNOUNCEMENT, widget=UnfoldAdminTextInputWidget, help_text="One line."
    )
    reason = None  # type: ignore[assignment]


class RateForm(ReasonForm):
    """Another pace of the world's clock."""

    rate = forms.FloatField(
        min_value=LOWEST_RATE,
        max_value=HIGHEST_RATE,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="How much faster game time runs; at 24 an hour is a day.",
    )


class LifeLevers:
    """Levers and facts of world life for the page of a world."""

    life_levers = ("announce_line", "maintain", "end_the_maintenance", "set_rate")
    life_facts = ("maintenance_since", "maintenance_text", "game_time")

    def has_announce_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("worlds.add_announcement")

    def has_maintain_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("worlds.change_world")

    def has_end_maintenance_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("worlds.change_world"):
            return False
        if object_id is None:
            return True
        return World.objects.filter(pk=object_id, maintenance_since__isnull=False).exists()

    @display(description="game time")
    def game_time(self, world: World) -> str:
        clock = GameClock(world.game_epoch.timestamp(), world.game_rate)
        now = time_of_day(clock.game_s(timezone.now().timestamp()))
        return f"{now}, {now.daylight}; {world.game_rate:g} times as fast as a clock"

    @lever(
        "Announce",
        title="Say something to everybody on this world?",
        text="Said once, within two seconds while the world runs, else when it is back.",
        icon="campaign",
        allowed="announce",
        submit="Say it",
        form_class=AnnounceForm,
        refused=(LifeRefused,),
    )
    def announce_line(self, world: World, **deed: Any) -> str:
        announce(world=world, **deed)
        return f"It is said on {world}."

    @lever(
        "Maintenance",
        title="Let nobody in?",
        text="Within two seconds nobody is let in but the world's owner and staff. Players inside are told "
        "and may stay; who waits in the queue keeps the place.",
        icon="construction",
        allowed="maintain",
        variant=ActionVariant.WARNING,
        form_class=MaintenanceForm,
        refused=(LifeRefused,),
    )
    def maintain(self, world: World, **deed: Any) -> Told | str:
        if begin_maintenance(world=world, **deed):
            return f"{world} lets nobody in but its owner and staff."
        return Told("It was so before, with the same text.", "info")

    @lever(
        "End maintenance",
        title="Let everybody in again?",
        text="Players are told, and the queue goes on.",
        icon="door_open",
        allowed="end_maintenance",
    )
    def end_the_maintenance(self, world: World, **deed: Any) -> str:
        end_maintenance(world=world, **deed)
        return f"{world} lets people in again."

    @lever(
        "Pace of time",
        title="Let game time run at another pace?",
        text="It goes on from where it is; clients are told within ten seconds.",
        icon="schedule",
        allowed="maintain",
        submit="Set",
        form_class=RateForm,
        refused=(LifeRefused,),
    )
    def set_rate(self, world: World, **deed: Any) -> Told | str:
        if set_game_rate(world=world, **deed):
            return f"Game time on {world} runs at {world.game_rate:g} from now on."
        return Told("It runs at that pace already.", "info")
