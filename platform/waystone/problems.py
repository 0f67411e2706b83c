"""Errors of the REST API as problem+json (RFC 9457), one shape for all endpoints."""

from rest_framework.response import Response
from rest_framework.views import exception_handler


def problem_response(error: Exception, context: dict) -> Response | None:
    """Turn an exception of a view into a problem+json answer; None lets Django make a 500 of it."""
    response = exception_handler(error, context)
    if response is None:
        return None
    detail = response.data
    problem = {
        "type": "about:blank",
        "title": response.status_text,
        "status": response.status_code,
        "code": getattr(error, "default_code", "error"),
    }
    if isinstance(detail, dict) and set(detail) == {"detail"}:
        problem["detail"] = str(detail["detail"])
        problem["code"] = getattr(detail["detail"], "code", problem["code"])
    else:
        problem["detail"] = "Some fields are not right."
        problem["errors"] = detail
    response.data = problem
    response.content_type = "application/problem+json"
    return response
