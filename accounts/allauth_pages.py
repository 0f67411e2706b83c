"""How allauth's pages become ours: one transaction each, 400 for what was refused, never kept by a cache."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views as allauth
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

View = Callable[..., Any]
FORMS = ("form", "webauthn_form")  # under these names allauth's views pass their forms


def page(view: View) -> View:
    """Wrap a view of allauth: the deed and its audit row (accounts.deeds) are written together."""

    @wraps(view)
    def ours(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            response = view(request, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        if isinstance(response, TemplateResponse):
            context = response.context_data or {}
            context.setdefault("section", "account")
            forms = [context.get(name) for name in FORMS]
            if request.method == "POST" and any(form is not None and form.errors for form in forms):
                response.status_code = 400
        return response

    return ours


def confirm_address(request: HttpRequest, key: str) -> HttpResponse:
    """allauth's page; an address that somebody else has registered meanwhile is refused, not a fault."""
    try:
        return page(allauth.confirm_email)(request, key=key)
    except IntegrityError:
        messages.error(request, "This address belongs to another account now. Yours keeps the one it has.")
        return redirect("account_page")
