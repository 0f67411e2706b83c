"""Which passwords are refused because others would try them first."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from accounts.guessable import OWN_WORDS, GuessableValidator, is_common_with_an_ending, is_made_of_own_words

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text()


@pytest.mark.parametrize(
    "password",
    ["waystone2026!", "W4yst0ne-admin", "welcome to waystone", "premium_player_1", "thepassword!!"],
)
def test_words_of_this_place_alone_are_no_password(password):
    assert is_made_of_own_words(password)
    with pytest.raises(ValidationError):
        GuessableValidator().validate(password)


@pytest.mark.parametrize("password", ["sunshine2024", "football!!", "Iloveyou2031", "qwertyuiop?1"])
def test_a_common_password_with_an_ending_is_none(password):
    assert is_common_with_an_ending(password)
    with pytest.raises(ValidationError):
        GuessableValidator().validate(password)


@pytest.mark.parametrize(
    "password",
    [
        "lichen on the north side",
        "moss and waystone",  # enough letters of one's own
        "7391058264",
        "sunshine 73910582",  # a long ending is a password by itself
        "Ω≈ç√∫˜µ≤≥÷",
        "ёжики в тумане",
        "x" * 1000,
    ],
)
def test_others_are_taken_of_whatever_signs(password):
    GuessableValidator().validate(password)


def test_the_document_lists_the_words():
    (listed,) = re.findall(r"^Words that alone make no password: (.+)\.$", DOCUMENT, re.MULTILINE)
    assert sorted(listed.split(", ")) == sorted(OWN_WORDS)
