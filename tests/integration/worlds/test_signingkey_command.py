"""`manage.py signingkey`: rotation by an operator."""

from dataclasses import replace
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "CONFIG", replace(settings.CONFIG, signing_keys_dir=tmp_path / "signing"))
    return tmp_path / "signing"


def listed(*arguments):
    out = StringIO()
    call_command("signingkey", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_without_a_key_it_says_what_to_do(folder):
    with pytest.raises(CommandError, match="--new"):
        listed()


def test_a_new_key_signs_and_the_old_one_stays_published(folder):
    first = listed("--new")
    second = listed("--new")
    assert len(first) == 1 and first[0].endswith("(signs)")
    assert second[0].endswith("(signs)") and second[1] == first[0].removesuffix("  (signs)")
    assert len(list(folder.glob("*.pem"))) == 2
    assert listed() == second


def test_a_folder_that_cannot_be_written_is_named(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where the folder should be")
    with pytest.raises(CommandError, match="signing"):
        listed("--new")
