"""What a browser or program calls itself, in words for people. Pure; hostile text comes out as words."""

BROWSERS = (  # the first that fits: the later ones name themselves in the earlier ones' lines, too
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
PHONES = ("Android", "iPhone", "iPad")
LONGEST = 40  # characters of a program's own name


def device_words(user_agent: str) -> str:
    """Return "Firefox on Linux", or the name of a program, from a User-Agent line of any content."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = system_of(user_agent)
    if browser:
        return f"{browser} on {system}" if system else browser
    name = user_agent.split("/")[0].split(" ")[0]
    printable = "".join(letter for letter in name if letter.isprintable())[:LONGEST]
    return f"A program, {printable}" if printable else "A program that gives no name"


def system_of(user_agent: str) -> str:
    """Return the system's name, or nothing."""
    return next((name for mark, name in SYSTEMS if mark in user_agent), "")


def is_phone(user_agent: str) -> bool:
    """Return whether it is held in the hand."""
    return system_of(user_agent) in PHONES
