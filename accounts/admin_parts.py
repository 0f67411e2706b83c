"""Pieces of the admin for every app: links between rows, readable bytes and documents, rows nobody edits."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.services import record_audit

NOTHING = "–"
_PRE = "font-mono text-xs whitespace-pre-wrap break-all max-h-[32rem] overflow-auto"
_LINK = "text-primary-600 dark:text-primary-500 hover:underline"


def change_url(row: Model) -> str:
    """Return the address of a row's page in the admin."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def link_to(row: Model | None, text: object = None) -> SafeString | str:
    """Return a link to a row's page; a dash for none."""
    if row is None:
        return NOTHING
    return format_html(
        '<a class="{}" href="{}">{}</a>', _LINK, change_url(row), row if text is None else text
    )


def link_to_list(model: type[Model], text: object, **filters: object) -> SafeString:
    """Return a link to a model's list, filtered by lookups."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a class="{}" href="{}?{}">{}</a>', _LINK, address, urlencode(filters), text)


def links_to(rows: Sequence[Model]) -> SafeString | str:
    """Return links to rows, one beneath the other."""
    if not rows:
        return NOTHING
    return format_html_join("", "<div>{}</div>", ((link_to(row),) for row in rows))


def hex_text(data: bytes | memoryview | None, length: int | None = None) -> SafeString | str:
    """Return bytes as hex; with a length, only so many digits, and all of them on pointing."""
    if not data:
        return NOTHING
    digits = bytes(data).hex()
    shown = digits if length is None or len(digits) <= length else f"{digits[:length]}…"
    return format_html('<span class="font-mono text-xs break-all" title="{}">{}</span>', digits, shown)


def document(data: object) -> SafeString | str:
    """Return a JSON document for reading. Bytes are parsed first; what is no JSON is shown as it is."""
    if isinstance(data, bytes | memoryview):
        raw = bytes(data)
        try:
            data = json.loads(raw)
        except ValueError:
            return format_html('<pre class="{}">{}</pre>', _PRE, raw.decode("utf-8", "backslashreplace"))
    if not data:
        return NOTHING
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return format_html('<pre class="{}">{}</pre>', _PRE, text)


def rows_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> SafeString | str:
    """Return a small table for a read-only field; a dash if it has no rows."""
    cells = [
        format_html_join("", '<td class="py-1 pr-6 align-top">{}</td>', ((c,) for c in row)) for row in rows
    ]
    if not cells:
        return NOTHING
    head = format_html_join("", '<th class="py-1 pr-6 font-semibold">{}</th>', ((h,) for h in headers))
    body = format_html_join(
        "", '<tr class="border-t border-base-200 dark:border-base-800">{}</tr>', ((c,) for c in cells)
    )
    return format_html(
        '<div class="overflow-x-auto"><table class="text-left text-sm"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        head,
        body,
    )


def yes_no(is_yes: bool, yes: str, no: str) -> SafeString:
    """Return a mark with words, so that colour is not the only sign."""
    colour = "text-green-700 dark:text-green-500" if is_yes else "text-red-700 dark:text-red-500"
    return format_html(
        '<span class="{} font-semibold">{} {}</span>', colour, "✓" if is_yes else "✗", yes if is_yes else no
    )


class ViewOnlyAdmin(ModelAdmin):
    """Rows that a hand edit would make untrue: shown to those who may view them, changed by nobody here."""

    show_full_result_count = False
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AuditedAdmin(ModelAdmin):
    """Rows that staff may change, not delete: each change leaves an audit row in its transaction."""

    warn_unsaved_form = True
    list_filter_submit = True
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.changed_data:
            record_audit(
                action=f"{obj._meta.model_name}_{'changed' if change else 'added'}_by_staff",
                account=request.user,
                target=self.audit_target(obj),
                detail={name: _plain(form, name) for name in form.changed_data},
                now=timezone.now(),
            )

    def audit_target(self, obj: Any) -> str:
        """Return how the audit record names the row."""
        return str(obj)[:160]


def _plain(form: forms.ModelForm, name: str) -> list[str]:
    """Return [before, after] of a changed field as text."""
    values = (form.initial.get(name), form.cleaned_data.get(name))
    return [
        ", ".join(map(str, value)) if isinstance(value, list | QuerySet) else str(value) for value in values
    ]


class ReasonForm(BaseDialogForm):
    """Asks for the reason of a deed; the audit record keeps it."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept in the audit record."
    )


def paragraph(text: str) -> SafeString:
    """Return text with its line breaks."""
    return format_html('<div class="whitespace-pre-line">{}</div>', text) if text else SafeString(NOTHING)


def dialog_done(address: str) -> HttpResponse:
    """Return the answer to a dialog that did its work: the page behind it is loaded anew."""
    response = HttpResponse()
    response["HX-Redirect"] = address
    return response
