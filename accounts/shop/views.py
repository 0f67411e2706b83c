"""Pages of the shop: what editions give, checkout, a payment, gift codes; and Stripe's webhook."""

from typing import Any
from uuid import UUID

import structlog
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import account_of
from accounts.models import Account, Payment
from accounts.selectors import edition_of
from accounts.shop.booking import take_notices
from accounts.shop.buying import CodeRefused, PurchaseRefused, open_payment, redeem_code
from accounts.shop.dummy_till import AFTER, BEFORE, DummyTill
from accounts.shop.forms import CheckoutForm, CodeForm
from accounts.shop.limits import within_limit
from accounts.shop.pages import opens, page_of
from accounts.shop.showing import WORDS, money, offers, payments_of, premium_until, shown_payment
from accounts.shop.stripe_notices import BadEvent
from accounts.shop.till import ShopClosed, TillUnavailable, prices
from accounts.shop.tills import is_open, stripe_till, till, till_of

log = structlog.get_logger(__name__)

MAX_WEBHOOK_BYTES = 256 * 1024  # Stripe's events have some 10 KB
STRIPE_PAGES = "https://checkout.stripe.com"


def _too_often(request: HttpRequest) -> HttpResponse:
    answer = render(request, "429.html", status=429)
    answer.headers["Retry-After"] = "60"  # the window of the first limit, seconds
    return answer


def _viewer(request: HttpRequest) -> Account | None:
    return request.user if isinstance(request.user, Account) else None


