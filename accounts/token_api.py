"""REST: one's API tokens. By a session only: a token cannot make tokens."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_tokens import TokenRefused, make_token, revoke_token, tokens_of
from accounts.authentication import account_of
from accounts.freshness import require_fresh_proof
from accounts.models import ApiToken
from accounts.openapi import problems
from accounts.pagination import PageRequest, page_of
from accounts.scopes import LIFETIMES, MAX_TOKENS, Scope

SCOPES = [scope.value for scope in Scope]


class TokenSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    hint = serializers.CharField(help_text="How the key begins.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To a minute.")


class TokensSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    page = serializers.IntegerField(help_text="Always 1: there are at most 20.")
    page_size = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TokenSerializer(many=True)


class NewTokenSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=60, help_text="Which program it is for.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=SCOPES), allow_empty=False, max_length=len(SCOPES)
    )
    days = serializers.ChoiceField(choices=list(LIFETIMES), default=90, help_text="How long it lives.")


class MadeTokenSerializer(TokenSerializer):
    key = serializers.CharField(help_text="Send it as Authorization: Bearer. It is never shown again.")


def token_values(token: ApiToken) -> dict[str, object]:
    """Return the values of TokenSerializer."""
    names = ("name", "hint", "scopes", "made_at", "expires_at", "last_used_at")
    return {"id": token.pk, **{name: getattr(token, name) for name in names}}


class TokensView(APIView):
    """One's tokens."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="tokens_list",
        tags=["tokens"],
        responses={200: TokensSerializer, **problems(401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """List my API tokens in force, newest first."""
        rows = [token_values(token) for token in tokens_of(account_of(request), timezone.now())]
        page = page_of(PageRequest(1, MAX_TOKENS), len(rows), rows, request.path, {})
        return Response(TokensSerializer(page).data)

    @extend_schema(
        operation_id="tokens_create",
        tags=["tokens"],
        request=NewTokenSerializer,
        responses={
            201: OpenApiResponse(MadeTokenSerializer, description="Keep `key`: it is shown only now."),
            **problems(
                400, 401, 415, 429, _403="`log_in_again`: the log-in of this session is too long ago."
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Make an API token. Only with a session whose log-in is less than five minutes old."""
        account = account_of(request)
        require_fresh_proof(request)
        wanted = NewTokenSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            made = make_token(account=account, by=account, now=timezone.now(), **wanted.validated_data)
        except TokenRefused as error:
            errors = {field or "non_field_errors": texts for field, texts in error.errors.items()}
            raise ValidationError(errors) from error
        values = {**token_values(made.token), "key": made.key}
        return Response(MadeTokenSerializer(values).data, status=201, headers={"Cache-Control": "no-store"})


class TokenView(APIView):
    """One of one's tokens."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="tokens_destroy",
        tags=["tokens"],
        request=None,
        responses={
            204: OpenApiResponse(description="Revoked, from its next request on."),
            **problems(401, 403, 404, 429),
        },
    )
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke one of my API tokens."""
        account = account_of(request)
        if token_id > 2**63 - 1 or not revoke_token(
            account=account, token=token_id, by=account, now=timezone.now()
        ):
            raise NotFound("You have no such token in force.")
        return Response(status=204)
