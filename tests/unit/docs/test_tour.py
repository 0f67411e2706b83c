"""docs/tour.md leads to files and names that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "tour.md").read_text()
FILES = sorted(set(re.findall(r"`([\w./-]+\.py)`", TEXT)))
NAMES = sorted(set(re.findall(r"`([A-Za-z_]\w*(?:\.\w+)*)`", TEXT)))


def test_the_tour_names_many_files() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES)
def test_files_of_the_tour_exist(path: str) -> None:
    assert (ROOT / path).is_file()


def test_names_of_the_tour_are_in_its_files() -> None:
    sources = "\n".join((ROOT / path).read_text() for path in FILES)
    sources += "\n".join(path.read_text() for path in (ROOT / "zonecluster" / "protocol").glob("*.py"))
    missing = [name for name in NAMES if not re.search(rf"\b{name.rpartition('.')[2]}\b", sources)]
    assert not missing
