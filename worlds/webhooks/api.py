"""REST: webhooks of a world one keeps. Translates and calls; who may: Deed.WEBHOOKS of operating/rules.py."""

from typing import TypeVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.openapi import problems
from accounts.pagination import PAGE_PARAMETERS, PageRequest, page_of, read_page
from accounts.scopes import Scope
from worlds.models import Webhook, WebhookDelivery, World
from worlds.operating.keepers import world_for
from worlds.operating.rules import Deed
from worlds.webhooks.keeping import (
    WebhookRefused,
    WebhookStopped,
    make_webhook,
    remove_webhook,
    resume,
    rotate_secret,
    secret_of,
    send_test,
    webhooks_of,
)
from worlds.webhooks.rules import EVENTS, MAX_URL, MAX_WEBHOOKS

Found = TypeVar("Found", Webhook, WebhookDelivery)

USUAL = (401, 403, 404, 429)
NO_STORE = {"Cache-Control": "no-store"}


class TestOnItsWay(APIException):
    """A test was sent and has not arrived yet."""

    status_code = 409
    default_code = "test_waiting"


class Stopped(APIException):
    """Nothing is sent to a webhook that is stopped, no test either."""

    status_code = 409
    default_code = "webhook_stopped"


class WebhookSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=list(EVENTS)))
    is_on = serializers.BooleanField(help_text="false: it took nothing for a day and a half, or is gone.")
    stopped_because = serializers.CharField(allow_blank=True)
    made_at = serializers.DateTimeField()
    old_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the secrets before sign, too."
    )


class SecretWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Signs what is sent. It is shown only now.")


class WebhooksSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    page = serializers.IntegerField(help_text=f"Always 1: there are at most {MAX_WEBHOOKS}.")
    page_size = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = WebhookSerializer(many=True)


class NewWebhookSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=MAX_URL, help_text="Begins with https://.")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=list(EVENTS)), allow_empty=False, max_length=len(EVENTS)
    )


class DeliverySerializer(serializers.Serializer):
    id = serializers.UUIDField(help_text="Sent as webhook-id, the same at each attempt.")
    event = serializers.CharField()
    state = serializers.ChoiceField(choices=WebhookDelivery.State.values)
    made_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status of the last answer.")
    error = serializers.CharField(allow_blank=True)
    next_at = serializers.DateTimeField(allow_null=True, help_text="Of the next attempt.")
    ended_at = serializers.DateTimeField(allow_null=True)


class DeliveriesSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    page = serializers.IntegerField()
    page_size = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = DeliverySerializer(many=True)


def webhook_values(webhook: Webhook) -> dict[str, object]:
    """Return the values of WebhookSerializer."""
    names = ("url", "events", "is_on", "stopped_because", "made_at", "old_secret_until")
    return {"id": webhook.pk, **{name: getattr(webhook, name) for name in names}}


def delivery_values(delivery: WebhookDelivery) -> dict[str, object]:
    """Return the values of DeliverySerializer."""
    names = ("event", "state", "made_at", "attempts", "status", "error", "next_at", "ended_at")
    return {"id": delivery.pk, **{name: getattr(delivery, name) for name in names}}


def _world(request: Request, slug: str) -> World:
    return world_for(account_of(request), slug, Deed.WEBHOOKS).world


def _with_secret(webhook: Webhook, status: int) -> Response:
    values = {**webhook_values(webhook), "secret": secret_of(webhook)}
    return Response(SecretWebhookSerializer(values).data, status=status, headers=NO_STORE)


def _found(found: Found | None) -> Found:
    if found is None:
        raise NotFound("This world has no such webhook.")
    return found


