"""A world's badge as an SVG, for its keepers' own pages: its name, and how it is at this moment. Pure.

Presentation attributes only: it is shown by other sites as an image, where no style sheet of ours reaches.
"""

from html import escape

HEIGHT = 24
PAD = 9  # on both sides of each text
WIDE, NARROW, WIDTH = frozenset("MWmw@%—"), frozenset("iIjl|.,:;'!()[] ft·"), 6.6  # of a character at 11 px
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"
STONE, MOSS, AMBER, RED, SLATE, LIGHT = "#3a362d", "#3f6136", "#86480c", "#96291f", "#5f584b", "#fbfaf5"
COLOURS = {"up": MOSS, "planned": AMBER, "suspended": RED, "asleep": SLATE}


def badge(name: str, state: str, words: str) -> str:
    """Return the SVG. Args: state: a key of COLOURS; words: what it says beside the name."""
    left, right = _width(name) + 2 * PAD, _width(words) + 2 * PAD
    whole, middle = round(left + right), HEIGHT / 2
    name_text, words_text = escape(name), escape(words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{HEIGHT}"'
        f' viewBox="0 0 {whole} {HEIGHT}"'
        f' role="img" aria-label="{name_text}: {words_text}"><title>{name_text}: {words_text}</title>'
        f'<clipPath id="r"><rect width="{whole}" height="{HEIGHT}" rx="5"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{whole}" height="{HEIGHT}" fill="{STONE}"/>'
        f'<rect x="{round(left)}" width="{whole}" height="{HEIGHT}" fill="{COLOURS[state]}"/></g>'
        f'<g fill="{LIGHT}" font-family="{FONT}" font-size="11" dominant-baseline="central">'
        f'<text x="{PAD}" y="{middle:g}" textLength="{_width(name):.0f}" lengthAdjust="spacingAndGlyphs">'
        f"{name_text}</text>"
        f'<text x="{round(left) + PAD}" y="{middle:g}" font-weight="600" textLength="{_width(words):.0f}"'
        f' lengthAdjust="spacingAndGlyphs">{words_text}</text></g></svg>'
    )


def badge_words(*, is_online: bool, is_suspended: bool, maintenance: bool, players: int) -> tuple[str, str]:
    """Return the state and the words of a world's badge."""
    if is_suspended:
        return "suspended", "suspended"
    if maintenance:
        return "planned", "under maintenance"
    if not is_online:
        return "asleep", "asleep"
    return "up", f"{players:,} player{'' if players == 1 else 's'}"


def _width(text: str) -> float:
    """Return about how wide a text is; the renderer stretches it to exactly this."""
    return sum(_of_character(each) for each in text)


def _of_character(each: str) -> float:
    if each in WIDE:
        return WIDTH * 1.45
    if each in NARROW:
        return WIDTH * 0.55
    return WIDTH * 1.8 if ord(each) > 0x2E80 else WIDTH
