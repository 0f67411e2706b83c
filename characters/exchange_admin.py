"""Letters and trade stops in the admin: letters to look at, stops to set and to take back with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin_parts import NOTHING, ViewOnlyAdmin, link_to, links_to, rows_table, staff_of
from accounts.levers import lever
from characters.letters import HAS_GOODS, NEVER_HAD_GOODS, goods_of
from characters.models import Letter, TradeStop, Version
from characters.trade_stops import resume_trade, stop_trade


class GoodsFilter(admin.SimpleListFilter):
    """Letters by what lies, or lay, in them."""

    title = "goods"
    parameter_name = "goods"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", "wait to be taken"), ("taken", "were taken"), ("none", "never had any")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Letter]) -> QuerySet[Letter]:
        chosen = {"waiting": HAS_GOODS, "taken": Q(taken_at__isnull=False), "none": NEVER_HAD_GOODS}
        return queryset.filter(chosen[self.value() or ""]) if self.value() in chosen else queryset


@admin.register(Letter)
class LetterAdmin(ViewOnlyAdmin):
    list_display = (
        *("subject", "sender_link", "recipient_link", "line_kind", "posted_by_link", "goods", "state"),
        "posted_at",
    )
    list_filter = (
        GoodsFilter,
        ("sender", AutocompleteSelectFilter),
        ("recipient", AutocompleteSelectFilter),
        ("posted_by", AutocompleteSelectFilter),
        ("posted_at", RangeDateTimeFilter),
    )
    search_fields = ("id", "subject", "sender__name", "recipient__name", "exchange", "taken_exchange")
    list_select_related = ("sender", "recipient", "posted_by", "world")
    fieldsets = (
        (None, {"fields": ("id", "sender", "recipient", "line_kind", "subject", "text")}),
        ("What lies or lay in it", {"fields": ("state", "money", "things", "valuables_in_it")}),
        (
            "Its way",
            {
                "fields": (
                    *("posted_by", "posted_at", "exchange", "taken_at", "taken_exchange", "returned_at"),
                    *("read_at", "discarded_at", "versions"),
                )
            },
        ),
    )
    readonly_fields = ("id", "line_kind", "state", "things", "valuables_in_it", "versions")

    @display(description="from", ordering="sender__name")
    def sender_link(self, letter: Letter) -> SafeString | str:
        return link_to(letter.sender)

    @display(description="to", ordering="recipient__name")
    def recipient_link(self, letter: Letter) -> SafeString | str:
        return link_to(letter.recipient)

    @display(description="between")
    def line_kind(self, letter: Letter) -> str:
        return "main" if letter.world is None else f"forks of {letter.world}"

    @display(description="posted in", ordering="posted_by__name")
    def posted_by_link(self, letter: Letter) -> SafeString | str:
        return link_to(letter.posted_by)

    @display(description="goods")
    def goods(self, letter: Letter) -> str:
        goods = goods_of(letter)
        things = [f"{item.count} {item.kind}" for item in goods.items]
        return ", ".join([*things, *([f"{goods.money} coins"] if goods.money else [])]) or NOTHING

    @display(description="state", label={"waits": "warning", "taken": "success", "returned": "info"})
    def state(self, letter: Letter) -> str:
        if letter.discarded_at is not None:
            return "thrown away"
        if letter.taken_at is not None:
            return "taken"
        if letter.returned_at is not None:
            return "returned"
        return "waits" if letter.money or letter.items else "words only"

    @display(description="things")
    def things(self, letter: Letter) -> SafeString | str:
        rows = ((item.kind, item.count, item.id or NOTHING) for item in goods_of(letter).items)
        return rows_table(("kind", "count", "id"), rows)

    @display(description="valuables that lie in it")
    def valuables_in_it(self, letter: Any) -> SafeString | str:
        return links_to(letter.valuables.all())

    @display(description="versions of characters")
    def versions(self, letter: Letter) -> SafeString | str:
        rows = Version.objects.filter(exchange__in=[each for each in _exchanges(letter) if each])
        rows = rows.select_related("line__character", "world").defer("state", "line__state").order_by("at")
        return rows_table(
            ("version", "character", "written by", "at"),
            (
                (link_to(row), link_to(row.line.character), link_to(row.world), f"{row.at:%Y-%m-%d %H:%M:%S}")
                for row in rows
            ),
        )


def _exchanges(letter: Letter) -> tuple[object, object]:
    return letter.exchange, letter.taken_exchange


class TradeStopForm(forms.ModelForm):
    """What is to be stopped, and why."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept in the audit record."
    )

    class Meta:
        model = TradeStop
        fields = ("world", "item_kind", "reason")


@admin.register(TradeStop)
class TradeStopAdmin(ModelAdmin):
    form = TradeStopForm
    list_display = ("__str__", "world_link", "item_kind", "reason", "by_link", "at")
    list_filter = (("world", AutocompleteSelectFilter),)
    search_fields = ("item_kind", "reason", "world__name", "world__slug")
    list_select_related = ("world", "by")
    autocomplete_fields = ("world",)
    actions_detail = ("resume",)
    fields = ("world", "item_kind", "reason")

    def get_fields(self, request: HttpRequest, obj: TradeStop | None = None) -> tuple[str, ...]:
        return self.fields if obj is None else (*self.fields, "by", "at")

    def has_change_permission(self, request: HttpRequest, obj: TradeStop | None = None) -> bool:
        return False  # it is taken back, and another one set: each with its reason

    def has_delete_permission(self, request: HttpRequest, obj: TradeStop | None = None) -> bool:
        return False  # see `resume`

    def has_resume_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("characters.delete_tradestop")

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        stop = stop_trade(by=staff_of(request), now=timezone.now(), **form.cleaned_data)
        obj.pk = stop.pk

    @lever(
        "Resume trade",
        title="Take this stop back?",
        text="Trade and mail go on there within 10 seconds. What was refused meanwhile stays refused.",
        icon="check_circle",
        allowed="resume",
        submit="Resume",
    )
    def resume(self, stop: TradeStop, **deed: Any) -> str:
        name = str(stop)
        resume_trade(stop=stop, **deed)
        return f"Trade of {name} goes on."

    @display(description="world", ordering="world__name")
    def world_link(self, stop: TradeStop) -> SafeString | str:
        return link_to(stop.world)

    @display(description="by", ordering="by__email")
    def by_link(self, stop: TradeStop) -> SafeString | str:
        return link_to(stop.by)
