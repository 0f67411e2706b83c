"""docs/uplink.md says what the code does: verbs, refusals and their statuses."""

import re
from pathlib import Path
from typing import get_args

from characters.uplink_api import STATUSES
from characters.uplink_urls import urlpatterns
from worlds.uplink.messages import RefusalCode, Report, Reported
from worlds.uplink.orders import DEEDS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "uplink.md").read_text()


def test_every_refusal_is_documented_with_its_status():
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3})", PAGE, re.MULTILINE))
    assert set(STATUSES) == set(get_args(RefusalCode))
    assert {code: int(status) for code, status in rows.items()} == STATUSES


def test_every_verb_is_documented():
    verbs = re.findall(r"^\| `([a-z]+)` \| `[A-Z]", PAGE, re.MULTILINE)
    assert verbs == [str(pattern.pattern).rstrip("/") for pattern in urlpatterns]


def test_every_order_is_documented_with_its_body():
    table = PAGE.split("## Orders")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z]+)` \| ([a-z_, ]+) \|", table, re.MULTILINE))
    assert rows == {kind: ", ".join(deed.__struct_fields__) for kind, deed in DEEDS.items()}


def test_every_field_of_a_report_and_its_answer_is_documented():
    (row,) = re.findall(r"^\| `report` .*$", PAGE, re.MULTILINE)
    asked, answered = row.split("| `Reported{")
    for told, kind in ((asked, Report), (answered, Reported)):
        missing = [name for name in kind.__struct_fields__ if not re.search(rf"\b{name}\b", told)]
        assert not missing, missing
