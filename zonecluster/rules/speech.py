"""What of a player's text may reach other players' screens."""


def clean_speech(text: str) -> str:
    """Return the text on one line, without control and other unprintable characters; may be empty."""
    words = " ".join(text.split())
    return "".join(character for character in words if character.isprintable())
