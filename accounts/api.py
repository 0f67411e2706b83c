"""REST: register, log in, log out, who am I. Translates and calls; the work is in services and allauth."""

import structlog
from allauth.account.adapter import get_adapter
from allauth.account.signals import user_logged_in
from allauth.core import ratelimit
from allauth.mfa.models import Authenticator
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError as InvalidCredentials
from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied, Throttled, ValidationError
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors, services
from accounts.authentication import CHALLENGE, account_of
from accounts.models import Account
from accounts.openapi import problems
from accounts.rules import LIMITS, Edition
from accounts.scopes import Scope
from accounts.second_factor import checked_factor, note_authentication
from accounts.session_store import SessionStore

log = structlog.get_logger(__name__)

MINUTE = 60  # seconds: the window of allauth's limits on registering and logging in per address
LOCKED_WAIT = 300  # seconds: the window of its limit on failed log-ins per e-mail


class WrongCredentials(APIException):
    """The address has no account, or another password: which of the two is nobody's business."""

    status_code = 401
    auth_header = CHALLENGE  # DRF answers it as WWW-Authenticate
    default_code = "wrong_credentials"
    default_detail = (
        "That e-mail address and password do not belong together. "
        "Check both, or set a new password on the website."
    )


class CredentialsSerializer(serializers.Serializer):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})


class LogInSerializer(CredentialsSerializer):
    code = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=40,
        help_text="Of the second step, if the account has one: from the app, or a recovery code.",
    )


class RegistrationSerializer(CredentialsSerializer):
    """What a person registers with."""


class RegistrationAnswerSerializer(serializers.Serializer):
    email = serializers.EmailField()
    detail = serializers.CharField(help_text="What happens next, for people.")


class LimitsSerializer(serializers.Serializer):
    character_slots = serializers.IntegerField()
    level_cap = serializers.IntegerField(allow_null=True, help_text="null: no cap")
    may_enter_premium_worlds = serializers.BooleanField()
    may_enter_premium_zones = serializers.BooleanField(help_text="Zones of any world that ask for Premium.")
    queue_place = serializers.IntegerField(help_text="Of a full world: lower ones are let in first.")


class MeSerializer(serializers.Serializer):
    uid = serializers.UUIDField()
    email = serializers.EmailField()
    is_email_confirmed = serializers.BooleanField()
    edition = serializers.ChoiceField(choices=[edition.value for edition in Edition])
    limits = LimitsSerializer()
    banned_until = serializers.DateTimeField(
        allow_null=True, help_text="No ticket is issued before this instant."
    )


class SessionAnswerSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Send it as X-Session-Token. Keep it like a password.")
    expires_at = serializers.DateTimeField()
    account = MeSerializer()


def me_of(account: Account) -> dict[str, object]:
    """Return the values of MeSerializer."""
    edition = selectors.edition_of(account, timezone.now())
    return {
        "uid": account.uid,
        "email": account.email,
        "is_email_confirmed": selectors.is_email_confirmed(account),
        "edition": edition.value,
        "limits": LIMITS[edition],
        "banned_until": account.banned_until,
    }


