"""docs/security.md: every requirement of ASVS 5.0, levels 1 and 2, once; what it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
PLACES = (ROOT, ROOT / "platform", ROOT / "clients" / "python", ROOT / "docs")
# Section → the numbers of its requirements of levels 1 and 2. Source: OWASP ASVS 5.0.0.
LEVEL_1 = """
1.2: 1 2 3 4 5
1.3: 1 2
1.5: 1
2.1: 1
2.2: 1 2
2.3: 1
3.2: 1 2
3.3: 1
3.4: 1 2
3.5: 1 2 3
4.1: 1
4.4: 1
5.2: 1 2
5.3: 1 2
6.1: 1
6.2: 1 2 3 4 5 6 7 8
6.3: 1 2
6.4: 1 2
7.2: 1 2 3 4
7.4: 1 2
8.1: 1
8.2: 1 2
8.3: 1
9.1: 1 2 3
9.2: 1
10.4: 1 2 3 4 5
11.3: 1 2
11.4: 1
12.1: 1
12.2: 1 2
13.4: 1
14.2: 1
14.3: 1
15.1: 1
15.2: 1
15.3: 1
"""
LEVEL_2 = """
1.1: 1 2
1.2: 6 7 8 9
1.3: 3 4 5 6 7 8 9 10 11
1.4: 1 2 3
1.5: 2
2.1: 2 3
2.2: 3
2.3: 2 3 4
2.4: 1
3.3: 2 3 4
3.4: 3 4 5 6
3.5: 4 5
3.7: 1 2
4.1: 2 3
4.2: 1
4.3: 1 2
4.4: 2 3 4
5.1: 1
5.2: 3
5.4: 1 2 3
6.1: 2 3
6.2: 9 10 11 12
6.3: 3 4
6.4: 3 4
6.5: 1 2 3 4 5
6.6: 1 2 3
6.8: 1 2 3 4
7.1: 1 2 3
7.3: 1 2
7.4: 3 4 5
7.5: 1 2
7.6: 1 2
8.1: 2
8.2: 3
8.4: 1
9.2: 2 3 4
10.1: 1 2
10.2: 1 2
10.3: 1 2 3 4
10.4: 6 7 8 9 10 11
10.5: 1 2 3 4 5
10.6: 1 2
10.7: 1 2 3
11.1: 1 2
11.2: 1 2 3
11.3: 3
11.4: 2 3 4
11.5: 1
11.6: 1
12.1: 2 3
12.3: 1 2 3 4
13.1: 1
13.2: 1 2 3 4 5
13.3: 1 2
13.4: 2 3 4 5
14.1: 1 2
14.2: 2 3 4
14.3: 2 3
15.1: 2 3
15.2: 2 3
15.3: 2 3 4 5 6 7
16.1: 1
16.2: 1 2 3 4 5
16.3: 1 2 3 4
16.4: 1 2 3
16.5: 1 2 3
17.1: 1
17.2: 1 2 3 4
17.3: 1 2
"""
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| (\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = ROW.findall(DOCUMENT)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
RULES = (
    *("Ways in", "Limits", "Sessions", "Input", "Files", "Who may do what", "Keys", "Who talks to whom"),
    *("Data", "Logs", "What costs much", "Components"),
)


def ids(text: str) -> set[str]:
    """Return the ids that lines of `section: number number` stand for."""
    found = set()
    for line in text.split("\n"):
        section, _, numbers = line.partition(": ")
        found |= {f"{section}.{number}" for number in numbers.split()}
    return found


@cache
def names_of_tests(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_requirement_has_its_row_once_with_its_level():
    assert len(ids(LEVEL_1)) == 70 and len(ids(LEVEL_2)) == 183
    told = [(number, level) for number, level, *_ in ROWS]
    assert len(told) == len(set(told))
    assert {number for number, level in told if level == "1"} == ids(LEVEL_1)
    assert {number for number, level in told if level == "2"} == ids(LEVEL_2)


@pytest.mark.parametrize(("number", "level", "asks", "how", "proof"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_has_a_test_that_exists_or_a_reason(number, level, asks, how, proof):
    assert 1 <= len(asks.split()) <= 12
    named = TEST.findall(proof)
    reason = re.match(r"(?:\*\*Not met:\*\*|Not applicable:) .{7,}", proof)
    assert named or reason, "neither a test nor a reason"
    for path, name in named:
        assert name in names_of_tests(path), f"{path}::{name}"
    assert proof.count("::") == len(named), "what looks like a test is one"
    if not proof.startswith("Not applicable:"):
        assert len(how.strip()) > 1 or "**Not met:**" in proof


def test_the_numbers_in_the_text_are_those_of_the_rows():
    (told,) = re.findall(
        r"^(\d+) requirements .*?(\d+) are met, (\d+) are met in part, (\d+) are not met,\n(\d+) are about",
        DOCUMENT,
        re.MULTILINE | re.DOTALL,
    )
    not_met = sum("**Not met:**" in row[4] for row in ROWS)
    in_part = sum("**Not met in part:**" in row[3] for row in ROWS)
    not_ours = sum(row[4].startswith("Not applicable:") for row in ROWS)
    met = len(ROWS) - not_met - in_part - not_ours
    assert tuple(map(int, told)) == (len(ROWS), met, in_part, not_met, not_ours)


def test_every_file_and_folder_that_is_named_is_there():
    for name in set(re.findall(r"`([\w./-]+(?:\.(?:py|html|toml|md)|/))`", DOCUMENT)):
        if not name.startswith("/") and name not in ("keys/", "keys/signing/"):
            assert any((place / name).exists() for place in PLACES), name


def test_every_setting_that_is_named_is_one():
    operating = (ROOT / "docs" / "operating.md").read_text()
    for name in set(re.findall(r"`([A-Z][A-Z_]{5,})(?:=[^`]*)?`", DOCUMENT)):
        if name.startswith("WAYSTONE_") or name in ("DATABASE_URL", "REDIS_URL"):
            assert f"| `{name}` |" in operating, name
        else:
            assert hasattr(settings, name), name


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", DOCUMENT):
        name, _, place = target.partition("#")
        path = ROOT / "docs" / name if name else ROOT / "docs" / "security.md"
        assert path.exists(), target
        heads = [line.lstrip("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
        slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not place or place in slugs, target


def test_the_rules_are_written_down():
    """The rows that ask for documents point at these parts of the page."""
    for title in RULES:
        _, _, rest = DOCUMENT.partition(f"### {title}\n")
        assert len(rest.partition("\n### ")[0]) > 200, title
    for days in ("**3 days**", "**7 days**", "**30 days**", "**90 days**"):
        assert days in DOCUMENT
    for title in set(re.findall(r"above, \*([\w ]+)\*", DOCUMENT)):
        assert title in RULES or f"## {title}\n" in DOCUMENT, title
