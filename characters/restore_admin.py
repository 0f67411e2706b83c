"""Restores of the master in the admin: incarnations, and what worlds offered after each."""

from django.contrib import admin

from accounts.admin_parts import ViewOnlyAdmin
from characters.models import Incarnation, Reoffer, WaitingOffer


@admin.register(Incarnation)
class IncarnationAdmin(ViewOnlyAdmin):
    list_display = ("number", "began_at", "reason", "collects_since", "closed_at")
    search_fields = ("reason",)
    fields = ("number", "began_at", "reason", "collects_since", "closed_at")


@admin.register(Reoffer)
class ReofferAdmin(ViewOnlyAdmin):
    list_display = ("world", "incarnation", "replayed", "completed_at")
    list_select_related = ("world", "incarnation")
    search_fields = ("world__slug",)
    fields = ("world", "incarnation", "replayed", "completed_at")


@admin.register(WaitingOffer)
class WaitingOfferAdmin(ViewOnlyAdmin):
    list_display = ("line", "version", "world")
    list_select_related = ("world",)
    search_fields = ("line", "world__slug")
    fields = ("line", "version", "world")
