"""docs/uplink.md says what the code does: verbs, refusals and their statuses."""

import re
from pathlib import Path
from typing import get_args

from characters.uplink_api import STATUSES
from characters.uplink_urls import urlpatterns
from worlds.uplink.messages import RefusalCode

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "uplink.md").read_text()


def test_every_refusal_is_documented_with_its_status():
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3})", PAGE, re.MULTILINE))
    assert set(STATUSES) == set(get_args(RefusalCode))
    assert {code: int(status) for code, status in rows.items()} == STATUSES


def test_every_verb_is_documented():
    verbs = re.findall(r"^\| `([a-z]+)` \| `[A-Z]", PAGE, re.MULTILINE)
    assert verbs == [str(pattern.pattern).rstrip("/") for pattern in urlpatterns]
