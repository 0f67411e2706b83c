"""Characters and their lines in the admin. Nothing here is changed by hand.

A line's chain is recomputed when its page is opened, so staff see at once whether its history is whole.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin_parts import (
    NOTHING,
    ViewOnlyAdmin,
    document,
    hex_text,
    link_to,
    link_to_list,
    rows_table,
    yes_no,
)
from accounts.levers import Told, lever
from characters import (  # noqa: F401  (they register their models)
    exchange_admin,
    restore_admin,
    valuable_admin,
)
from characters.budgeting import gains_of_character
from characters.history import check_history
from characters.lifting import CannotLift, NothingToDecide, dismiss_fall, lift_fork, plan_lift
from characters.models import (
    Character,
    FormerName,
    Line,
    Version,
)
from characters.provenance import HistoryRow, history_page
from characters.rollback_page import PERMISSION
from characters.version_admin import line_name

CHECKED_VERSIONS = 500  # recomputed when a line's page is opened: some 10 ms


@admin.register(FormerName)
class FormerNameAdmin(ViewOnlyAdmin):
    list_display = ("name", "character_link", "until")
    list_filter = (("until", RangeDateTimeFilter),)
    search_fields = ("name", "character__name", "character__id")
    list_select_related = ("character",)
    fields = ("name", "character", "until")

    @display(description="now called", ordering="character__name")
    def character_link(self, former: FormerName) -> SafeString | str:
        return link_to(former.character)


class InForceFilter(admin.SimpleListFilter):
    """Lines with a lease in force, lapsed, or with none."""

    title = "lease"
    parameter_name = "lease"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in-force", "in force"), ("lapsed", "lapsed, not given back"), ("none", "none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Line]) -> QuerySet[Line]:
        now = timezone.now()
        match self.value():
            case "in-force":
                return queryset.filter(holder__isnull=False, lease_until__gt=now)
            case "lapsed":
                return queryset.filter(holder__isnull=False, lease_until__lte=now)
            case "none":
                return queryset.filter(holder__isnull=True)
        return queryset


class UndecidedFilter(admin.SimpleListFilter):
    """Forks to which writes fell for the budget, until the staff has decided."""

    title = "decision"
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "falls that wait for a decision")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Line]) -> QuerySet[Line]:
        return queryset.filter(undecided_since__isnull=False) if self.value() == "waits" else queryset


@admin.register(Character)
class CharacterAdmin(ViewOnlyAdmin):
    list_display = ("name", "account_link", "line_total", "playing", "created_at", "is_deleted")
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("deleted_at", admin.EmptyFieldListFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("name", "name_key", "id", "account__email", "former_names__name")
    list_select_related = ("account",)
    fields = ("name", "name_key", "called_before", "id", "account", "created_at", "deleted_at", "all_lines")
    readonly_fields = ("called_before", "id", "all_lines")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Character]:
        in_force = Q(lines__holder__isnull=False, lines__lease_until__gt=timezone.now())
        return (
            super()
            .get_queryset(request)
            .annotate(line_count=Count("lines"), lease_count=Count("lines", filter=in_force))
        )

    @display(description="called before")
    def called_before(self, character: Character) -> str:
        return ", ".join(map(str, character.former_names.all())) or NOTHING

    @display(description="account", ordering="account__email")
    def account_link(self, character: Character) -> SafeString | str:
        return link_to(character.account)

    @display(description="lines", ordering="line_count")
    def line_total(self, character: Any) -> SafeString:
        return link_to_list(Line, character.line_count, character__id__exact=character.pk)

    @display(description="in play", ordering="lease_count", boolean=True)
    def playing(self, character: Any) -> bool:
        return character.lease_count > 0

    @display(description="deleted", boolean=True)
    def is_deleted(self, character: Character) -> bool:
        return character.deleted_at is not None

    @display(description="lines")
    def all_lines(self, character: Any) -> SafeString | str:
        lines = character.lines.select_related("world", "holder").defer("state").order_by("world_id")
        rows = (
            (link_to(line, line_name(line)), line.version, link_to(line.holder), line.lease_until or NOTHING)
            for line in lines
        )
        return rows_table(("line", "version", "holder", "lease until"), rows)


@admin.register(Line)
class LineAdmin(ViewOnlyAdmin):
    list_display = (
        "name",
        "character_link",
        "world_link",
        "version",
        "epoch",
        "lease",
        "holder_link",
        "undecided_since",
        "updated_at",
    )
    list_filter = (
        InForceFilter,
        UndecidedFilter,
        ("character", AutocompleteSelectFilter),
        ("world", AutocompleteSelectFilter),
        ("holder", AutocompleteSelectFilter),
        ("updated_at", RangeDateTimeFilter),
    )
    search_fields = ("id", "character__name", "character__account__email")
    list_select_related = ("character", "world", "holder")
    actions_detail = ("lift", "dismiss")
    fieldsets = (
        (None, {"fields": ("id", "character", "account", "world", "version", "updated_at")}),
        ("Budget", {"fields": ("undecided_since", "gained")}),
        ("Lease", {"fields": ("lease", "holder", "lease_until", "epoch", "grants", "acquire_op_id")}),
        (
            "History",
            {"fields": ("history_check", "to_main", "chain_hex", "state_hash_hex", "newest_versions")},
        ),
        ("State", {"fields": ("state_document",)}),
    )
    readonly_fields = (
        *("id", "account", "lease", "history_check", "to_main", "chain_hex", "state_hash_hex"),
        *("newest_versions", "state_document", "gained"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Line]:
        return super().get_queryset(request).defer("state")

    def has_lift_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm(PERMISSION):
            return False
        return object_id is None or Line.objects.filter(pk=object_id, world__isnull=False).exists()

    @lever(
        "Let this fork count as main",
        title="Make this fork's newest version main's?",
        text="Main gets a new version with the fork's state; 'to main' says what changes. Only if main has "
        "not moved on since the fork was begun, and nobody plays either.",
        icon="merge",
        allowed="lift",
        submit="Let it count",
        variant=ActionVariant.WARNING,
        refused=(CannotLift,),
    )
    def lift(self, fork: Line, **deed: Any) -> Told:
        made = lift_fork(fork=fork, **deed)
        return Told(f"Main is at v{made.version} now, which has what the fork had.", row=made.line)

    def has_dismiss_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm(PERMISSION):
            return False
        return object_id is None or Line.objects.filter(pk=object_id, undecided_since__isnull=False).exists()

    @lever(
        "Leave it a fork",
        title="Leave what fell for the budget on the fork?",
        text="The world plays main again from the character's next entry on. What it wrote here is kept, and "
        "counts in that world only.",
        icon="call_split",
        allowed="dismiss",
        submit="Leave it",
        refused=(NothingToDecide,),
    )
    def dismiss(self, fork: Line, **deed: Any) -> str:
        dismiss_fall(fork=fork, **deed)
        return f"{fork.world} plays main again from the next entry of {fork.character} on."

    @display(description="to main")
    def to_main(self, line: Line) -> str:
        try:
            plan = plan_lift(line, timezone.now())
        except CannotLift as error:
            return str(error)
        return "; ".join(part for part in (", ".join(plan.changes), plan.note) if part) or NOTHING

    @display(description="gained on main in a day")
    def gained(self, line: Line) -> SafeString | str:
        rows = (
            (link_to(row.world), f"{row.hour:%m-%d %H}h", row.xp, row.money, row.valuables, row.items)
            for row in gains_of_character(line.character_id, line.world_id, timezone.now())
        )
        return rows_table(("world", "hour", "experience", "money", "valuables", "items"), rows)

    @display(description="line")
    def name(self, line: Line) -> str:
        return "main" if line.world_id is None else "fork"

    @display(description="character", ordering="character__name")
    def character_link(self, line: Line) -> SafeString | str:
        return link_to(line.character)

    @display(description="fork of", ordering="world__name")
    def world_link(self, line: Line) -> SafeString | str:
        return link_to(line.world)

    @display(description="holder", ordering="holder__name")
    def holder_link(self, line: Line) -> SafeString | str:
        return link_to(line.holder)

    @display(description="account")
    def account(self, line: Line) -> SafeString | str:
        return link_to(line.character.account)

    @display(description="lease", label={"in force": "success", "lapsed": "warning"})
    def lease(self, line: Line) -> str:
        if line.holder_id is None or line.lease_until is None:
            return "none"
        return "in force" if line.lease_until > timezone.now() else "lapsed"

    @display(description="chain")
    def chain_hex(self, line: Line) -> SafeString | str:
        return hex_text(line.chain)

    @display(description="state hash")
    def state_hash_hex(self, line: Line) -> SafeString | str:
        return hex_text(line.state_hash)

    @display(description="chain recomputed")
    def history_check(self, line: Line) -> SafeString:
        check = check_history(line, limit=CHECKED_VERSIONS)
        return yes_no(not check.fault, f"whole: {check.versions} versions checked", check.fault)

    @display(description="newest versions")
    def newest_versions(self, line: Any) -> SafeString | str:
        rows = (
            (
                link_to(Version(pk=row.pk), f"v{row.version}"),
                row.kind,
                f"{row.at:%Y-%m-%d %H:%M:%S}",
                row.world_name or "the master",
                format_html('<div class="ws-wrap">{}</div>', ", ".join(_marks(row)) or NOTHING),
            )
            for row in history_page(line).rows
        )
        headers = ("version", "kind", "at", "written by", "what changed")
        everything = link_to_list(Version, "all versions", line__id__exact=line.pk)
        return format_html("{}{}", rows_table(headers, rows), everything)

    @display(description="state")
    def state_document(self, line: Line) -> SafeString | str:
        return document(line.state)


def _marks(row: HistoryRow) -> tuple[str, ...]:
    back = (f"v{row.brings_back} again",) if row.brings_back is not None else ()
    return (*back, *((row.fell,) if row.fell else ()), *row.changes)
