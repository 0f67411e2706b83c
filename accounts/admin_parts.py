"""Pieces of the admin for every app: links between rows, readable bytes and documents, rows nobody edits."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

import structlog
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import Account
from accounts.services import record_audit

log = structlog.get_logger(__name__)

NOTHING = "–"
# Classes of static/waystone_admin/admin.css.
_DOCUMENT, _LINK, _HEX, _TABLE = "ws-document", "ws-link", "ws-hex", "ws-table ws-stacks"


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


def links_to(rows: Collection[Model]) -> SafeString | str:
    """Return links to rows, one beneath the other."""
    if not rows:
        return NOTHING
    return format_html_join("", "<div>{}</div>", ((link_to(row),) for row in rows))


def beside(parts: Iterable[object]) -> SafeString:
    """Return texts and links beside each other."""
    return format_html_join(" · ", "{}", ((part,) for part in parts))


def hex_text(data: bytes | memoryview | None, length: int | None = None) -> SafeString | str:
    """Return bytes as hex; with a length, only so many digits, and all of them on pointing."""
    if not data:
        return NOTHING
    digits = bytes(data).hex()
    shown = digits if length is None or len(digits) <= length else f"{digits[:length]}…"
    return format_html('<span class="{}" title="{}">{}</span>', _HEX, digits, shown)


def document(data: object) -> SafeString | str:
    """Return a JSON document for reading. Bytes are parsed first; what is no JSON is shown as it is."""
    if isinstance(data, bytes | memoryview):
        raw = bytes(data)
        try:
            data = json.loads(raw)
        except ValueError:
            return format_html('<pre class="{}">{}</pre>', _DOCUMENT, raw.decode("utf-8", "backslashreplace"))
    if not data:
        return NOTHING
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return format_html('<pre class="{}">{}</pre>', _DOCUMENT, text)


def rows_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> SafeString | str:
    """Return a small table for a read-only field; a dash if it has no rows."""
    cells = [
        format_html_join("", '<td data-label="{}">{}</td>', zip(headers, row, strict=True)) for row in rows
    ]
    if not cells:
        return NOTHING
    return format_html(
        '<div class="ws-scroll"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        _TABLE,
        format_html_join("", "<th>{}</th>", ((header,) for header in headers)),
        format_html_join("", "<tr>{}</tr>", ((row,) for row in cells)),
    )


def yes_no(is_yes: bool, yes: str, no: str) -> SafeString:
    """Return a mark with words, so that colour is not the only sign."""
    sign, words, tone = ("✓", yes, "ws-good") if is_yes else ("✗", no, "ws-warn")
    return format_html('<span class="{}">{} {}</span>', tone, sign, words)


def is_row_id(model: type[Model], object_id: str) -> bool:
    """Return whether a part of an address can be the number of a row at all: else it names none."""
    try:
        model._meta.pk.to_python(object_id)
    except ValidationError:
        return False
    return True


def staff_of(request: HttpRequest) -> Account:
    """Return who uses the admin. Raises: PermissionDenied: nobody (the admin asks before it gets here)."""
    if not isinstance(request.user, Account):
        raise PermissionDenied
    return request.user


class MindsOthers(ModelAdmin):
    """Forms that somebody else was quicker than: what the database then refuses becomes a sentence."""

    races: tuple[type[Exception], ...] = (IntegrityError,)  # what `save_model` raises if somebody was quicker

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Try again after a race: the form's own checks then see what the other wrote, and say so."""
        if object_id is not None and not is_row_id(self.model, object_id):
            raise Http404
        for _ in range(2):
            try:
                return super().changeform_view(request, object_id, *args, **kwargs)
            except self.races as error:
                log.info("admin_race", path=request.path, error=type(error).__name__)
        messages.error(request, "Somebody else changed this at the same time. Nothing was saved: look again.")
        return HttpResponseRedirect(request.get_full_path())


class ViewOnlyAdmin(MindsOthers):
    """Rows that a hand edit would make untrue: shown to those who may view them, changed by nobody here."""

    show_full_result_count = False
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AuditedAdmin(MindsOthers):
    """Rows that staff may change, not delete: each change leaves an audit row in its transaction."""

    warn_unsaved_form = True
    list_filter_submit = True
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """Write what was changed and nothing else: what others changed since the page was opened stays."""
        if change:
            own = {field.name for field in obj._meta.concrete_fields}
            obj.save(update_fields=[*(own & set(form.changed_data)), *self.follows(obj, form)])
        else:
            super().save_model(request, obj, form, change)
        if form.changed_data:
            changes = {name: _plain(form, name) for name in form.changed_data}
            record_audit(
                action=f"{obj._meta.model_name}_{'changed' if change else 'added'}_by_staff",
                account=staff_of(request),
                target=self.audit_target(obj),
                before={name: before for name, (before, _) in changes.items()} if change else None,
                after={name: after for name, (_, after) in changes.items()},
                now=timezone.now(),
            )

    def follows(self, obj: Any, form: forms.ModelForm) -> tuple[str, ...]:
        """Return fields that are no part of the form and changed with it."""
        return ()

    def audit_target(self, obj: Any) -> str:
        """Return how the audit record names the row."""
        return str(obj)[:160]


def _plain(form: forms.ModelForm, name: str) -> list[str]:
    """Return [before, after] of a changed field as text."""
    texts = []
    for value in (form.initial.get(name), form.cleaned_data.get(name)):
        if isinstance(value, list | QuerySet):
            value = ", ".join(str(part) for part in value)
        texts.append(str(value))
    return texts


class ReasonForm(BaseDialogForm):
    """Asks for the reason of a deed; the audit record keeps it."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept in the audit record."
    )


def changes_table(before: Any, after: Any) -> SafeString | str:
    """Return what a deed changed: a row for each field, what it was and what it is; a dash if nothing."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return rows_table(
        ("field", "before", "after"),
        ((name.replace("_", " "), _shown(old.get(name)), _shown(new.get(name))) for name in names),
    )


def _shown(value: Any) -> object:
    if value is None or value == "":
        return NOTHING
    return document(value) if isinstance(value, dict | list) else value


def paragraph(text: str) -> SafeString:
    """Return text with its line breaks."""
    return format_html('<div class="ws-lines">{}</div>', text) if text else SafeString(NOTHING)


def dialog_done(address: str) -> HttpResponse:
    """Return the answer to a dialog that did its work: the page behind it is loaded anew."""
    response = HttpResponse()
    response["HX-Redirect"] = address
    return response