@require_safe
def premium(request: HttpRequest) -> HttpResponse:
    """Show what each edition gives, side by side, and what Premium costs."""
    viewer, now = _viewer(request), timezone.now()
    has_premium, until = premium_until(viewer, now) if viewer else (False, None)
    context = {
        "section": "premium",
        "offers": offers(),
        "prices": [
            {"slug": each.slug, "title": each.title, "price": money(each.amount, each.currency)}
            for each in prices().products
        ],
        "edition": edition_of(viewer, now).value if viewer else "",
        "has_premium": has_premium,
        "until": until,
        "is_for_good": has_premium and until is None,
        "is_open": is_open(),
        "can_pretend": is_open() and till().can_pretend,
    }
    return render(request, "shop/premium.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """Ask what is bought for whom, then send the buyer to the till."""
    buyer = _viewer(request)
    if not is_open():
        return render(request, "shop/closed.html", {"section": "premium"}, status=503)
    initial = {"product": request.GET.get("product", prices().products[0].slug), "recipient": "buyer"}
    form = CheckoutForm(request.POST or None, buyer=buyer, prices=prices(), initial=initial)
    status = 200
    if request.method == "POST":
        if not within_limit(request, "shop_checkout"):
            return _too_often(request)
        try:
            if form.is_valid():
                return HttpResponseRedirect(_begin(form, buyer))
            status = 400
        except PurchaseRefused as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            status = 400
        except TillUnavailable:
            text = "The payment provider does not answer. Nothing was charged. Try again in a minute."
            form.add_error(None, text)
            status = 503
    context = {"section": "premium", "form": form, "can_pretend": till().can_pretend}
    answer = render(request, "shop/checkout.html", context, status=status)
    if not till().can_pretend:
        answer.forms_lead_to = STRIPE_PAGES  # type: ignore[attr-defined]  # waystone.security allows it
    return answer


def _begin(form: CheckoutForm, buyer: Account | None) -> str:
    """Write the purchase down. Returns: where it is paid. Raises: PurchaseRefused, TillUnavailable"""
    product = prices().product(form.cleaned_data["product"])
    if product is None:
        raise PurchaseRefused("product", "This is not for sale any more. Choose one of these.")
    payment = open_payment(product=product, buyer=buyer, now=timezone.now(), **form.purchase())
    return till_of(payment).begin(payment)


def payment_for(request: HttpRequest, token: UUID) -> Payment:
    """Return a payment that the caller may see: the buyer's own, or one without a buyer, by its address.

    The key in such an address is a secret that only the buyer's browser and letters have (shop.pages).

    Raises: Http404: there is none, or it is another's.
    """
    payment = Payment.objects.filter(token=str(token)).select_related("buyer", "account").first()
    if payment is None or not _may_see(request, payment):
        raise Http404("There is no such payment, or it is another account's. Log in as who bought it.")
    return payment


def _may_see(request: HttpRequest, payment: Payment) -> bool:
    if payment.buyer_id is None:
        return opens(payment, request.GET.get("key", ""))
    return payment.buyer_id == request.user.pk


@never_cache
@require_safe
def payment_page(request: HttpRequest, token: UUID) -> HttpResponse:
    """Show how a payment stands; paid, it is the receipt."""
    payment = payment_for(request, token)
    viewer = _viewer(request)
    context = {"section": "premium", **shown_payment(payment, viewer, timezone.now())}
    context |= {"page": page_of(payment), "try_page": page_of(payment, "try_payment")}
    context["tries"] = _tries(payment)
    context["until"] = premium_until(viewer, timezone.now())[1] if context["is_for_me"] and viewer else None
    is_part = getattr(request, "htmx", False)
    return render(request, "shop/payment_standing.html" if is_part else "shop/payment.html", context)


def _tries(payment: Payment) -> list[tuple[str, str]]:
    """Return what can be tried with a payment at the dummy once it is paid: (word, what a button says)."""
    if not (is_open() and till().can_pretend and payment.variant == DummyTill.name):
        return []
    match payment.standing:
        case "paid":
            return [(word, AFTER[word]) for word in ("refund", "dispute")]
        case "disputed":
            return [(word, AFTER[word]) for word in ("won", "lost")]
    return []


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def try_payment(request: HttpRequest, token: UUID) -> HttpResponse:
    """The dummy's till: let the buyer say what a bank would have said."""
    payment = payment_for(request, token)
    try:
        place = till_of(payment)
    except ShopClosed as error:
        raise Http404(str(error)) from error
    if not isinstance(place, DummyTill):
        raise Http404("Payments are real here.")
    context: dict[str, Any] = {"section": "premium", "payment": payment, "choices": BEFORE.items()}
    context["price"] = money(payment.total, payment.currency)
    if request.method == "POST":
        now = timezone.now()
        try:
            told = place.play(payment, request.POST.get("outcome", ""), now)
        except TillUnavailable as error:
            return render(request, "shop/try.html", {**context, "error": str(error)}, status=400)
        take_notices(provider=place.name, told=told, now=now)
        return redirect(page_of(payment))
    if payment.standing not in ("open", "pending", "failed"):
        return redirect(page_of(payment))
    return render(request, "shop/try.html", context)


@login_required
@never_cache
@require_safe
def payments_page(request: HttpRequest) -> HttpResponse:
    """List one's own payments."""
    rows = [
        {
            "payment": payment,
            "price": money(payment.total, payment.currency),
            "words": WORDS[payment.standing][0],
            "tone": WORDS[payment.standing][1],
        }
        for payment in payments_of(account_of(request))
    ]
    return render(request, "shop/payments.html", {"section": "account", "rows": rows})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def redeem(request: HttpRequest) -> HttpResponse:
    """Redeem a gift code."""
    form = CodeForm(request.POST or None, initial={"code": request.GET.get("code", "")[:60]})
    if request.method == "POST":
        if not within_limit(request, "shop_code", account_of(request)):
            return _too_often(request)
        if form.is_valid():
            account, now = account_of(request), timezone.now()
            try:
                redeem_code(account=account, typed=form.cleaned_data["code"], now=now)
            except CodeRefused as refusal:
                form.add_error("code", str(refusal))
            else:
                messages.success(request, f"The code is redeemed. {_how_long(account)}")
                return redirect("premium")
    return render(
        request, "shop/redeem.html", {"section": "premium", "form": form}, status=400 if form.errors else 200
    )


def _how_long(account: Account) -> str:
    _, until = premium_until(account, timezone.now())
    return f"You have Premium until {until:%-d %B %Y}." if until else "You have Premium for good."


@csrf_exempt  # no cookie is looked at: Stripe's signature is the only credential
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Take what Stripe tells. 2xx only when it is kept: else Stripe tells it again, for three days."""
    try:
        place = stripe_till()
    except ShopClosed:
        return HttpResponseNotFound("Stripe is not used here.\n", content_type="text/plain; charset=utf-8")
    try:
        size = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        size = MAX_WEBHOOK_BYTES + 1
    if size > MAX_WEBHOOK_BYTES:
        return HttpResponse("too long\n", status=413, content_type="text/plain; charset=utf-8")
    try:
        told = place.read_webhook(request.body, request.headers.get("Stripe-Signature", ""))
    except BadEvent as error:
        log.warning("stripe_webhook_refused", cause=str(error)[:200])
        return HttpResponse("refused\n", status=400, content_type="text/plain; charset=utf-8")
    try:
        if told is not None:
            take_notices(provider=place.name, told=[told], now=timezone.now())
    except OperationalError as error:
        log.error("stripe_webhook_not_kept", cause=str(error)[:200])
        return HttpResponse("not kept, tell it again\n", status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse("kept\n", content_type="text/plain; charset=utf-8")
