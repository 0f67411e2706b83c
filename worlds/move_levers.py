"""The levers of a zone's page in the admin: have it moved, pin it to its home cluster, unpin it."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from accounts.admin_parts import ReasonForm
from accounts.levers import Told, lever
from worlds.models import Zone
from worlds.models.world import slug_validator
from worlds.moves import MoveRefused, ask_for_move, set_pin


class MoveForm(ReasonForm):
    """Where a zone goes, which copy of it, and why."""

    cluster = forms.CharField(
        max_length=24,
        validators=[slug_validator],
        widget=UnfoldAdminTextInputWidget,
        help_text="Name of the cluster that it goes to, as west.",
    )
    copy = forms.IntegerField(
        min_value=1,
        max_value=999,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Which copy: 1 is the first; a crowded zone has further ones.",
    )


class WithMoves:
    """Adds the lever of a move to a zone's page."""

    def has_move_zone_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("worlds.add_zonemove")

    @lever(
        "Move to another cluster",
        title="Move this zone to another cluster?",
        text="It goes with its creatures, its goods and everybody in it. Players stay connected.",
        icon="move_down",
        allowed="move_zone",
        form_class=MoveForm,
        refused=(MoveRefused,),
    )
    def move_zone(self, zone: Zone, **deed: Any) -> Told:
        move = ask_for_move(zone=zone, **deed)
        return Told("The world daemon moves it now. This page tells how far it is.", row=move)

    def has_pin_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may_pin(request, object_id, is_pinned=False)

    def has_unpin_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may_pin(request, object_id, is_pinned=True)

    @lever(
        "Pin",
        title="Pin this zone to its home cluster?",
        text="The planner moves it nowhere, and opens it nowhere else while that cluster runs.",
        icon="keep",
        allowed="pin",
        refused=(MoveRefused,),
    )
    def pin(self, zone: Zone, **deed: Any) -> str:
        set_pin(zone=zone, is_pinned=True, **deed)
        return "Pinned."

    @lever(
        "Unpin",
        title="Let the planner move this zone?",
        text="It moves nothing at once: its next plan may.",
        icon="keep_off",
        allowed="unpin",
        refused=(MoveRefused,),
    )
    def unpin(self, zone: Zone, **deed: Any) -> str:
        set_pin(zone=zone, is_pinned=False, **deed)
        return "Unpinned."


def _may_pin(request: HttpRequest, object_id: str | None, *, is_pinned: bool) -> bool:
    if not request.user.has_perm("worlds.change_zone"):
        return False
    return object_id is None or Zone.objects.filter(pk=object_id, is_pinned=is_pinned).exists()
