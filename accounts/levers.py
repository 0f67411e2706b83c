"""A lever: a button on a row's page in the admin with which staff does one deed, after giving the reason.

The button opens a dialog; the deed is one call of a service, which leaves the audit row. Who may use it is
the admin class's to say: `has_<allowed>_permission(request, object_id)`, which also hides the button where
it would change nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal

import structlog
from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin_parts import ReasonForm, change_url, dialog_done, is_row_id, staff_of

log = structlog.get_logger(__name__)

MEANWHILE = "Somebody else changed this at the same time. Nothing was done: look at it as it is now."
SUBMITTED = "_form_submitted"  # the theme's own field in every dialog


@dataclass(frozen=True)
class Told:
    """What staff reads after a deed, and the page that is opened then. None: the same row's."""

    text: str
    tone: Literal["success", "info", "error"] = "success"
    row: Model | None = None


def _page_of(row: Model) -> str:
    """Return a row's page; of one that the deed has deleted, the list that it was in."""
    meta = row._meta
    list_name = f"admin:{meta.app_label}_{meta.model_name}_changelist"
    return change_url(row) if row.pk is not None else reverse(list_name)


# `deed(admin, row, by=…, now=…, **fields of the dialog)`: the sentence that staff reads then.
Deed = Callable[..., Told | str]


def lever(
    description: str,
    *,
    title: str,
    text: str,
    icon: str,
    allowed: str,
    submit: str = "",
    variant: ActionVariant = ActionVariant.DEFAULT,
    form_class: type[BaseDialogForm] = ReasonForm,
    refused: tuple[type[Exception], ...] = (),
) -> Callable[[Deed], Any]:
    """Make a method of an admin class a lever; name it in `actions_detail`.

    Args:
        description: of the button. submit: of the dialog's button; the same if not given.
        title, text: of the dialog.
        allowed: who may, as `has_<allowed>_permission`.
        form_class: what is asked for; its fields are given to the method.
        refused: what the method raises if it cannot be done; its text is shown, and nothing was changed.
    """
    dialog: Any = {
        "title": title,
        "description": text,
        "form_class": form_class,
        "form_submit_text": submit or description,
    }

    def made(deed: Deed) -> Any:
        @action(description=description, icon=icon, permissions=[allowed], variant=variant, dialog=dialog)
        @wraps(deed)
        def do(admin: ModelAdmin, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
            row = admin.get_object(request, object_id)
            if row is None:
                raise Http404
            asked = {name: value for name, value in form.cleaned_data.items() if name != SUBMITTED}
            try:
                done = deed(admin, row, by=staff_of(request), now=timezone.now(), **asked)
            except refused as error:
                done = Told(str(error), "error")
            except (IntegrityError, ObjectDoesNotExist) as error:
                log.info("admin_race", path=request.path, error=type(error).__name__)
                done = Told(MEANWHILE, "error")
            told = Told(done) if isinstance(done, str) else done
            messages.add_message(request, messages.DEFAULT_LEVELS[told.tone.upper()], told.text)
            return dialog_done(_page_of(told.row or row))

        # Before the theme asks who may, which looks for the row.
        @wraps(do)
        def checked(admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
            if not is_row_id(admin.model, object_id):
                raise Http404
            return do(admin, request, object_id=object_id)

        return checked

    return made