class WebhooksView(APIView):
    """A world's webhooks."""

    permission_classes = [IsAuthenticated]
    scopes = {"GET": Scope.WORLDS_READ, "POST": Scope.WORLDS_WRITE}

    @extend_schema(
        operation_id="webhooks_list",
        tags=["webhooks"],
        responses={200: WebhooksSerializer, **problems(*USUAL)},
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the webhooks of a world that I keep, oldest first."""
        rows = [webhook_values(webhook) for webhook in webhooks_of(_world(request, slug))]
        page = page_of(PageRequest(1, MAX_WEBHOOKS), len(rows), rows, request.path, {})
        return Response(WebhooksSerializer(page).data)

    @extend_schema(
        operation_id="webhooks_create",
        tags=["webhooks"],
        request=NewWebhookSerializer,
        responses={
            201: OpenApiResponse(SecretWebhookSerializer, description="Keep `secret`: it is shown only now."),
            **problems(400, *USUAL, 415),
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a webhook: an address that is told of events of this world."""
        world = _world(request, slug)
        wanted = NewWebhookSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            made = make_webhook(
                world=world, by=account_of(request), now=timezone.now(), **wanted.validated_data
            )
        except WebhookRefused as error:
            raise ValidationError(
                {key or "non_field_errors": texts for key, texts in error.errors.items()}
            ) from error
        return _with_secret(made, 201)


class WebhookView(APIView):
    """One webhook."""

    permission_classes = [IsAuthenticated]
    scopes = {"GET": Scope.WORLDS_READ, "DELETE": Scope.WORLDS_WRITE}

    @extend_schema(
        operation_id="webhooks_retrieve",
        tags=["webhooks"],
        responses={200: WebhookSerializer, **problems(*USUAL)},
    )
    def get(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Look at one webhook."""
        webhook = _found(webhooks_of(_world(request, slug)).filter(pk=webhook_id).first())
        return Response(WebhookSerializer(webhook_values(webhook)).data)

    @extend_schema(
        operation_id="webhooks_destroy",
        tags=["webhooks"],
        request=None,
        responses={204: OpenApiResponse(description="Removed, with its log."), **problems(*USUAL)},
    )
    def delete(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Remove a webhook."""
        world, account = _world(request, slug), account_of(request)
        if not remove_webhook(world=world, webhook=webhook_id, by=account, now=timezone.now()):
            raise NotFound("This world has no such webhook.")
        return Response(status=204)


class WebhookTestView(APIView):
    """Try a webhook."""

    permission_classes = [IsAuthenticated]
    scopes = {"POST": Scope.WORLDS_WRITE}

    @extend_schema(
        operation_id="webhooks_test",
        tags=["webhooks"],
        request=None,
        responses={
            202: OpenApiResponse(DeliverySerializer, description="On its way; see the deliveries."),
            **problems(*USUAL, _409="A test is on its way already, or the webhook is stopped."),
        },
    )
    def post(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Send the event `test`, within seconds."""
        world, account = _world(request, slug), account_of(request)
        try:
            sent = send_test(world=world, webhook=webhook_id, by=account, now=timezone.now())
        except WebhookStopped as error:
            raise Stopped(str(error)) from error
        except WebhookRefused as error:
            raise TestOnItsWay(str(error)) from error
        return Response(DeliverySerializer(delivery_values(_found(sent))).data, status=202)


class WebhookSecretView(APIView):
    """A webhook's secret."""

    permission_classes = [IsAuthenticated]
    scopes = {"POST": Scope.WORLDS_WRITE}

    @extend_schema(
        operation_id="webhooks_rotate",
        tags=["webhooks"],
        request=None,
        responses={
            200: OpenApiResponse(SecretWebhookSerializer, description="Keep `secret`: it is shown only now."),
            **problems(*USUAL),
        },
    )
    def post(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Give a webhook a new secret. For 24 hours what is sent is signed with those before, too."""
        world, account = _world(request, slug), account_of(request)
        rotated = rotate_secret(world=world, webhook=webhook_id, by=account, now=timezone.now())
        return _with_secret(_found(rotated), 200)


class WebhookResumeView(APIView):
    """A webhook that was stopped."""

    permission_classes = [IsAuthenticated]
    scopes = {"POST": Scope.WORLDS_WRITE}

    @extend_schema(
        operation_id="webhooks_resume",
        tags=["webhooks"],
        request=None,
        responses={200: WebhookSerializer, **problems(*USUAL)},
    )
    def post(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Switch a webhook on again that was stopped because it took nothing."""
        world, account = _world(request, slug), account_of(request)
        resumed = _found(resume(world=world, webhook=webhook_id, by=account, now=timezone.now()))
        return Response(WebhookSerializer(webhook_values(resumed)).data)


class DeliveriesView(APIView):
    """What was sent to a webhook."""

    permission_classes = [IsAuthenticated]
    scopes = {"GET": Scope.WORLDS_READ}

    @extend_schema(
        operation_id="webhook_deliveries_list",
        tags=["webhooks"],
        parameters=[
            OpenApiParameter("state", str, enum=WebhookDelivery.State.values, description="Only these."),
            *PAGE_PARAMETERS,
        ],
        responses={200: DeliveriesSerializer, **problems(400, *USUAL)},
    )
    def get(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """List what was sent to a webhook in the last 30 days, newest first."""
        world = _world(request, slug)
        webhook = _found(webhooks_of(world).filter(pk=webhook_id).first())
        parameters = request.query_params.dict()
        page = read_page(parameters)
        rows = WebhookDelivery.objects.filter(webhook=webhook).order_by("-made_at", "pk")
        if state := _read_state(parameters):
            rows = rows.filter(state=state)
        results = [delivery_values(delivery) for delivery in rows[page.rows]]
        body = page_of(page, rows.count(), results, request.path, parameters)
        return Response(DeliveriesSerializer(body).data)


def _read_state(parameters: dict[str, str]) -> str:
    """Read the filter. Raises: ValidationError: an unknown name, or a value that cannot be."""
    known = ("page", "page_size", "state")
    errors = {
        name[:40]: [f"Unknown parameter; known are {', '.join(known)}."]
        for name in parameters
        if name not in known
    }
    state = parameters.get("state", "")
    if state and state not in WebhookDelivery.State.values:
        errors["state"] = [f"Use one of {', '.join(WebhookDelivery.State.values)}."]
    if errors:
        raise ValidationError(errors)
    return state
