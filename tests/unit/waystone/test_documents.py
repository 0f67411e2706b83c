"""The documents say what the code does: settings, dependencies, processes, links between pages."""

import re
from pathlib import Path

import pytest

from waystone.entry import OWN_COMMANDS

ROOT = Path(__file__).resolve().parents[3]
CODE = ("platform", "accounts", "characters", "worlds", "zonecluster", "clients")
OPERATING = (ROOT / "docs" / "operating.md").read_text()


def settings_in_the_code() -> set[str]:
    """Return every WAYSTONE_ name, and the two URLs, that the code names."""
    found = {"DATABASE_URL", "REDIS_URL"}
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            found.update(re.findall(r"\bWAYSTONE_[A-Z][A-Z_]*[A-Z]\b", path.read_text()))
    return found


def test_every_setting_is_documented_and_no_other():
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", OPERATING, re.MULTILINE))
    assert documented == settings_in_the_code()


def packages(name: str) -> list[str]:
    """Return the packages that a requirements file asks for, without extras and versions."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return [re.split(r"[\[<>=;]", line)[0].strip() for line in lines if line and line[0] not in "#-"]


@pytest.mark.parametrize("name", ["runtime.in", "test.in"])
def test_every_dependency_has_a_reason(name):
    text = (ROOT / "docs" / "dependencies.md").read_text()
    runtime, test = text.split("## What tests and linters need on top")
    reasons = dict(
        re.findall(
            r"^\| ([a-z0-9-]+) \| (.{12,}) \|$", runtime if name == "runtime.in" else test, re.MULTILINE
        )
    )
    assert sorted(reasons) == sorted(packages(name))


def test_every_command_of_the_process_table_exists():
    commands = re.findall(r"`manage\.py ([a-z]+)(?: NAME)?` \|", OPERATING)
    assert len(commands) >= 6
    for command in commands:
        assert (
            command in OWN_COMMANDS
            or list(ROOT.glob(f"*/management/commands/{command}.py"))
            or (ROOT / "platform/waystone/management/commands" / f"{command}.py").exists()
        ), command


@pytest.mark.parametrize("page", sorted(path.name for path in ROOT.glob("*.md")))
def test_links_of_the_first_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert "://" in target or (ROOT / target).exists(), f"{page}: {target}"
