"""Incidents in the admin: staff tells of one, and how it goes on."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin_parts import ViewOnlyAdmin, beside, link_to, staff_of
from accounts.levers import lever
from worlds.models import Incident, IncidentUpdate
from worlds.status.incidents import MAX_TEXT, MAX_TITLE, IncidentRefused, begin_incident, update_incident

TEXT_HELP = "For players: what does not work, for whom, and what they can do. Nobody can edit it afterwards."


class UpdateForm(BaseDialogForm):
    """How an incident goes on."""

    state = forms.ChoiceField(choices=Incident.State, widget=UnfoldAdminSelectWidget)
    text = forms.CharField(max_length=MAX_TEXT, help_text=TEXT_HELP, widget=UnfoldAdminTextareaWidget)


class IncidentForm(forms.ModelForm):
    """A new incident, with the first thing that is said of it."""

    text = forms.CharField(max_length=MAX_TEXT, help_text=TEXT_HELP, widget=UnfoldAdminTextareaWidget)

    class Meta:
        model = Incident
        fields = ("title", "impact", "worlds")
        widgets = {"title": UnfoldAdminTextInputWidget(attrs={"maxlength": MAX_TITLE})}

    def clean_title(self) -> str:
        title: str = self.cleaned_data["title"].strip()
        if not title.isprintable():
            raise ValidationError("Use characters that can be shown, on one line.")
        return title


class UpdateInline(admin.TabularInline):
    """What was said so far."""

    model = IncidentUpdate
    fields = readonly_fields = ("at", "state", "text", "by")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Incident)
class IncidentAdmin(ViewOnlyAdmin):
    """Begun by a form; goes on by a lever. Each thing that was said stays as it was said."""

    form = IncidentForm
    list_display = ("title", "state_label", "impact_label", "world_links", "began_at", "ended_at")
    list_filter = ("state", "impact", ("began_at", RangeDateTimeFilter))
    search_fields = ("title", "updates__text", "worlds__slug")
    autocomplete_fields = ("worlds",)
    fields = ("title", "impact", "state", "worlds", "began_at", "ended_at")
    inlines = (UpdateInline,)
    actions_detail = ["go_on"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("worlds")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("worlds.add_incident")

    def has_go_on_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("worlds.change_incident")

    def get_fields(self, request: HttpRequest, obj: Incident | None = None) -> tuple[str, ...]:
        return ("title", "impact", "worlds", "text") if obj is None else self.fields

    def get_inlines(self, request: HttpRequest, obj: Incident | None) -> tuple[type, ...]:
        return () if obj is None else self.inlines

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        made = begin_incident(
            title=obj.title,
            impact=obj.impact,
            text=form.cleaned_data["text"],
            worlds=list(form.cleaned_data["worlds"]),
            by=staff_of(request),
            now=timezone.now(),
        )
        obj.pk = made.pk

    @lever(
        "Say how it goes on",
        title="How does it go on?",
        text="It is shown on the status page at once.",
        icon="edit_note",
        allowed="go_on",
        submit="Publish",
        form_class=UpdateForm,
        refused=(IncidentRefused,),
    )
    def go_on(self, incident: Incident, **said: Any) -> str:
        update_incident(incident=incident, **said)
        return f"Published: {incident.get_state_display()}."

    @display(description="state", label={"over": "success", "watching": "info", "looking": "danger"})
    def state_label(self, incident: Incident) -> tuple[str, str]:
        return incident.state, incident.get_state_display()

    @display(description="impact", label={"major": "danger", "minor": "warning"})
    def impact_label(self, incident: Incident) -> tuple[str, str]:
        return incident.impact, incident.get_impact_display()

    @display(description="concerns")
    def world_links(self, incident: Incident) -> Any:
        worlds = list(incident.worlds.all())
        return beside(link_to(world) for world in worlds) if worlds else "the whole platform"


@admin.register(IncidentUpdate)
class IncidentUpdateAdmin(ViewOnlyAdmin):
    """All that was ever said, for search; an incident's page shows its own."""

    list_display = ("at", "incident_link", "state", "text", "by_link")
    list_filter = ("state", ("at", RangeDateTimeFilter))
    search_fields = ("text", "incident__title")
    list_select_related = ("incident", "by")
    fields = ("incident", "at", "state", "text", "by")

    @display(description="incident")
    def incident_link(self, row: IncidentUpdate) -> Any:
        return link_to(row.incident)

    @display(description="by")
    def by_link(self, row: IncidentUpdate) -> Any:
        return link_to(row.by)
