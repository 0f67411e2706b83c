"""Errors as problem+json (RFC 9457) under /api/, and as pages elsewhere: one shape for all endpoints."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework.response import Response
from rest_framework.views import exception_handler

PROBLEM_JSON = "application/problem+json"


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
    response.content_type = PROBLEM_JSON
    return response


def error_answer(request: HttpRequest, status: HTTPStatus, code: str, detail: str) -> HttpResponse:
    """Answer what went wrong outside of any REST view: for programs under /api/, for people elsewhere."""
    if not request.path.startswith("/api/"):
        return render(request, f"{status}.html", status=status)
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JsonResponse(problem, status=status, content_type=PROBLEM_JSON)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refuses to read."""
    return error_answer(request, HTTPStatus.BAD_REQUEST, "bad_request", "This request cannot be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a caller who may not do this."""
    return error_answer(request, HTTPStatus.FORBIDDEN, "forbidden", "You are not allowed to do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere."""
    detail = "There is nothing at this address; see /api/v1/docs/."
    return error_answer(request, HTTPStatus.NOT_FOUND, "not_found", detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer after a fault of ours; the cause is in the log."""
    detail = "Something broke on our side, and it was logged. Try again in a moment."
    return error_answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", detail)
