"""Pages of one's own account: where one is logged in, what we have of one, leaving."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from allauth.account.decorators import reauthentication_required
from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import leaving, sessions
from accounts.authentication import account_of
from accounts.exporting import export_of

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponseBase]


def own(view: View) -> View:
    """A page for those who are logged in, never kept by a cache."""

    @login_required
    @never_cache
    @wraps(view)
    def ours(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs)

    return ours


@require_safe
@own
def devices(request: HttpRequest) -> HttpResponse:
    """Show where the account is logged in."""
    found = sessions.devices_of(account_of(request), request.session.session_key)
    return render(request, "account/devices.html", {"devices": found, "section": "account"})


@require_POST
@own
def end_device(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one session. Raises: Http404: it is another's, or over."""
    try:
        sessions.end_session(account=account_of(request), session_id=session_id, now=timezone.now())
    except sessions.NoSuchSession as error:
        raise Http404("no such session") from error
    messages.success(request, "That device is logged out.")
    return redirect("account_devices")


@require_POST
@own
def end_devices(request: HttpRequest) -> HttpResponse:
    """End all sessions: with `here` this one, too."""
    is_everywhere = "here" in request.POST
    keep = None if is_everywhere else request.session
    sessions.end_sessions(account=account_of(request), now=timezone.now(), keep=keep)
    if is_everywhere:
        logout(request)
        messages.success(request, "You are logged out everywhere.")
        return redirect("account_login")
    messages.success(request, "All other devices are logged out.")
    return redirect("account_devices")


@require_safe
@own
def data(request: HttpRequest) -> HttpResponse:
    """Show what can be done with what we have: take it away, or have it deleted."""
    account = account_of(request)
    context = {"leaving": leaving.leaving_of(account), "section": "account"}
    return render(request, "account/data.html", context)


@require_POST
@own
@reauthentication_required
def export(request: HttpRequest) -> HttpResponseBase:
    """Hand out everything that we have of the person, as a zip."""
    account = account_of(request)
    if not ratelimit.consume(request, action="export", user=account):
        log.warning("rate_limited", action="export")
        answer = render(request, "429.html", status=429)
        answer.headers["Retry-After"] = "3600"  # the window of the limit, seconds
        return answer
    now = timezone.now()
    file = export_of(account=account, now=now)
    return FileResponse(
        file, as_attachment=True, filename=f"waystone-{now:%Y-%m-%d}.zip", content_type="application/zip"
    )


@require_http_methods(["GET", "HEAD", "POST"])
@own
def leave(request: HttpRequest) -> HttpResponse:
    """Say what deletion means; a POST asks for it, after who asks has proved again who they are."""
    if request.method == "POST":
        return _ask_to_leave(request)
    return _leave_page(request)


@reauthentication_required
def _ask_to_leave(request: HttpRequest) -> HttpResponse:
    account = account_of(request)
    if request.POST.get("sure") != "yes":
        return _leave_page(request, error="Tick the box if you are sure.")
    try:
        leaving.ask_to_leave(account=account, now=timezone.now(), keep=request.session)
    except leaving.CannotLeave as refusal:
        return _leave_page(request, error=" ".join(refusal.reasons))
    return redirect("account_leave")


def _leave_page(request: HttpRequest, error: str = "") -> HttpResponse:
    account = account_of(request)
    context = {
        "leaving": leaving.leaving_of(account),
        "reasons": leaving.reasons_to_stay(account),
        "days": leaving.GRACE.days,
        "error": error,
        "section": "account",
    }
    return render(request, "account/leave.html", context, status=400 if error else 200)


@require_POST
@own
def stay(request: HttpRequest) -> HttpResponse:
    """Take the request to be deleted back."""
    if leaving.stay(account=account_of(request), now=timezone.now()):
        messages.success(request, "Good to have you back. Nothing was deleted.")
    return redirect("account_page")
