"""The pages of a world's webhooks: the list with a form, and one webhook with its log."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import account_of
from worlds.models import Webhook, WebhookDelivery
from worlds.operating.keepers import KeptWorld, world_for
from worlds.operating.navigation import tabs_of
from worlds.operating.rules import Deed
from worlds.webhooks.keeping import (
    WebhookRefused,
    make_webhook,
    remove_webhook,
    resume,
    rotate_secret,
    secret_of,
    send_test,
    webhooks_of,
)
from worlds.webhooks.rules import EVENTS, MAX_URL, MAX_WEBHOOKS

PER_PAGE = 25


class WebhookForm(forms.Form):
    """A new webhook."""

    url = forms.CharField(
        label="Address",
        max_length=MAX_URL,
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
        help_text="Where your program listens, as https://bot.example.org/waystone.",
    )
    events = forms.MultipleChoiceField(
        label="Tell it when",
        choices=list(EVENTS.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )


def _kept(request: HttpRequest, slug: str) -> KeptWorld:
    return world_for(account_of(request), slug, Deed.WEBHOOKS)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a world's webhooks, and make one. Its secret is in the answer to the form, and nowhere else."""
    kept, now = _kept(request, slug), timezone.now()
    form = WebhookForm(request.POST if request.method == "POST" else None)
    made, status = None, 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                made = make_webhook(world=kept.world, by=account_of(request), now=now, **form.cleaned_data)
                form, status = WebhookForm(), 201
            except WebhookRefused as error:
                for field, texts in error.errors.items():
                    form.add_error(field or None, texts)
    context = {
        "kept": kept,
        "world": kept.world,
        "tabs": tabs_of(kept, "world_webhooks"),
        "form": form,
        "made": made,
        "secret": secret_of(made) if made else "",
        "webhooks": [(webhook, _words(webhook)) for webhook in webhooks_of(kept.world)],
        "most": MAX_WEBHOOKS,
        "section": "operate",
    }
    return render(request, "operate/webhooks.html", context, status=status)


def _words(webhook: Webhook) -> list[str]:
    return [EVENTS.get(event, event) for event in webhook.events]


@never_cache
@login_required
@require_safe
def webhook_page(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Show one webhook and what was sent to it."""
    kept = _kept(request, slug)
    return _webhook_page(request, kept, _webhook(kept, webhook_id))


def _webhook(kept: KeptWorld, webhook_id: UUID) -> Webhook:
    webhook = webhooks_of(kept.world).filter(pk=webhook_id).first()
    if webhook is None:
        raise Http404("This world has no such webhook.")
    return webhook


def _webhook_page(request: HttpRequest, kept: KeptWorld, webhook: Webhook, secret: str = "") -> HttpResponse:
    log = WebhookDelivery.objects.filter(webhook=webhook).order_by("-made_at", "pk")
    context = {
        "kept": kept,
        "world": kept.world,
        "tabs": tabs_of(kept, "world_webhooks"),
        "webhook": webhook,
        "events": _words(webhook),
        "secret": secret,
        "page": Paginator(log, PER_PAGE).get_page(request.GET.get("page")),
        "section": "operate",
    }
    return render(request, "operate/webhook.html", context)


@never_cache
@login_required
@require_POST
def rotate(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Give it a new secret, which is in the answer only."""
    kept = _kept(request, slug)
    webhook = rotate_secret(world=kept.world, webhook=webhook_id, by=account_of(request), now=timezone.now())
    if webhook is None:
        raise Http404("This world has no such webhook.")
    return _webhook_page(request, kept, webhook, secret_of(webhook))


@login_required
@require_POST
def test(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Send it the event `test`."""
    kept = _kept(request, slug)
    try:
        sent = send_test(world=kept.world, webhook=webhook_id, by=account_of(request), now=timezone.now())
    except WebhookRefused as error:
        messages.warning(request, str(error))
    else:
        if sent is None:
            raise Http404("This world has no such webhook.")
        messages.success(request, "A test is on its way. Its line in the log below tells how it went.")
    return redirect("world_webhook", slug, webhook_id)


@login_required
@require_POST
def switch_on(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Switch it on again."""
    kept = _kept(request, slug)
    if resume(world=kept.world, webhook=webhook_id, by=account_of(request), now=timezone.now()) is None:
        raise Http404("This world has no such webhook.")
    messages.success(request, "It is on again. What was waiting for it is sent now.")
    return redirect("world_webhook", slug, webhook_id)


@login_required
@require_POST
def remove(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Remove it."""
    kept = _kept(request, slug)
    if not remove_webhook(world=kept.world, webhook=webhook_id, by=account_of(request), now=timezone.now()):
        raise Http404("This world has no such webhook.")
    messages.success(request, "Removed. Nothing is sent there any more.")
    return redirect("world_webhooks", slug)
