"""Texts of others on a person's terminal. A world may be anybody's, and a terminal obeys escape sequences."""


def printable(text: str) -> str:
    """Return one line of text with a space for what is no sign: controls, escapes, overrides."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
