"""Parts of the account pages: their tabs, and data for the passkey script."""

import json
from typing import Any

from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.urls import NoReverseMatch, reverse

register = template.Library()

# url name, words, icon; what other parts of the site have is shown where it is there.
TABS = (
    ("account_page", "Overview", "person"),
    ("mfa_index", "Logging in", "shield"),
    ("account_devices", "Devices", "device"),
    ("account_receipts", "Receipts", "receipt"),
    ("api_tokens_page", "Programs", "code"),
    ("account_data", "Your data", "download"),
)
ON_A_WORLDS_MACHINE = ("mfa_index",)


@register.inclusion_tag("parts/tabs.html", takes_context=True)
def account_tabs(context: dict[str, Any], here: str) -> dict[str, Any]:
    """Show the pages of an account. Args: here: the url name of the one that is shown."""
    is_world_only = getattr(context["request"], "is_world_only", False)
    tabs = []
    for name, words, icon in TABS:
        if is_world_only and name not in ON_A_WORLDS_MACHINE:
            continue
        try:
            tabs.append((reverse(name), words, icon, name == here))
        except NoReverseMatch:
            continue
    return {"label": "My account", "tabs": tabs}


@register.filter
def as_json(value: object) -> str:
    """Return a value as JSON, for a data attribute."""
    return json.dumps(value, cls=DjangoJSONEncoder)
