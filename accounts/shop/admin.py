"""The shop in the admin: payments with refunds, what providers told, gift codes. Nothing is hand-edited."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget

from accounts.admin_parts import NOTHING, ReasonForm, ViewOnlyAdmin, link_to, rows_table, staff_of
from accounts.levers import Told, lever
from accounts.models import Account, GiftCode, Payment, PaymentNotice
from accounts.services import record_audit
from accounts.shop.booking import take_notices
from accounts.shop.buying import (
    MAX_CODES,
    REFUNDABLE,
    DeedRefused,
    accept_payment,
    make_codes,
    refund_payment,
    shown_code,
    void_code,
)
from accounts.shop.prices import MAX_DAYS
from accounts.shop.showing import WORDS, money
from accounts.shop.till import ShopClosed, TillUnavailable
from accounts.shop.tills import till_of

TONES = {"good": "success", "warn": "warning", "bad": "danger", "": "info"}
REFUSED = (DeedRefused, ShopClosed, TillUnavailable)


class RefundForm(ReasonForm):
    """How much, and why."""

    amount = forms.DecimalField(
        required=False,
        min_value=Decimal("0.01"),
        max_digits=9,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Left empty: all that is left. Premium ends only when all of it went back.",
    )
    field_order = ("amount", "reason")


@admin.register(Payment)
class PaymentAdmin(ViewOnlyAdmin):
    list_display = (
        "number",
        "description",
        "price",
        "shown_standing",
        "concern",
        "who",
        "variant",
        "created",
    )
    list_filter = (
        "standing",
        "recipient",
        "variant",
        ("created", RangeDateTimeFilter),
        ("buyer", AutocompleteSelectFilter),
    )
    search_fields = (
        "token",
        "billing_email",
        "recipient_email",
        "intent",
        "transaction_id",
        "account__email",
    )
    list_select_related = ("buyer", "account")
    date_hierarchy = "created"
    actions_detail = ("refund", "accept", "look_up")
    fieldsets = (
        (None, {"fields": ("number", "description", "price", "shown_standing", "concern")}),
        ("Money", {"fields": ("paid", "refunded", "tax", "paid_at", "variant", "intent", "transaction_id")}),
        ("People", {"fields": ("who", "billing_email", "recipient", "recipient_email", "whose", "code")}),
        ("Told", {"fields": ("told",)}),
        ("Rest", {"fields": ("token", "product", "days", "created", "modified")}),
    )

    @display(description="standing", label={WORDS[key][0]: TONES[WORDS[key][1]] for key in WORDS})
    def shown_standing(self, payment: Payment) -> str:
        return WORDS[payment.standing][0]

    @display(description="price", ordering="total")
    def price(self, payment: Payment) -> str:
        return money(payment.total, payment.currency)

    @display(description="paid")
    def paid(self, payment: Payment) -> str:
        return money(payment.captured_amount, payment.currency)

    @display(description="paid back")
    def refunded(self, payment: Payment) -> str:
        return money(payment.refunded_amount, payment.currency)

    @display(description="bought by")
    def who(self, payment: Payment) -> SafeString | str:
        return link_to(payment.buyer) if payment.buyer else payment.billing_email

    @display(description="has it")
    def whose(self, payment: Payment) -> SafeString | str:
        return link_to(payment.account)

    @display(description="gift code")
    def code(self, payment: Payment) -> SafeString | str:
        return link_to(GiftCode.objects.filter(payment=payment).first())

    @display(description="what was told")
    def told(self, payment: Payment) -> SafeString | str:
        return rows_table(
            ("when", "what", "status", "amount", "of"),
            (
                (
                    f"{row.happened_at:%Y-%m-%d %H:%M:%S}",
                    link_to(row, row.kind),
                    row.status or NOTHING,
                    f"{row.amount} {row.currency}" if row.amount else NOTHING,
                    row.subject,
                )
                for row in payment.notices.all()
            ),
        )

    def _may(self, request: HttpRequest, object_id: str | None, *standings: str) -> bool:
        if not request.user.has_perm("accounts.change_payment"):
            return False
        if object_id is None or not standings:
            return True
        return Payment.objects.filter(pk=object_id, standing__in=standings).exists()

    def has_refund_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, *REFUNDABLE)

    def has_accept_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, Payment.Standing.HELD)

    def has_look_up_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id)

    @lever(
        "Refund",
        title="Pay this back?",
        text="The money goes back the way it came. When all of it has, what was bought is taken back.",
        icon="undo",
        allowed="refund",
        variant=ActionVariant.DANGER,
        form_class=RefundForm,
        refused=REFUSED,
    )
    def refund(
        self, payment: Payment, amount: Decimal | None, reason: str, by: Account, now: datetime
    ) -> str:
        done = refund_payment(payment=payment, amount=amount, reason=reason, by=by, now=now)
        return f"{money(done.refunded_amount, done.currency)} of {done.number} are paid back."

    @lever(
        "Accept as paid",
        title="Take what came for the whole price?",
        text="The buyer gets what was bought, although the amount is another one.",
        icon="check_circle",
        allowed="accept",
        refused=REFUSED,
    )
    def accept(self, payment: Payment, reason: str, by: Account, now: datetime) -> str:
        done = accept_payment(payment=payment, reason=reason, by=by, now=now)
        return f"{done.number} counts as paid."

    @lever(
        "Ask the provider",
        title="Ask the provider how it stands?",
        text="Whatever it tells that had never come is booked. Done every hour by itself.",
        icon="sync",
        allowed="look_up",
        refused=REFUSED,
    )
    def look_up(self, payment: Payment, reason: str, by: Account, now: datetime) -> Told:
        place = till_of(payment)
        detail: dict[str, object] = {"reason": reason}
        record_audit(action="payment_looked_up", account=by, target=payment.token, detail=detail, now=now)
        new = take_notices(provider=place.name, told=place.look_up(payment, now), now=now)
        return Told(f"{new} things were new." if new else "Nothing was new.", "success" if new else "info")


@admin.register(PaymentNotice)
class PaymentNoticeAdmin(ViewOnlyAdmin):
    list_display = ("happened_at", "kind", "status", "amount", "currency", "of", "provider", "received_at")
    list_filter = ("kind", "provider", ("received_at", RangeDateTimeFilter))
    search_fields = ("notice_id", "subject", "intent", "payment__token")
    list_select_related = ("payment",)
    fields = (
        *("happened_at", "received_at", "kind", "status", "amount", "currency"),
        *("of", "provider", "notice_id", "subject", "intent"),
    )

    @display(description="payment")
    def of(self, notice: PaymentNotice) -> SafeString | str:
        return link_to(notice.payment) if notice.payment else "waits for its payment"


class CodesForm(forms.ModelForm):
    """New gift codes."""

    count = forms.IntegerField(
        min_value=1, max_value=MAX_CODES, initial=1, widget=UnfoldAdminIntegerFieldWidget, label="How many"
    )

    class Meta:
        model = GiftCode
        fields = ("days", "note", "ends_at")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        days, ends_at = data.get("days"), data.get("ends_at")
        if days is not None and not 1 <= days <= MAX_DAYS:
            self.add_error("days", f"From 1 to {MAX_DAYS}, or empty: Premium for good.")
        if ends_at is not None and ends_at <= timezone.now():
            self.add_error("ends_at", "The end must lie in the future.")
        return data


@admin.register(GiftCode)
class GiftCodeAdmin(ViewOnlyAdmin):
    form = CodesForm
    list_display = ("uid", "length", "standing", "note", "redeemer", "ends_at", "created_at")
    list_filter = ("note", ("created_at", RangeDateTimeFilter), ("redeemed_by", AutocompleteSelectFilter))
    search_fields = ("uid", "note", "redeemed_by__email", "payment__token")
    list_select_related = ("redeemed_by", "payment", "made_by")
    actions_detail = ("void",)
    shown_fields = (
        *("uid", "length", "standing", "note", "ends_at", "made_by", "bought"),
        *("created_at", "redeemer", "redeemed_at", "voided_at"),
    )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Show codes themselves to who may make some: they are money."""
        return ("printed", *self.list_display) if self.has_add_permission(request) else self.list_display

    def get_fields(self, request: HttpRequest, obj: GiftCode | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("count", *CodesForm.Meta.fields)
        return ("printed", *self.shown_fields) if self.has_add_permission(request) else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: GiftCode | None = None) -> tuple[str, ...]:
        return () if obj is None else ("printed", *self.shown_fields)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_giftcode")

    def get_queryset(self, request: HttpRequest) -> QuerySet[GiftCode]:
        return super().get_queryset(request).select_related("payment", "redeemed_by")

    def save_model(self, request: HttpRequest, obj: GiftCode, form: CodesForm, change: bool) -> None:
        rows = make_codes(by=staff_of(request), now=timezone.now(), **form.cleaned_data)
        obj.pk = rows[0].pk
        messages.info(request, f"{len(rows)} codes are made. The list shows them; filter it by their note.")

    @display(description="code")
    def printed(self, code: GiftCode) -> str:
        return shown_code(code) or "made with another secret: not to be shown, but good"

    @display(description="gives")
    def length(self, code: GiftCode) -> str:
        return f"{code.days} days" if code.days else "for good"

    @display(description="standing", label={"free": "success", "redeemed": "info", "worthless": "danger"})
    def standing(self, code: GiftCode) -> str:
        if code.redeemed_by_id is not None:
            return "redeemed"
        is_paid = code.payment is None or code.payment.standing == Payment.Standing.PAID
        is_over = code.ends_at is not None and code.ends_at <= timezone.now()
        return "free" if is_paid and not is_over and code.voided_at is None else "worthless"

    @display(description="redeemed by")
    def redeemer(self, code: GiftCode) -> SafeString | str:
        return link_to(code.redeemed_by)

    @display(description="bought by payment")
    def bought(self, code: GiftCode) -> SafeString | str:
        return link_to(code.payment)

    def has_void_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("accounts.change_giftcode"):
            return False
        rows = GiftCode.objects.filter(redeemed_by=None, voided_at=None)
        return object_id is None or rows.filter(pk=object_id).exists()

    @lever(
        "Make worthless",
        title="Make this code worthless?",
        text="Nobody can redeem it any more.",
        icon="block",
        allowed="void",
        variant=ActionVariant.DANGER,
        refused=(DeedRefused,),
    )
    def void(self, code: GiftCode, reason: str, by: Account, now: datetime) -> str:
        void_code(code=code, reason=reason, by=by, now=now)
        return f"{code} is worthless now."
