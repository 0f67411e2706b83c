"""Placement in the admin: a dry run, plans with the reason of each move, levers to approve or drop them."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin_parts import ViewOnlyAdmin, link_to, rows_table
from accounts.levers import Told, lever
from worlds import plans
from worlds.models import PlacementPlan, World
from worlds.world_admin import WORLD, OfWorld

SHOWN_MOVES = 200


@admin.register(PlacementPlan)
class PlacementPlanAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("made_at", "world_link", "state_label", "move_total", "by_link", "reason")
    list_filter = (WORLD, "state", ("made_at", RangeDateTimeFilter))
    search_fields = ("world__slug", "world__name", "reason", "moves__zone")
    list_select_related = ("world", "by")
    actions_detail = ("approve", "drop")
    fieldsets = (
        (None, {"fields": ("world", "state_label", "reason", "made_at", "by_link", "ended_at")}),
        ("What it changes", {"fields": ("comparison",)}),
        ("Moves, and why", {"fields": ("move_table",)}),
    )
    readonly_fields = ("state_label", "by_link", "comparison", "move_table")

    def has_approve_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("worlds.change_placementplan"):
            return False
        if object_id is None:
            return True
        return PlacementPlan.objects.filter(pk=object_id, state=PlacementPlan.State.PROPOSED).exists()

    @lever(
        "Carry it out",
        title="Move these zones?",
        text="Each goes with everybody in it, one after the other. Players stay connected.",
        icon="check",
        allowed="approve",
        variant=ActionVariant.PRIMARY,
        refused=(plans.PlanRefused,),
    )
    def approve(self, plan: PlacementPlan, **deed: Any) -> str:
        plans.approve(plan=plan, **deed)
        return "The world daemon moves them now. This page tells how far it is."

    @lever(
        "Put it aside",
        title="Put this plan aside?",
        text="Nothing is moved. The planner may propose it again later.",
        icon="close",
        allowed="approve",
        refused=(plans.PlanRefused,),
    )
    def drop(self, plan: PlacementPlan, **deed: Any) -> str:
        plans.drop(plan=plan, **deed)
        return "Put aside. Zones stay where they are."

    @display(
        description="state",
        label={
            "proposed": "info",
            "approved": "warning",
            "done": "success",
            "failed": "danger",
        },
    )
    def state_label(self, plan: PlacementPlan) -> str:
        return plan.state

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlacementPlan]:
        return super().get_queryset(request).annotate(move_count=Count("moves"))

    @display(description="moves", ordering="move_count")
    def move_total(self, plan: Any) -> int:
        return plan.move_count

    @display(description="by")
    def by_link(self, plan: PlacementPlan) -> SafeString | str:
        return "the planner" if plan.by is None else link_to(plan.by)

    @display(description="figures")
    def comparison(self, plan: PlacementPlan) -> SafeString | str:
        before, after = plan.figures.get("before", {}), plan.figures.get("after", {})
        rows = [
            (
                "fullest cluster in its busiest hour",
                *(f"{each.get('busiest', 0):.0%}" for each in (before, after)),
            ),
            ("unevenness (1 is even)", *(f"{each.get('imbalance', 0):.2f}" for each in (before, after))),
            ("hours a week over capacity", *(f"{each.get('overload_hours', 0)}" for each in (before, after))),
        ]
        return rows_table(("", "now", "with this plan"), rows)

    @display(description="moves")
    def move_table(self, plan: PlacementPlan) -> SafeString | str:
        rows = (
            (
                move.zone,
                move.source or "nowhere",
                move.target,
                move.state if not move.error else format_html("{}: {}", move.state, move.error),
                move.players,
                move.reason,
            )
            for move in plan.moves.order_by("id")[:SHOWN_MOVES]
        )
        return rows_table(("zone", "from", "to", "state", "players", "why"), rows)


class WithPlacement:
    """Adds the lever of a dry run to a world's page."""

    def has_plan_placement_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("worlds.change_placementplan")

    @lever(
        "Plan placement",
        title="See whether zones would be better off elsewhere?",
        text="Nothing is moved: the plan says what it would move, and why. An older proposal is put aside.",
        icon="balance",
        allowed="plan_placement",
        form_class=BaseDialogForm,
        refused=(plans.PlanRefused,),
    )
    def plan_placement(self, world: World, *, by: Any, now: Any) -> Told:
        made = plans.make_plan(world=world, now=now, by=by)
        return Told(made.reason, "info", row=made)
