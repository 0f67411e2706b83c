"""Template tags of the pages' small parts: icons of the sprite; this page's address with another query."""

from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

ICON = '<svg class="icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>'


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """Draw an icon of static/site/icons.svg beside words; alone it says nothing to who cannot see it.

    Args: size: "large", or as the words are.
    """
    return format_html(ICON, f" {size}" if size else "", static("site/icons.svg"), name)


@register.simple_tag(takes_context=True)
def same_page(context: dict[str, Any], **changes: object) -> str:
    """Return "?…": this page's query with some values changed; None or "" takes one out."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = str(value)
    return f"?{query.urlencode()}"
