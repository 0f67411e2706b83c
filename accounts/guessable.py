"""Passwords that somebody who knows this place tries first: its own words, and common ones with an ending."""

import re
from functools import lru_cache

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

# Of this platform and of what people do on it. docs/security.md has the list, and a test compares them.
OWN_WORDS = (
    *("waystone", "wayfarer", "lanternrest", "account", "admin", "character", "gateway", "keeper"),
    *("moderator", "operator", "password", "passphrase", "player", "premium", "staff", "welcome", "world"),
)
_LOOKS_LIKE = str.maketrans("013457@$!", "oieastasi")
_ENDING = re.compile(r"[\W\d_]{1,4}$")
ENOUGH_LETTERS = 5  # besides our own words


def is_made_of_own_words(password: str) -> bool:
    """Return whether little is left of a password without the words of this place."""
    return any(map(_is_little_left, (password.lower(), password.lower().translate(_LOOKS_LIKE))))


def _is_little_left(text: str) -> bool:
    left = "".join(filter(str.isalpha, text))
    without = left
    for word in sorted(OWN_WORDS, key=len, reverse=True):
        without = without.replace(word, "")
    return without != left and len(without) < ENOUGH_LETTERS


def is_common_with_an_ending(password: str) -> bool:
    """Return whether a password is one of the common ones with up to four figures or signs behind it."""
    text, common = password.lower(), _common()
    core = _ENDING.sub("", text)
    return text not in common and core != text and core in common


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return frozenset(CommonPasswordValidator().passwords)


class GuessableValidator:
    """A validator of passwords (AUTH_PASSWORD_VALIDATORS)."""

    def validate(self, password: str, user: object = None) -> None:
        """Raises: ValidationError."""
        if is_made_of_own_words(password):
            raise ValidationError(
                "Others would try this first: it is made of words of this site. Use words of your own.",
                code="own_words",
            )
        if is_common_with_an_ending(password):
            raise ValidationError(
                "This is a password that many use, with an ending. Use three or four words of your own.",
                code="common_with_ending",
            )

    def get_help_text(self) -> str:
        """Return what Django's forms say about it."""
        return "It is not made of words of this site, nor a common password with an ending."
