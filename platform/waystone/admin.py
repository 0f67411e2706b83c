"""The admin of what is not ours: e-mail addresses, sessions, groups, Celery's schedules, in the theme."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_beat import admin as beat_admin
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin_parts import AuditedAdmin, ViewOnlyAdmin, link_to
from accounts.levers import lever
from accounts.models import Account
from accounts.services import record_audit
from waystone.backup_admin import BackupAdmin

__all__ = ["BackupAdmin"]

for model in (
    *(Group, EmailAddress, UserSession, Authenticator),
    *(PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule),
):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Groups give staff their rights: only superusers change them, or staff could promote themselves."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser


@admin.register(EmailAddress)
class EmailAddressAdmin(ViewOnlyAdmin):
    list_display = ("email", "account_link", "primary", "verified")
    list_filter = ("primary", "verified", ("user", AutocompleteSelectFilter))
    search_fields = ("email", "user__email")
    list_select_related = ("user",)
    fields = ("email", "user", "primary", "verified")

    @display(description="account", ordering="user__email")
    def account_link(self, address: EmailAddress) -> SafeString | str:
        return link_to(address.user)


@admin.register(UserSession)
class UserSessionAdmin(ViewOnlyAdmin):
    """Where accounts are logged in. The session key is a credential and is never shown."""

    list_display = ("account_link", "ip", "client", "created_at", "last_seen_at")
    list_filter = (("user", AutocompleteSelectFilter), ("last_seen_at", RangeDateTimeFilter))
    search_fields = ("user__email", "ip", "user_agent")
    list_select_related = ("user",)
    fields = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    actions_detail = ("end",)

    @display(description="account", ordering="user__email")
    def account_link(self, session: UserSession) -> SafeString | str:
        return link_to(session.user)

    @display(description="client")
    def client(self, session: UserSession) -> str:
        return session.user_agent[:60]

    def has_end_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """As the levers of accounts: on staff only superusers have it."""
        if not request.user.has_perm("usersessions.delete_usersession"):
            return False
        if object_id is None or request.user.is_superuser:
            return True
        players = UserSession.objects.filter(user__is_staff=False, user__is_superuser=False)
        return players.filter(pk=object_id).exists()

    @lever(
        "End session",
        title="End this session?",
        text="Whoever uses it has to log in again.",
        icon="logout",
        allowed="end",
        variant=ActionVariant.DANGER,
        form_class=BaseDialogForm,
    )
    def end(self, session: UserSession, by: Account, now: datetime) -> str:
        with transaction.atomic():
            record_audit(action="session_ended_by_staff", account=by, target=str(session.user.uid), now=now)
            session.end()
        return "The session is over."


@admin.register(Authenticator)
class AuthenticatorAdmin(ViewOnlyAdmin):
    """Which second factors there are. Their secrets are never shown, not even encrypted."""

    list_display = ("account_link", "type", "created_at", "last_used_at")
    list_filter = (("user", AutocompleteSelectFilter), "type")
    search_fields = ("user__email",)
    list_select_related = ("user",)
    fields = ("user", "type", "created_at", "last_used_at")

    @display(description="account", ordering="user__email")
    def account_link(self, factor: Authenticator) -> SafeString | str:
        return link_to(factor.user)


class TaskSelect(UnfoldAdminSelectWidget, beat_admin.TaskSelectWidget):
    """The choice of registered tasks, in the theme."""


class PeriodicTaskForm(beat_admin.PeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelect()


class SuperusersOnly(ModelAdmin):
    """Schedules run code with arguments of the caller's choice: superusers only."""

    list_filter_submit = True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(SuperusersOnly, beat_admin.PeriodicTaskAdmin):
    form = PeriodicTaskForm
    list_display = ("name", "task", "schedule_text", "enabled", "last_run_at", "total_run_count")

    @display(description="schedule")
    def schedule_text(self, task: PeriodicTask) -> str:
        return str(task.interval or task.crontab or task.solar or task.clocked or "none")

    def crontab_translation(self, task: PeriodicTask) -> str:
        return task.crontab.human_readable if task.crontab else "no crontab"


class PeriodicTaskInline(beat_admin.PeriodicTaskInline, TabularInline):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule)
class ScheduleAdmin(SuperusersOnly):
    inlines = (PeriodicTaskInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).order_by("pk")