class AccountsView(APIView):
    """Registration."""

    authentication_classes: list[type] = []  # nobody yet; an old token in the header does not matter
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="register",
        tags=["accounts"],
        request=RegistrationSerializer,
        responses={
            202: OpenApiResponse(RegistrationAnswerSerializer, description="Taken in. Log in next."),
            **problems(400, 415, 429, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Register a person.

        The answer is the same whether or not the address has an account already: only its owner learns that,
        by a letter. A new account can log in at once.
        """
        limit_rate(request, "signup", "Too many registrations from your network. Try again in a minute.")
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        email = serializer.validated_data["email"].strip().lower()
        try:
            services.register_account(
                email=email, password=serializer.validated_data["password"], now=timezone.now()
            )
        except services.RegistrationRefused as refusal:
            raise ValidationError(refusal.errors) from refusal
        detail = (
            "You can log in now. "
            "If the address had an account before, it is as it was, and its owner has a letter."
        )
        return Response(RegistrationAnswerSerializer({"email": email, "detail": detail}).data, status=202)


class SessionsView(APIView):
    """Log-in."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="log_in",
        tags=["sessions"],
        request=LogInSerializer,
        responses={
            201: SessionAnswerSerializer,
            **problems(
                400,
                415,
                429,
                503,
                _401="`wrong_credentials`: address and password do not belong together. "
                "`code_needed`: they do, and there is a second step; send it again with `code`. "
                "`wrong_code`: that code is not right.",
                _403="`account_closed`: the password is right, but the account was closed.",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Log in: get a session token for the other endpoints."""
        limit_rate(request, "login", "Too many log-ins from your network. Try again in a minute.")
        serializer = LogInSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        sent = serializer.validated_data
        account = check_credentials(request, email=sent["email"], password=sent["password"])
        session = open_session(request._request, account, checked_factor(account, sent["code"]))
        answer = {
            "token": session.session_key,
            "expires_at": session.get_expiry_date(),
            "account": me_of(account),
        }
        return Response(
            SessionAnswerSerializer(answer).data, status=201, headers={"Cache-Control": "no-store"}
        )


class CurrentSessionView(APIView):
    """Log-out."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="log_out",
        tags=["sessions"],
        request=None,
        responses={
            204: OpenApiResponse(description="Logged out; the token is worthless now."),
            **problems(401),
        },
    )
    def delete(self, request: Request) -> Response:
        """Log out: end the session whose token was sent."""
        session = request.auth if isinstance(request.auth, SessionBase) else request.session
        session.flush()
        return Response(status=204)


class MeView(APIView):
    """Who am I."""

    permission_classes = [IsAuthenticated]
    scopes = {"GET": Scope.ACCOUNT_READ}

    @extend_schema(
        operation_id="me", tags=["accounts"], responses={200: MeSerializer, **problems(401, 403, 429)}
    )
    def get(self, request: Request) -> Response:
        """Say whose session this is, and what its edition allows."""
        return Response(MeSerializer(me_of(account_of(request))).data)


def limit_rate(request: Request, action: str, advice: str) -> None:
    """Count one call against allauth's limit for the caller's address.

    Raises: Throttled
    """
    if not ratelimit.consume(request._request, action=action):
        log.warning("rate_limited", action=action)
        raise Throttled(wait=MINUTE, detail=advice)


def check_credentials(request: Request, *, email: str, password: str) -> Account:
    """Return the account that an address and a password belong to.

    Raises: WrongCredentials, PermissionDenied (closed account), Throttled, PasswordCheckBusy.
    """
    try:
        account = get_adapter().authenticate(request._request, email=email.lower(), password=password)
    except InvalidCredentials as error:  # allauth's word for: this address has failed too often lately
        log.warning("log_in_refused", cause="too_many_attempts")
        raise Throttled(
            wait=LOCKED_WAIT,
            detail="Too many failed log-ins. Wait five minutes, or set a new password on the website.",
        ) from error
    if account is None:
        log.info("log_in_refused", cause="wrong_credentials")
        raise WrongCredentials
    if not account.is_active:
        log.info("log_in_refused", cause="account_closed", account=str(account.uid))
        raise PermissionDenied(
            "This account was closed. Write to the staff if that is a mistake.", code="account_closed"
        )
    return account


def open_session(request: HttpRequest, account: Account, factor: Authenticator | None = None) -> SessionBase:
    """Return a new server-side session of the account, apart from any session the caller's cookies name.

    Logging in works on the request's session, so the new one stands in for it while it is made; then
    the request is as before, and no cookie is set.
    """
    cookie_session, cookie_user = request.session, request.user
    request.session = SessionStore()
    try:
        get_adapter().login(request, account)
        note_authentication(request, account, factor)
        user_logged_in.send(sender=Account, request=request, user=account)  # for the list of devices
        services.end_oldest_sessions(account=account)
        request.session.save()
        return request.session
    finally:
        request.session, request.user = cookie_session, cookie_user
        request.META["CSRF_COOKIE_NEEDS_UPDATE"] = False
