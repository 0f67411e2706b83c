"""Restarts in the admin: the policy of each world, what is planned, and what was done step by step.

A restart is changed by levers alone, each with a reason. A policy that can never fire is refused with why.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
)

from accounts.admin_parts import (
    NOTHING,
    AuditedAdmin,
    ReasonForm,
    ViewOnlyAdmin,
    link_to,
    rows_table,
    staff_of,
)
from accounts.levers import lever
from worlds.models import Restart, RestartPolicy
from worlds.restart_rules import SLOTS, SLOTS_NEEDED, NeverDue
from worlds.restart_steps import Step, steps_of
from worlds.restarts import (
    OPEN_STATES,
    RestartRefused,
    cancel_restart,
    change_policy,
    due_by_policy,
    plan_fault,
    plan_restart,
    policy_fault,
    postpone_restart,
    profile_of,
    restart_now,
)
from worlds.world_admin import OfWorld

WORLD = ("world", AutocompleteSelectFilter)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
QUIETEST_SHOWN = 5


class PolicyForm(forms.ModelForm):
    """A restart policy: weekdays as names, blackout days one a line."""

    days = forms.TypedMultipleChoiceField(
        choices=list(enumerate(DAYS)),
        coerce=int,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text="On which local days of the week.",
    )
    blackout = forms.CharField(
        required=False,
        max_length=8000,
        label="Blackout days",
        widget=UnfoldAdminTextareaWidget,
        help_text="Local dates without a restart, one a line, as 2026-12-24.",
    )

    class Meta:
        model = RestartPolicy
        fields = ("world", "when", "kind", "at", "time_zone", "min_uptime_h")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        weekdays = self.instance.weekdays
        self.initial["days"] = [number for number in range(7) if weekdays >> number & 1]
        days = self.instance.blackout_days
        self.initial["blackout"] = "\n".join(map(str, days)) if isinstance(days, list) else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.instance.weekdays = sum(1 << number for number in set(cleaned.get("days") or []))
        self.instance.blackout_days = sorted(set(cleaned.get("blackout", "").split()))
        return cleaned

    def _post_clean(self) -> None:
        """Check the whole policy, once the row has its values."""
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which the stubs leave out
        if not self.errors and (fault := policy_fault(self.instance, timezone.now())):
            self.add_error(None, ValidationError(fault))


@admin.register(RestartPolicy)
class RestartPolicyAdmin(OfWorld, AuditedAdmin):
    form = PolicyForm
    list_display = ("world_link", "when", "kind", "at", "time_zone", "open_due")
    list_filter = (WORLD, "when", "kind")
    search_fields = ("world__slug", "world__name")
    list_select_related = ("world",)
    autocomplete_fields = ("world",)
    settings_fields = ("when", "kind", "at", "time_zone", "days", "min_uptime_h", "blackout")
    fieldsets = (
        (None, {"fields": ("world", *settings_fields)}),
        ("What comes of it", {"fields": ("next_due", "learned", "updated_at")}),
    )
    add_fieldsets = ((None, {"fields": ("world", *settings_fields)}),)

    def get_readonly_fields(self, request: HttpRequest, obj: RestartPolicy | None = None) -> tuple[str, ...]:
        return () if obj is None else ("world", "next_due", "learned", "updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RestartPolicy]:
        restarts = Restart.objects.filter(world=OuterRef("world"), state__in=OPEN_STATES)  # one at most
        return super().get_queryset(request).annotate(open_due_at=Subquery(restarts.values("due_at")[:1]))

    def audit_target(self, obj: RestartPolicy) -> str:
        return obj.world.slug

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        change_policy(row=obj, now=timezone.now())

    @display(description="planned", ordering="open_due_at")
    def open_due(self, policy: Any) -> str:
        """Tell what is planned. Reckoning a policy's next one reads weeks of figures: its own page does."""
        due_at = policy.open_due_at
        return f"{due_at:%Y-%m-%d %H:%M} UTC" if due_at is not None else NOTHING

    @display(description="next, by the policy")
    def next_due(self, policy: RestartPolicy) -> str:
        try:
            due = due_by_policy(policy, timezone.now())
        except NeverDue as error:
            return str(error)
        return f"{due.at:%Y-%m-%d %H:%M} UTC ({due.why})"

    @display(description="quietest hours of the week")
    def learned(self, policy: RestartPolicy) -> SafeString | str:
        try:
            profile = profile_of(policy.world, policy.time_zone, timezone.now())
        except NeverDue as error:
            return str(error)
        hours = [(profile.expected(n // 24, n % 24), DAYS[n // 24], n % 24) for n in range(SLOTS)]
        known = sorted((players, day, hour) for players, day, hour in hours if players is not None)
        if not known:
            return f"Nothing is known yet; {SLOTS_NEEDED} of {SLOTS} hours of the week are needed."
        rows = ((f"{day} {hour:02}:00", f"{players:.1f}") for players, day, hour in known[:QUIETEST_SHOWN])
        table = rows_table((f"{policy.time_zone}; {profile.known} of {SLOTS} known", "players"), rows)
        return table


class RestartForm(forms.ModelForm):
    """A restart planned by hand."""

    class Meta:
        model = Restart
        fields = ("world", "kind", "due_at", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        world, due_at = cleaned.get("world"), cleaned.get("due_at")
        if world and due_at and (fault := plan_fault(world, due_at, timezone.now())):
            raise ValidationError(fault)
        return cleaned


class PostponeForm(ReasonForm):
    """How long a restart is put off, and why."""

    minutes = forms.IntegerField(
        min_value=1, max_value=7 * 24 * 60, initial=30, widget=UnfoldAdminIntegerFieldWidget
    )


@admin.register(Restart)
class RestartAdmin(OfWorld, ViewOnlyAdmin):
    form = RestartForm
    list_display = ("due_at", "world_link", "kind", "state_label", "reason", "by_link", "took")
    list_filter = (WORLD, "state", "kind", ("due_at", RangeDateTimeFilter))
    search_fields = ("world__slug", "world__name", "reason", "error")
    list_select_related = ("world", "by")
    autocomplete_fields = ("world",)
    actions_detail = ("postpone", "now", "cancel")
    shown_fields = (
        *("world", "kind", "state_label", "due_at", "reason", "by", "made_at", "started_at", "ended_at"),
        *("took", "error", "history"),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("worlds.add_restart")

    def get_fields(self, request: HttpRequest, obj: Restart | None = None) -> tuple[str, ...]:
        return ("world", "kind", "due_at", "reason") if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Restart | None = None) -> tuple[str, ...]:
        return () if obj is None else self.shown_fields

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        try:
            row = plan_restart(**form.cleaned_data, by=staff_of(request), now=timezone.now())
        except RestartRefused as error:  # somebody else was quicker, since the form was checked
            raise ValidationError(str(error)) from error
        obj.pk = row.pk

    def has_change_plan_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Offer the levers while the restart has not begun."""
        if not request.user.has_perm("worlds.change_restart"):
            return False
        if object_id is None:
            return True
        return Restart.objects.filter(pk=object_id, state=Restart.State.PLANNED).exists()

    @lever(
        "Postpone",
        title="Put this restart off?",
        text="Players who have been told of it are told the new time.",
        icon="schedule",
        allowed="change_plan",
        form_class=PostponeForm,
        refused=(RestartRefused,),
    )
    def postpone(self, restart: Restart, **deed: Any) -> str:
        row = postpone_restart(restart=restart, **deed)
        return f"The restart is due at {row.due_at:%Y-%m-%d %H:%M} UTC now."

    @lever(
        "Restart now",
        title="Restart now?",
        text="A rolling restart begins at once. A full one begins in a minute: players are told, and nobody "
        "is let in meanwhile.",
        icon="restart_alt",
        allowed="change_plan",
        variant=ActionVariant.WARNING,
        refused=(RestartRefused,),
    )
    def now(self, restart: Restart, **deed: Any) -> str:
        row = restart_now(restart=restart, **deed)
        return f"The restart is due at {row.due_at:%Y-%m-%d %H:%M:%S} UTC."

    @lever(
        "Call off",
        title="Call this restart off?",
        text="Players who have been told of it are told so. The policy plans the next one, for a later day.",
        icon="event_busy",
        allowed="change_plan",
        variant=ActionVariant.DANGER,
        refused=(RestartRefused,),
    )
    def cancel(self, restart: Restart, **deed: Any) -> str:
        cancel_restart(restart=restart, **deed)
        return "The restart is called off."

    @display(
        description="state",
        ordering="state",
        label={"planned": "info", "running": "warning", "done": "success", "failed": "danger"},
    )
    def state_label(self, restart: Restart) -> str:
        return restart.state

    @display(description="by", ordering="by__email")
    def by_link(self, restart: Restart) -> SafeString | str:
        return link_to(restart.by) if restart.by is not None else "its policy"

    @display(description="took")
    def took(self, restart: Restart) -> str:
        if restart.started_at is None or restart.ended_at is None:
            return NOTHING
        return f"{(restart.ended_at - restart.started_at).total_seconds():.0f} s"

    @display(description="history")
    def history(self, restart: Restart) -> SafeString | str:
        try:
            steps = steps_of(restart.steps)
        except ValueError as error:
            return str(error)
        rows = ((f"{step.at:%Y-%m-%d %H:%M:%S}", step.what, _words(step)) for step in steps)
        return rows_table(("when, UTC", "what", ""), rows)


def _words(step: Step) -> str:
    parts = [step.name, f"{step.minutes} min before" if step.minutes else "", step.text, step.by]
    if step.due is not None and step.what != "notice":
        parts.insert(0, f"for {step.due:%Y-%m-%d %H:%M} UTC")
    return ", ".join(part for part in parts if part)
