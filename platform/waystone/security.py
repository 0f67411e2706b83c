"""The Content-Security-Policy header: what a page may load, and from where. From here, never from elsewhere.

Written by hand: Django 5.2 has none of its own, three policies need no package. A middleware (settings).
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The API browser writes style attributes; its scripts are files like ours.
API_DOCS = PAGES.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
# The admin theme is built on Alpine, which evaluates attributes of its templates. Only staff get there.
ADMIN = API_DOCS.replace("script-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'")


def policy_for(path: str) -> str:
    """Return the policy of a page by its path."""
    if path.startswith("/admin/"):
        return ADMIN
    return API_DOCS if path.startswith("/api/v1/docs/") else PAGES


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Make the middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        policy = policy_for(request.path)
        # A page whose form ends at a payment provider says so: browsers count redirects after a form, too.
        origin = getattr(response, "forms_lead_to", "")
        if origin:
            policy = policy.replace("form-action 'self'", f"form-action 'self' {origin}")
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return middleware
