"""REST of the shop: what is for sale, one's payments, redeeming a gift code. Paying needs a browser."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.letters import public_url
from accounts.models import Payment
from accounts.openapi import problems
from accounts.pagination import PAGE_PARAMETERS, page_of, read_page
from accounts.rules import Edition
from accounts.selectors import edition_of
from accounts.shop.buying import CodeRefused, redeem_code
from accounts.shop.limits import within_limit
from accounts.shop.pages import public_page_of
from accounts.shop.showing import premium_until
from accounts.shop.till import prices
from accounts.shop.tills import is_open

STANDINGS = [standing.value for standing in Payment.Standing]


class ProductSerializer(serializers.Serializer):
    slug = serializers.CharField()
    title = serializers.CharField()
    days = serializers.IntegerField(allow_null=True, help_text="Of Premium; null: for good.")
    amount = serializers.DecimalField(max_digits=9, decimal_places=2)
    currency = serializers.CharField(help_text="ISO 4217.")


class ShopSerializer(serializers.Serializer):
    is_open = serializers.BooleanField(help_text="Whether anything is sold here at the moment.")
    checkout = serializers.CharField(help_text="Where to send a browser; add ?product=<slug>.")
    products = ProductSerializer(many=True)


class CodeSerializer(serializers.Serializer):
    code = serializers.CharField(max_length=60)


class RedeemedSerializer(serializers.Serializer):
    edition = serializers.ChoiceField(choices=[edition.value for edition in Edition])
    premium_until = serializers.DateTimeField(allow_null=True, help_text="null with premium: for good.")


class PaymentSerializer(serializers.Serializer):
    number = serializers.CharField()
    title = serializers.CharField()
    total = serializers.DecimalField(max_digits=9, decimal_places=2)
    refunded = serializers.DecimalField(max_digits=9, decimal_places=2)
    currency = serializers.CharField()
    standing = serializers.ChoiceField(choices=STANDINGS)
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    receipt = serializers.CharField(help_text="Its page.")


class PaymentsSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    page = serializers.IntegerField()
    page_size = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = PaymentSerializer(many=True)


def payment_values(payment: Payment) -> dict[str, Any]:
    """Return the values of PaymentSerializer."""
    return {
        "number": payment.number,
        "title": payment.description,
        "total": payment.total,
        "refunded": payment.refunded_amount,
        "currency": payment.currency,
        "standing": payment.standing,
        "created_at": payment.created,
        "paid_at": payment.paid_at,
        "receipt": public_page_of(payment),
    }


class ShopView(APIView):
    """What is for sale."""

    permission_classes = [AllowAny]

    @extend_schema(operation_id="shop", tags=["shop"], responses={200: ShopSerializer, **problems(429)})
    def get(self, request: Request) -> Response:
        """Say what Premium costs, and where it is bought: paying needs a browser."""
        answer = {"is_open": is_open(), "checkout": public_url("checkout"), "products": prices().products}
        return Response(ShopSerializer(answer).data)


class GiftCodesView(APIView):
    """Redeeming."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="gift_code_redeem",
        tags=["shop"],
        request=CodeSerializer,
        responses={
            200: OpenApiResponse(RedeemedSerializer, description="Redeemed; sent again, the same."),
            **problems(401, 403, 415, 429, _400="`errors.code` says what is wrong with the code."),
        },
    )
    def post(self, request: Request) -> Response:
        """Redeem a gift code for my account."""
        if not within_limit(request._request, "shop_code", account_of(request)):
            raise Throttled(wait=60, detail="Too many codes at once. Try again in a minute.")
        serializer = CodeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        account, now = account_of(request), timezone.now()
        try:
            redeem_code(account=account, typed=serializer.validated_data["code"], now=now)
        except CodeRefused as refusal:
            raise ValidationError({"code": [str(refusal)]}) from refusal
        answer = {"edition": edition_of(account, now).value, "premium_until": premium_until(account, now)[1]}
        return Response(RedeemedSerializer(answer).data)


class PaymentsView(APIView):
    """One's own payments."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="payments_list",
        tags=["shop"],
        parameters=PAGE_PARAMETERS,
        responses={200: PaymentsSerializer, **problems(400, 401, 403, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """List my payments, newest first."""
        page = read_page(request.query_params)
        rows = Payment.objects.filter(buyer=account_of(request)).order_by("-created", "-pk")
        results = [payment_values(payment) for payment in rows[page.rows]]
        body = page_of(page, rows.count(), results, request.path, request.query_params.dict())
        return Response(PaymentsSerializer(body).data)
