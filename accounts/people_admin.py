"""API tokens and accounts that are leaving, in the admin: shown, and changed by nobody here."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin_parts import ViewOnlyAdmin, link_to
from accounts.models import ApiToken, Leaving


class OfAccount:
    """Adds a column that links to the row's account."""

    @display(description="account", ordering="account__email")
    def account_link(self, row: Any) -> SafeString | str:
        return link_to(row.account)


@admin.register(ApiToken)
class ApiTokenAdmin(OfAccount, ViewOnlyAdmin):
    """Of the token itself only a digest is kept, and that is not shown either."""

    list_display = ("name", "account_link", "hint", "made_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("account", AutocompleteSelectFilter), ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "hint", "account__email")
    list_select_related = ("account",)
    fields = ("account", "name", "hint", "scopes", "made_at", "expires_at", "last_used_at", "revoked_at")


@admin.register(Leaving)
class LeavingAdmin(OfAccount, ViewOnlyAdmin):
    list_display = ("account_link", "asked_at", "due_at", "done_at")
    list_filter = (("done_at", admin.EmptyFieldListFilter), ("due_at", RangeDateTimeFilter))
    search_fields = ("account__email",)
    list_select_related = ("account",)
    fields = ("account", "asked_at", "due_at", "done_at")
