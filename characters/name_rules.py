"""Which names a character may have, and which names are too alike to be two characters'. Pure.

A name has 3 to 20 characters: Latin or Cyrillic letters, not mixed, and at most one apostrophe, hyphen or
space between letters. Two names are the same if their keys are: case, accents, separators and letters that
look alike make no difference. A name is reserved on all worlds.
"""

import unicodedata

MIN_NAME, MAX_NAME = 3, 20
SEPARATORS = "'- "
# Signs that keyboards and word processors put in place of the plain ones.
_PLAIN_SEPARATORS = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "´": "'", "‐": "-", "–": "-"})

# Words by which a player could pass for the platform or its staff: alone, or as one of two words.
_RESERVED_WORDS = (
    "gm dev mod bot system server support staff owner official everyone nobody master world guard null"
)
# The same, wherever they stand in a name.
_RESERVED_PARTS = "admin moderator gamemaster waystone developer"

# One letter for all that look like it in common typefaces. Letters of other alphabets by their looks in
# either case, since names are shown in both. Source: our own reading of the alphabets.
_LOOK_ALIKES = str.maketrans(
    {
        **dict(zip("авсԁеєһніјкмоԛргѕтуѵԝхӏь", "abcdeehhijkmoqprstyvwxib", strict=True)),
        **dict(zip("lıøłđðħŧŋþĸſ", "iioiddhtnpks", strict=True)),
        "æ": "ae",
        "œ": "oe",
    }
)
_PAIRS = (("rn", "m"), ("vv", "w"))


class BadName(ValueError):
    """A name that no character may have; the message says what to change."""


def check_name(raw: str) -> str:
    """Return the name as it is to be kept and shown.

    Raises: BadName.
    """
    if len(raw) > 100:  # before normalising, which costs time by the length
        raise BadName(f"A name has at most {MAX_NAME} characters.")
    name = unicodedata.normalize("NFKC", raw).strip().translate(_PLAIN_SEPARATORS)
    if not MIN_NAME <= len(name) <= MAX_NAME:
        raise BadName(f"A name has {MIN_NAME} to {MAX_NAME} characters; this one has {len(name)}.")
    _check_letters(name)
    words = [name_key(word) for word in _words(name)]
    key = name_key(name)
    if any(word in RESERVED_WORD_KEYS for word in (key, *words)) or any(
        part in key for part in RESERVED_PART_KEYS
    ):
        raise BadName("This name could pass for the platform's staff; choose another.")
    return name


def name_key(name: str) -> str:
    """Return the key under which a name is reserved: equal for names that look alike."""
    folded = unicodedata.normalize("NFKC", name).translate(_PLAIN_SEPARATORS).casefold()
    letters = unicodedata.normalize("NFD", folded)
    plain = "".join(c for c in letters if not unicodedata.combining(c) and c not in SEPARATORS)
    plain = plain.translate(_LOOK_ALIKES)
    for pair, single in _PAIRS:
        plain = plain.replace(pair, single)
    return plain


def _check_letters(name: str) -> None:
    alphabets = set()
    for sign in name:
        if sign in SEPARATORS:
            continue
        alphabet = _alphabet(sign)
        if not alphabet:
            raise BadName(f"{sign!r} cannot be in a name: use letters, and one apostrophe, hyphen or space.")
        alphabets.add(alphabet)
    if len(alphabets) > 1:
        raise BadName("A name is written in one alphabet; this one mixes two that look alike.")
    separators = [sign for sign in name if sign in SEPARATORS]
    if len(separators) > 1 or name[0] in SEPARATORS or name[-1] in SEPARATORS:
        raise BadName("A name has at most one apostrophe, hyphen or space, between letters.")


def _alphabet(sign: str) -> str:
    """Return "LATIN" or "CYRILLIC" for a plain or accented letter, else the empty string."""
    if unicodedata.category(sign) not in ("Ll", "Lu"):
        return ""
    alphabet = unicodedata.name(sign, "").split(" ")[0]
    # Phonetic and ornamental letters are refused: without accents it must be a-z, а-я or a known look-alike.
    key = name_key(sign)
    known = all("a" <= c <= "z" or "а" <= c <= "я" for c in key)
    return alphabet if known and alphabet in ("LATIN", "CYRILLIC") else ""


def _words(name: str) -> list[str]:
    for separator in SEPARATORS:
        name = name.replace(separator, " ")
    return name.split(" ")


RESERVED_WORD_KEYS = frozenset(name_key(word) for word in _RESERVED_WORDS.split())
RESERVED_PART_KEYS = frozenset(name_key(word) for word in _RESERVED_PARTS.split())
