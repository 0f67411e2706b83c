"""docs/netcode.md says of each thing that was asked for which code does it and which test shows it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
BASES = (ROOT, ROOT / "zonecluster", ROOT / "tests/unit/zonecluster", ROOT / "clients/python/waystone_client")


def rows():
    text = (ROOT / "docs/netcode.md").read_text()
    section = text.split("## What was asked for, and where it is")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_row_names_code_and_a_test_that_exist():
    assert len(rows()) >= 15
    for statement, code, test in rows():
        assert code and test, statement
        for path in re.findall(r"`([\w/.]+(?:\.py|/))`", f"{code} {test}"):
            assert any((base / path).exists() for base in BASES), path
