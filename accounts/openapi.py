"""Pieces of the OpenAPI document that every app's api.py uses: the shape of errors, how callers log in."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

PROBLEM_JSON = "application/problem+json"

REASONS = {
    400: "Something in the request is not right; `errors` names the fields.",
    401: "Not logged in: no session token, or one that is over.",
    403: "Not allowed to do this: the role does not, or the API token lacks the scope.",
    404: "There is no such thing, or it is not yours.",
    405: "This address does not know this method.",
    409: "It conflicts with what is there.",
    415: "Send JSON, with Content-Type: application/json.",
    429: "Too often. `Retry-After` says in how many seconds to try again.",
    503: "Too busy at this moment. `Retry-After` says in how many seconds to try again.",
}


class ProblemSerializer(serializers.Serializer):
    """An error (RFC 9457)."""

    type = serializers.CharField(help_text="Always about:blank.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    code = serializers.CharField(help_text="What went wrong, for programs: a stable word.")
    detail = serializers.CharField(help_text="What went wrong and what to do, for people.")
    # DRF takes fields out of the class, so Serializer.errors stays what it is.
    errors = serializers.JSONField(  # type: ignore[assignment]
        required=False, help_text="Field name → list of sentences; only with status 400."
    )


def problems(*statuses: int, **reasons: str) -> dict[tuple[int, str], OpenApiResponse]:
    """Return the `responses` entries of extend_schema for error answers.

    Args: statuses: HTTP statuses with their usual reason; reasons: special ones, `_409="The name is taken."`.
    """
    texts = {status: REASONS[status] for status in statuses}
    texts.update({int(name.lstrip("_")): text for name, text in reasons.items()})
    return {
        (status, PROBLEM_JSON): OpenApiResponse(ProblemSerializer, description=text)
        for status, text in sorted(texts.items())
    }


class SessionTokenScheme(OpenApiAuthenticationExtension):
    """Both ways to send the session token; X-Session-Token is the primary one."""

    target_class = "accounts.authentication.SessionTokenAuthentication"
    name = ["sessionToken", "sessionTokenAsBearer"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-Session-Token",
                "description": "The token of POST /api/v1/sessions/.",
            },
            {
                "type": "http",
                "scheme": "bearer",
                "description": "The same token, for tools that know only this header.",
            },
        ]


class ApiTokenScheme(OpenApiAuthenticationExtension):
    """API tokens, with scopes."""

    target_class = "accounts.token_authentication.ApiTokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of your account's page, `wst_…`. It may what its scopes name; "
            "each operation says which it needs.",
        }

    def get_security_requirement(self, auto_schema: Any) -> Any:
        """Return which scope this operation needs; None: tokens cannot be used for it."""
        needed = getattr(auto_schema.view, "scopes", {}).get(auto_schema.method)
        return None if needed is None else {"apiToken": [str(needed)]}
