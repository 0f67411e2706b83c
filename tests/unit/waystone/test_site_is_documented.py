"""Every address of the site has its row in docs/site.md, and no row names an address that is gone."""

import re
from pathlib import Path

from django.urls import URLPattern, get_resolver

DOCUMENT = (Path(__file__).parents[3] / "docs" / "site.md").read_text()
BY_OTHERS = ("api/", "admin/")  # the schema describes REST; the admin follows from the models


def addresses(patterns: list, prefix: str = "") -> set[str]:
    """Return all addresses, their parameters as <name>."""
    found = set()
    for entry in patterns:
        path = prefix + plain(str(entry.pattern))
        if path.startswith(BY_OTHERS):
            continue
        found |= {"/" + path} if isinstance(entry, URLPattern) else addresses(entry.url_patterns, path)
    return found


def plain(pattern: str) -> str:
    without_groups = re.sub(r"\(\?P(<\w+>)(?:[^()]|\([^()]*\))*\)", r"\1", pattern)
    return re.sub(r"<\w+:(\w+)>", r"<\1>", without_groups).strip("^$").replace("\\", "")


def test_every_address_has_its_row_and_every_row_its_address():
    rows = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT, re.M))
    rows = {row for row in rows if not row.startswith("/admin/")}
    assert addresses(get_resolver("waystone.urls").url_patterns) == rows
